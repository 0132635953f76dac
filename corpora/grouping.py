"""Finding near-duplicates, so that a held-out set shares none with the training set."""

import re
from collections import defaultdict
from collections.abc import Sequence


def group_near_duplicates(rows: Sequence[Sequence[str]], gram: int = 8) -> list[list[int]]:
    """
    Group rows that are connected by near-duplicate texts.

    Two rows are connected if, on the same side, their texts share `gram` words in a row or, when shorter, are the same
    words; case, digits and punctuation do not count. A group is everything reachable from one of its rows.

    Args:
        rows (`Sequence[Sequence[str]]`): the texts of each row, for instance the two sides of a pair.
        gram (`int`, *optional*, defaults to 8): number of words in a row that makes a near-duplicate.

    Returns:
        `list[list[int]]`: indices of the rows of each group, groups in the order of their first row.
    """
    parent = list(range(len(rows)))
    owner: dict[tuple[object, ...], int] = {}

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = index = parent[parent[index]]
        return index

    for index, texts in enumerate(rows):
        for side, text in enumerate(texts):
            for run in _runs(text, gram):
                first = owner.setdefault((side, *run), index)
                parent[root(index)] = root(first)
    groups: dict[int, list[int]] = defaultdict(list)
    for index in range(len(rows)):
        groups[root(index)].append(index)
    return list(groups.values())


def _runs(text: str, gram: int) -> list[tuple[str, ...]]:
    words = re.findall(r"[^\W\d_]+", text.casefold())
    # A text without words, such as a number, is like no other.
    return [tuple(words[start : start + gram]) for start in range(max(len(words) - gram, 0) + 1)] if words else []
