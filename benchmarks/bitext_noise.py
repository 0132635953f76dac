"""Share of planted noise that the steps of `sensia bitext` find, by kind, and of clean pairs that they lose.

    python benchmarks/bitext_noise.py --data DIR --languages id tr et sw zh --output runs/noise

DIR holds en-XX.train.jsonl.gz, en-XX.dev-indomain.jsonl.gz and en-XX.dev.jsonl.gz (news) of each language. A bitext is
made of `--pairs` pairs of the first, chosen at random, and of all pairs of the other two. Noise is planted in runs of
ten rows: in one of ten runs of the first file, and in every second run of the others, of which the table tells. Each
run is damaged in one way. Where a damage changes nothing, the pair stays clean: a sentence of one word cannot be
glued, and Chinese has no white space to lose.

OUTPUT/en-XX.tsv then has every pair with its kind of damage, the step that drops it, and its quality.
benchmarks/opusfilter_noise.py reads these files.
"""

import argparse
import csv
import io
import random
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import sensia  # noqa: F401 (in a checkout, finds the packages)
from sensia.corpora import find_language, read_pairs
from sensia.corpora.bitext_build import STEPS, SeenText, check_pairs, normalize
from sensia.corpora.bitext_reports import SourceReport
from sensia.corpora.pair_checks import Limits
from sensia.corpora.pair_quality import QualityScorer
from sensia.whole_files import write_whole

Pair = dict[str, Any]
CLEAN, SWAPPED = "clean", "swapped sides"
#: The step of a pair that is swapped, and that no step drops.
BACK = "swapped"
#: Files of a language, and the share of their runs that are damaged.
PARTS = {"train": 0.1, "dev-indomain": 0.5, "dev": 0.5}
RUN = 10
#: Least qualities of which the table tells.
QUALITIES = (0.05, 0.15, 0.3)


