"""What mined pairs add: adapt to few pairs, mine, filter, and adapt again to all pairs for as many steps.

    python benchmarks/mining_loop.py --pairs en-sw.train.jsonl.gz --language sw --held_out en-sw.dev.jsonl.gz \\
        --output runs/loop

The monolingual texts are made from bitext. `--known` of its pairs are kept as pairs. Of the others, `--translated`
pairs give both of their sides, and `--single` pairs give their source side alone, and as many their target side alone.
Both texts are shuffled. So it is known which mined pairs are right.

The four commands and their settings are printed, and stand in the folder of the output. What is done is not done
again. The settings of training are those of examples/configs/quickstart.yaml.
"""

import argparse
import json
import random
import shlex
import subprocess
import sys
from pathlib import Path

import yaml

import sensia  # noqa: F401 (in a checkout, finds the packages)
from sensia.corpora import find_language, read_pairs
from sensia.corpora.bitext_build import read_pairs_of_part
from sensia.whole_files import write_whole

ROOT = Path(__file__).resolve().parents[1]
Sides = tuple[str, str]


def divide(args: argparse.Namespace) -> set[Sides]:
    """Writes the known pairs and the two texts; the result is the pairs of which both sides are in the texts."""
    rows = read_pairs(args.pairs, source_language="en", target_language=args.language)
    pairs = [(" ".join(row["source"].split()), " ".join(row["target"].split())) for row in rows]
    order = random.Random(args.seed)
    order.shuffle(pairs)
    ends = [args.known, args.known + args.translated]
    ends += [ends[-1] + args.single, ends[-1] + 2 * args.single]
    if ends[-1] > len(pairs):
        raise SystemExit(f"{args.pairs} has only {len(pairs):,} pairs, and {ends[-1]:,} are needed.")
    known, both = pairs[: ends[0]], pairs[ends[0] : ends[1]]
    sources = [source for source, _ in both + pairs[ends[1] : ends[2]]]
    targets = [target for _, target in both + pairs[ends[2] : ends[3]]]
    lines = [json.dumps({"en": source, args.language: target}, ensure_ascii=False) for source, target in known]
    for name, text in (("known.jsonl", lines), ("en.txt", sources), (f"{args.language}.txt", targets)):
        if name != "known.jsonl":
            order.shuffle(text)
        write_whole(args.output / name, "".join(f"{line}\n" for line in text).encode())
    return set(both)


def carry_out(command: list[str], result: Path):
    """Runs a command of `sensia`, if its result is not there."""
    print("sensia " + shlex.join(command), flush=True)
    if not result.exists():
        subprocess.run([sys.executable, "-m", "sensia.cli", *command], check=True, cwd=ROOT)


def adapt(args: argparse.Namespace, pairs: Path, output: Path):
    command = ["adapt", "--config", "examples/configs/quickstart.yaml", "--target_language", args.language]
    command += ["--train_data", str(pairs), "--eval_data", f"NTREX={args.held_out}", "--output_dir", str(output)]
    carry_out([*command, "--max_steps", str(args.steps)], output / "final" / "results.json")


def filter_mined(args: argparse.Namespace):
    settings = {
        "sources": [
            {"path": str(args.output / "known.jsonl")},
            {"path": str(args.output / "mined.parquet"), "min_score": args.min_score},
        ],
        "target_language": args.language,
        "held_out": [args.held_out],
        "dev_pairs": 0,
        "output_dir": str(args.output / "bitext"),
    }
    write_whole(args.output / "filter.yaml", yaml.safe_dump(settings, sort_keys=False).encode())
    carry_out(["bitext", "--config", str(args.output / "filter.yaml")], args.output / "bitext" / "train.parquet")


def told_mined(args: argparse.Namespace, right: set[Sides]) -> str:
    """Numbers of mined pairs and of right ones, before and after the filter."""
    mined = read_pairs_of_part(args.output / "mined.parquet")
    mined = [pair for pair in mined if pair["score"] >= args.min_score]
    kept = {
        (pair["source"], pair["target"])
        for pair in read_pairs_of_part(args.output / "bitext" / "train.parquet")
        if pair["origin"] == "mined"
    }
    found = sum((pair["source"], pair["target"]) in right for pair in mined)
    return (
        f"Of {len(right):,} pairs in the texts, {found:,} are among the {len(mined):,} mined ones; "
        f"{len(kept & right):,} among the {len(kept):,} that are left after the filter."
    )


def told_results(args: argparse.Namespace) -> str:
    """Table of the held-out pairs before any adaptation and after both."""
    lines = ["| model | bits per byte | recall@1, context | recall@1, sense |", "|---|---:|---:|---:|"]
    for number, name in enumerate(("known pairs", "known and mined pairs"), start=1):
        path = args.output / f"adapted-{number}" / "final" / "results.json"
        (held_out,) = json.loads(path.read_text(encoding="utf-8"))["evaluation"]
        for state, shown in (("before", "before"), ("after", name))[number > 1 :]:
            found = [held_out[state][key] for key in ("bits_per_byte", "context_recall@1", "sense_recall@1")]
            lines.append(f"| {shown} | " + " | ".join(f"{value:.3f}" for value in found) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", required=True, help="bitext that the pairs and the texts are made from")
    parser.add_argument("--language", required=True, help="code of the target language")
    parser.add_argument("--held_out", required=True, help="bitext to measure on; no mined pair resembles it")
    parser.add_argument("--output", type=Path, required=True, help="folder")
    parser.add_argument("--known", type=int, default=5000, help="pairs to begin with (%(default)s)")
    parser.add_argument("--translated", type=int, default=10000, help="pairs in the two texts (%(default)s)")
    parser.add_argument("--single", type=int, default=10000, help="other sentences of each text (%(default)s)")
    parser.add_argument("--min_score", type=float, default=1.1, help="of a mined pair (%(default)s)")
    parser.add_argument("--steps", type=int, default=300, help="of each adaptation (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of pairs (%(default)s)")
    args = parser.parse_args()
    args.language = find_language(args.language).iso1 or find_language(args.language).iso3
    args.output = args.output.resolve()
    args.held_out = str(Path(args.held_out).resolve())
    right = divide(args)
    adapt(args, args.output / "known.jsonl", args.output / "adapted-1")
    texts = [str(args.output / f"{name}.txt") for name in ("en", args.language)]
    mine = ["mine", "--source_text", texts[0], "--target_text", texts[1], "--target_language", args.language]
    mine += ["--model", str(args.output / "adapted-1" / "final"), "--output", str(args.output / "mined.parquet")]
    carry_out(mine, args.output / "mined.parquet")
    filter_mined(args)
    adapt(args, args.output / "bitext" / "train.parquet", args.output / "adapted-2")
    print(told_mined(args, right), told_results(args), sep="\n\n")


if __name__ == "__main__":
    main()
