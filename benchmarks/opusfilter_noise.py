"""The filters of OpusFilter on the files of benchmarks/bitext_noise.py: planted noise that they find, by kind.

    python -m venv opusfilter && opusfilter/bin/pip install opusfilter eflomal
    opusfilter/bin/python benchmarks/opusfilter_noise.py runs/noise/en-id.tsv

OpusFilter needs an environment of its own, because it admits other versions than Sensia. Nothing of Sensia is
imported here. Filters have their default thresholds. The one of word alignment (eflomal, learned from the file itself)
has no useful default: its threshold is the one at which 3 % of the clean pairs are lost (`--clean_loss`). The last two
columns drop what any of the other filters drops, and what these and word alignment drop.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

from opusfilter import filters
from opusfilter.lid import LinguaFilter
from opusfilter.word_alignment import WordAlignFilter

CLEAN = {"dev": "clean news, lost", "dev-indomain": "clean in-domain, lost"}
SCRIPTS = {"zh": "Han"}


def decisions(language: str, pairs: list[tuple[str, str]]) -> Iterator[tuple[str, list[bool]]]:
    """Filters that look at one pair alone, and the pairs that each drops."""
    unit = "char" if language == "zh" else "word"
    made = {
        "length": filters.LengthFilter(unit=unit, max_length=1000 if language == "zh" else 100),
        "ratio": filters.LengthRatioFilter(unit=unit),
        "script": filters.CharacterScoreFilter(scripts=["Latin", SCRIPTS.get(language, "Latin")]),
        "language": LinguaFilter(languages=["en", language]),
        "end": filters.TerminalPunctuationFilter(),
        "numerals": filters.NonZeroNumeralsFilter(),
        "repetition": filters.RepetitionFilter(),
        "similarity": filters.SimilarityFilter(),
    }
    for name, each in made.items():
        yield name, [not kept for kept in each.decisions(pairs)]


def alignment_scores(pairs: list[tuple[str, str]]) -> list[float]:
    """The worse of the two directions; the lower, the better."""
    spaced = [tuple(" ".join(side) if "\u3400" <= side[:1] <= "\u9fff" else side for side in pair) for pair in pairs]
    return [max(scores) for scores in WordAlignFilter().score(spaced)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="en-XX.tsv")
    parser.add_argument("--clean_loss", type=float, default=0.03, help="of word alignment (%(default)s)")
    args = parser.parse_args()
    with args.file.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    scores = alignment_scores([(row["source"], row["target"]) for row in rows])
    told = [number for number, row in enumerate(rows) if row["part"] in CLEAN]
    pairs = [(rows[number]["source"], rows[number]["target"]) for number in told]
    kinds = [rows[number]["kind"] for number in told]
    kinds = [
        CLEAN[rows[number]["part"]] if kind == "clean" else kind for number, kind in zip(told, kinds, strict=True)
    ]
    columns = dict(decisions(args.file.stem.removeprefix("en-"), pairs))
    of_clean = sorted(scores[number] for number, kind in zip(told, kinds, strict=True) if kind in CLEAN.values())
    most = of_clean[int((1 - args.clean_loss) * len(of_clean))]
    rules = [any(dropped) for dropped in zip(*columns.values(), strict=True)]
    columns["alignment"] = [scores[number] > most for number in told]
    columns["rules"] = rules
    columns["all"] = [one or other for one, other in zip(rules, columns["alignment"], strict=True)]
    print("| kind | " + " | ".join(columns) + " |\n|---|" + "---:|" * len(columns))
    for kind in sorted(set(kinds)):
        shares = [
            [drop for drop, other in zip(dropped, kinds, strict=True) if other == kind] for dropped in columns.values()
        ]
        print(f"| {kind} | " + " | ".join(f"{sum(each) / len(each):.3f}" for each in shares) + " |")


if __name__ == "__main__":
    main()
