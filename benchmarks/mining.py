"""Precision and recall of mining: real translations are shuffled, and looked for again.

    python benchmarks/mining.py --model runs/sensia-id-mini/final --bitext en-id.dev.jsonl.gz --language id

Of the pairs, a share has both sides among the sentences (`--translated`). The others give one sentence each, by turns
to the source and to the target. A line of the table is a threshold: none; the lowest at which 90 % of the mined pairs
are right; the one of the best F1.

With `--others en-id.train.jsonl.gz`, a further part of the table has all pairs among sentences that do not translate
each other: the source sides of some pairs of that file, and the target sides of others.

A second table has the share of misaligned pairs that scores find at a loss of 3 % of the clean ones (`--clean_loss`).
Every second pair is misaligned there: it has the target of the next one.
"""

import argparse
from collections.abc import Iterator, Sequence

import torch
from rich.console import Console
from rich.table import Table

import sensia  # noqa: F401 (in a checkout, finds the packages)
from sensia.corpora import read_pairs
from sensia.evaluation.mining import SCORES, STRATEGIES, centred_vectors, mine_pairs, score_pairs
from sensia.evaluation.similarity import load_encoder


def divide(number: int, translated: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pairs, in random order, whose source and whose target is among the sentences."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(number, generator=generator)
    both, single = order[: round(number * translated)], order[round(number * translated) :]
    sides = torch.cat([both, single[::2]]), torch.cat([both, single[1::2]])
    source, target = (side[torch.randperm(len(side), generator=generator)] for side in sides)
    return source, target


def lines(right: torch.Tensor, scores: torch.Tensor, translated: int) -> Iterator[tuple[str, Sequence[float]]]:
    """Threshold, pairs, precision, recall and F1 of each line; `right` is in the order of falling scores."""
    found = right.cumsum(0)
    precision, recall = found / torch.arange(1, len(right) + 1), found / translated
    f1 = 2 * precision * recall / (precision + recall).clamp_min(1e-9)
    places = {"none": len(right) - 1, "best F1": int(f1.argmax())}
    sure = (precision >= 0.9).nonzero()
    if len(sure):
        places["90 % right"] = int(sure[-1])
    for name, place in places.items():
        yield name, [each[place].item() for each in (scores, precision, recall, f1)]


def other_sentences(bitext: str, language: str, number: int) -> tuple[list[str], list[str]]:
    """Source sides of pairs, and target sides of as many other pairs."""
    pairs = read_pairs(bitext, source_language="en", target_language=language)
    if len(pairs) < 2 * number:
        raise SystemExit(f"{bitext} has only {len(pairs):,} pairs, and {2 * number:,} are needed.")
    shuffled = pairs.shuffle(seed=0)
    return list(shuffled["source"][:number]), list(shuffled["target"][number : 2 * number])


def misaligned_found(source: torch.Tensor, target: torch.Tensor, score: str, clean_loss: float) -> tuple[float, float]:
    """The threshold, and the share of misaligned pairs that are below it."""
    moved = torch.arange(1, len(target) - 1, 2)
    mixed = target.clone()
    mixed[moved] = target[moved + 1]
    is_moved = torch.zeros(len(target), dtype=torch.bool)
    is_moved[moved] = True
    scores = score_pairs(centred_vectors(source), centred_vectors(mixed), score=score)
    clean = scores[~is_moved].sort().values
    least = clean[int(clean_loss * len(clean))]
    return least.item(), (scores[is_moved] < least).double().mean().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="Backpack or sentence-transformers model")
    parser.add_argument("--bitext", required=True, help="real sentence pairs")
    parser.add_argument("--language", required=True, help="code of the target language")
    parser.add_argument("--translated", type=float, nargs="+", default=[1.0, 0.5], help="shares (%(default)s)")
    parser.add_argument("--others", help="bitext of other sentences")
    parser.add_argument("--number", type=int, default=10000, help="of other sentences on each side (%(default)s)")
    parser.add_argument("--neighbours", type=int, default=4, help="of the margin score (%(default)s)")
    parser.add_argument("--clean_loss", type=float, default=0.03, help="in the second table (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the order (%(default)s)")
    args = parser.parse_args()
    pairs = read_pairs(args.bitext, source_language="en", target_language=args.language)
    encode = load_encoder(args.model)
    vectors = [encode(list(pairs[side])) for side in ("source", "target")]
    table = Table("translated", "strategy", "threshold", "score", "precision", "recall", "F1")
    settings = [(f"{share:.0%}", share, [side[:0] for side in vectors]) for share in args.translated]
    if args.others:
        others = [encode(texts) for texts in other_sentences(args.others, args.language, args.number)]
        settings.append((f"+{args.number:,}", 1.0, others))
    for title, share, others in settings:
        rows = divide(len(pairs), share, args.seed)
        sides = [
            centred_vectors(torch.cat([side[chosen], other]))
            for side, chosen, other in zip(vectors, rows, others, strict=True)
        ]
        # Rows that are no sentence's translation: other numbers on each side.
        rows = tuple(
            torch.cat([chosen, torch.full((len(other),), none)])
            for chosen, other, none in zip(rows, others, (-1, -2), strict=True)
        )
        for strategy in STRATEGIES:
            source, target, scores = mine_pairs(*sides, strategy=strategy, neighbours=args.neighbours)
            right = rows[0][source] == rows[1][target]
            for name, values in lines(right, scores, round(len(pairs) * share)):
                table.add_row(title, strategy, name, *(f"{value:.3f}" for value in values))
    filtered = Table("score", "least score", "misaligned pairs found")
    for score in SCORES:
        filtered.add_row(score, *(f"{value:.3f}" for value in misaligned_found(*vectors, score, args.clean_loss)))
    Console().print(table, filtered)


if __name__ == "__main__":
    main()