def damages(run: list[Pair], others: list[Pair], foreign: list[Pair], order: random.Random) -> dict[str, Callable]:
    """Ways to damage the pair of a number in a run: each gives the two sides."""

    def glued(number: int) -> tuple[str, str]:
        words = run[number]["target"].split(" ")
        if len(words) > 1:
            place = order.randrange(len(words) - 1)
            words[place : place + 2] = ["".join(word[:1].upper() + word[1:] for word in words[place : place + 2])]
        return run[number]["source"], " ".join(words)

    def with_target(choose: Callable[[int], str]) -> Callable[[int], tuple[str, str]]:
        return lambda number: (run[number]["source"], choose(number))

    return {
        "untranslated": with_target(lambda number: run[number]["source"]),
        "in another language": with_target(lambda number: order.choice(foreign)["target"]),
        "target cut to 30 %": with_target(
            lambda number: run[number]["target"][: len(run[number]["target"]) * 3 // 10]
        ),
        "repeated boilerplate": with_target(lambda number: others[0]["target"]),
        "two words glued together": glued,
        SWAPPED: lambda number: (run[number]["target"], run[number]["source"]),
        "misaligned by one line": with_target(lambda number: run[(number + 1) % len(run)]["target"]),
        "target of any other pair": with_target(lambda number: order.choice(others)["target"]),
    }


def plant(pairs: list[Pair], foreign: list[Pair], part: str, order: random.Random) -> list[Pair]:
    """The pairs, of which runs are damaged, each in one way, by turns; `kind` says how."""
    planted = []
    kinds = cycle(damages(pairs, pairs, foreign, order))
    every = round(1 / PARTS[part])
    for start in range(0, len(pairs), RUN):
        run = pairs[start : start + RUN]
        kind = next(kinds) if start // RUN % every == 1 and len(run) > 1 else CLEAN
        for number, pair in enumerate(run):
            sides = (pair["source"], pair["target"])
            if kind != CLEAN:
                sides = damages(run, pairs, foreign, order)[kind](number)
            same = sides == (pair["source"], pair["target"])
            planted.append({"source": sides[0], "target": sides[1], "kind": CLEAN if same else kind, "part": part})
    return planted


def drop(pairs: list[Pair], code: str, seed: int):
    """
    Adds `step`, by which the pair is found, and the `quality` of pairs that pass the checks of single pairs.

    The step is the rule that drops the pair. A pair of swapped sides that is swapped back is found too. A clean pair
    that is swapped is lost.
    """
    for number, pair in enumerate(pairs):
        pair.update(number=number, step="")
    languages = find_language("en"), find_language(code)
    passed = list(check_pairs(pairs, STEPS, languages, Limits(), SourceReport()))
    left = {pair["number"] for pair in passed}
    seen = SeenText(STEPS, 2, [])
    scores = QualityScorer([(pair["source"], pair["target"]) for pair in passed], seed).score()
    for number in set(range(len(pairs))) - left:
        pairs[number]["step"] = "checks"
    for pair, quality in zip(passed, scores, strict=True):
        planted = pairs[pair["number"]]
        planted.update(quality=quality, step=step_of(planted, pair, seen.reason_to_drop(pair)))


def step_of(planted: Pair, passed: Pair, dropped_by: str | None) -> str:
    """The step that drops a pair, or [`BACK`] of a pair that is swapped, of which the damage or its lack tells."""
    turned = [passed["source"], passed["target"]] == [normalize(planted[side]) for side in ("target", "source")]
    return dropped_by or (BACK if turned and planted["kind"] in (CLEAN, SWAPPED) else "")


def shares(pairs: list[Pair], least: float | None) -> dict[str, float]:
    """
    Share of the pairs that are found: of the clean ones of both files that the table tells of, and by kind. A further
    entry has the share of swapped pairs that are swapped back and kept.
    """
    groups: dict[str, list[bool]] = {}
    for pair in pairs:
        if pair["part"] != "train":
            bad = least is not None and "quality" in pair and pair["quality"] < least
            dropped = bool(pair["step"]) or bad
            if pair["kind"] == SWAPPED:
                groups.setdefault("swapped sides, swapped back and kept", []).append(pair["step"] == BACK and not bad)
            clean = {"dev": "clean news, lost", "dev-indomain": "clean in-domain, lost"}[pair["part"]]
            groups.setdefault(clean if pair["kind"] == CLEAN else pair["kind"], []).append(dropped)
    return {kind: sum(dropped) / len(dropped) for kind, dropped in groups.items()}


def read(folder: Path, code: str, part: str) -> list[Pair]:
    rows = read_pairs(str(folder / f"en-{code}.{part}.jsonl.gz"), source_language="en", target_language=code)
    return [{"source": row["source"], "target": row["target"]} for row in rows]


def make(args: argparse.Namespace, code: str, other: str) -> list[Pair]:
    order = random.Random(args.seed)
    foreign = read(args.data, other, "dev-indomain")
    pairs = []
    for part in PARTS:
        rows = read(args.data, code, part)
        if part == "train":
            rows = order.sample(rows, min(args.pairs, len(rows)))
        pairs += plant(rows, foreign, part, order)
    drop(pairs, code, args.seed)
    return pairs


def write(path: Path, pairs: list[Pair]):
    names = ["part", "kind", "step", "quality", "source", "target"]
    text = io.StringIO()
    table = csv.DictWriter(text, names, extrasaction="ignore", delimiter="\t", lineterminator="\n")
    table.writeheader()
    table.writerows(pairs)
    write_whole(path, text.getvalue().encode())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the bitext")
    parser.add_argument("--languages", nargs="+", default=["id", "tr", "et", "sw", "zh"], help="codes (%(default)s)")
    parser.add_argument("--pairs", type=int, default=20000, help="of the training file (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the damages (%(default)s)")
    parser.add_argument("--output", type=Path, required=True, help="folder")
    args = parser.parse_args()
    for code in args.languages:
        pairs = make(args, code, "tr" if code != "tr" else "id")
        write(args.output / f"en-{code}.tsv", pairs)
        columns = {"rules": None, **{f"quality {least}": least for least in QUALITIES}}
        found = {name: shares(pairs, least) for name, least in columns.items()}
        table = Table(code, *columns, title="Share of pairs that were found")
        for kind in sorted(found["rules"]):
            table.add_row(kind, *(f"{found[name][kind]:.3f}" for name in columns))
        Console().print(table)


if __name__ == "__main__":
    main()
