"""Damage as bitext has it, done to real pairs on purpose, from which a classifier learns what damage looks like."""

import random
from collections.abc import Sequence

Sides = tuple[str, str]
#: Kinds of damage.
KINDS = ("misaligned by one", "misaligned", "source cut", "target cut")
#: What is left of a side that is cut.
_LEFT = (0.2, 0.75)


def damaged(pairs: Sequence[Sides], number: int, kind: str, order: random.Random) -> Sides:
    """
    Damages a pair.

    Args:
        pairs (`Sequence` of `tuple` of two `str`): two pairs or more, in the order of their source.
        number (`int`): which one.
        kind (`str`): one of [`KINDS`].
        order (`random.Random`): chooses the other pair, and where a side is cut.

    Returns:
        `tuple` of two `str`: the sides.
    """
    source, target = pairs[number]
    if kind == "misaligned by one":
        return source, pairs[number + 1 if number + 1 < len(pairs) else number - 1][1]
    if kind == "misaligned":
        other = order.randrange(len(pairs) - 1)
        return source, pairs[other + (other >= number)][1]
    if kind == "source cut":
        return _cut(source, order), target
    return source, _cut(target, order)


def _cut(text: str, order: random.Random) -> str:
    return text[: max(round(len(text) * order.uniform(*_LEFT)), 1)].rstrip()
