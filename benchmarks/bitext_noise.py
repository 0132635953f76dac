"""Share of planted noise that the steps of `sensia bitext` find, by kind, and of clean pairs that they lose.

    python benchmarks/bitext_noise.py --data DIR --languages id tr et sw zh

DIR holds en-XX.dev-indomain.jsonl.gz of each language. Half of its pairs stay as they are. In the other half each
pair is damaged in one way.

With `--similarity_model runs/{lang}/final`, a second column of each language has the shares where pairs are also
dropped by their margin scores. The threshold is the highest at which `--clean_loss` of the clean pairs are lost, by
rules and scores together.
"""

import argparse
import random
from collections import Counter
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

from rich.console import Console
from rich.table import Table

import sensia  # noqa: F401 (in a checkout, finds the packages)
from sensia.corpora import find_language, read_pairs
from sensia.corpora.bitext_build import STEPS, SeenText, SourceReport, check_pairs, usual_ratio
from sensia.corpora.pair_checks import Limits, PairContext
from sensia.evaluation.mining import centred_vectors, score_pairs
from sensia.evaluation.similarity import load_encoder

Pair = dict[str, str]
CLEAN = "clean"


def damages(pairs: list[Pair], foreign: list[str], rng: random.Random) -> dict[str, Callable[[int], Pair]]:
    """Ways to damage the pair of a number."""
    boilerplate = pairs[0]["target"]

    def glued(number: int) -> Pair:
        words = pairs[number]["target"].split(" ")
        place = rng.randrange(max(len(words) - 1, 1))
        words[place : place + 2] = ["".join(word[:1].upper() + word[1:] for word in words[place : place + 2])]
        return {**pairs[number], "target": " ".join(words)}

    def truncated(number: int) -> Pair:
        target = pairs[number]["target"]
        return {**pairs[number], "target": target[: max(len(target) * 3 // 10, 1)]}

    return {
        "untranslated": lambda number: {**pairs[number], "target": pairs[number]["source"]},
        "other language": lambda number: {**pairs[number], "target": foreign[number % len(foreign)]},
        "truncated to 30 %": truncated,
        "repeated boilerplate": lambda number: {**pairs[number], "target": boilerplate},
        "glued words": glued,
        "swapped sides": lambda number: {"source": pairs[number]["target"], "target": pairs[number]["source"]},
        "misaligned by one": lambda number: {**pairs[number], "target": pairs[(number + 1) % len(pairs)]["target"]},
    }


def plant(pairs: list[Pair], foreign: list[str], seed: int) -> list[Pair]:
    """Every second pair damaged, in turn by each way; `kind` says how."""
    ways = cycle(damages(pairs, foreign, random.Random(seed)).items())
    planted = []
    for number, pair in enumerate(pairs):
        kind, damage = next(ways) if number % 2 else (CLEAN, lambda _, pair=pair: pair)
        planted.append({**damage(number), "kind": kind})
    return planted


def kept(pairs: list[Pair], code: str) -> list[Pair]:
    context = PairContext(find_language("en"), find_language(code), Limits(), usual_ratio(pairs))
    seen = SeenText(STEPS, 2, [])
    return [pair for pair in check_pairs(pairs, STEPS, context, SourceReport()) if seen.reason_to_drop(pair) is None]


def similar(pairs: list[Pair], clean: int, model: str, clean_loss: float) -> list[Pair]:
    """Pairs whose margin score is high enough, of those that the rules kept; `clean` is their number before that."""
    encode = load_encoder(model)
    source, target = (centred_vectors(encode([pair[side] for pair in pairs])) for side in ("source", "target"))
    scores = score_pairs(source, target).tolist()
    of_clean = sorted(score for score, pair in zip(scores, pairs, strict=True) if pair["kind"] == CLEAN)
    lost = max(int(clean_loss * clean) - (clean - len(of_clean)), 0)
    return [pair for score, pair in zip(scores, pairs, strict=True) if score >= of_clean[lost]]


def read(folder: Path, code: str) -> list[Pair]:
    rows = read_pairs(str(folder / f"en-{code}.dev-indomain.jsonl.gz"), source_language="en", target_language=code)
    return [{"source": row["source"], "target": row["target"]} for row in rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the bitext")
    parser.add_argument("--languages", nargs="+", default=["id", "tr", "et", "sw", "zh"], help="codes (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the damages (%(default)s)")
    parser.add_argument("--similarity_model", help="adapted model; {lang} stands for the code of a language")
    parser.add_argument("--clean_loss", type=float, default=0.03, help="of rules and scores together (%(default)s)")
    args = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    columns: list[str] = []
    for code, other in zip(args.languages, args.languages[1:] + args.languages[:1], strict=True):
        foreign = [pair["target"] for pair in read(args.data, other)]
        planted = plant(read(args.data, code), foreign, args.seed)
        numbers = Counter(pair["kind"] for pair in planted)
        left = {code: kept(planted, code)}
        if args.similarity_model:
            model = args.similarity_model.replace("{lang}", code)
            left[f"{code}, scored"] = similar(left[code], numbers[CLEAN], model, args.clean_loss)
        for column, pairs in left.items():
            columns.append(column)
            for kind, number in numbers.items():
                shares = found.setdefault(kind, {})
                shares[column] = 1 - sum(pair["kind"] == kind for pair in pairs) / number
    table = Table("kind", *columns, title="Share of pairs that were dropped")
    for kind, shares in found.items():
        table.add_row(kind, *(f"{shares[column]:.3f}" for column in columns))
    Console().print(table)


if __name__ == "__main__":
    main()
