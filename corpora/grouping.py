"""Finding near-duplicates, so that a held-out set shares none with the training set."""

import re
from collections import defaultdict
from collections.abc import Sequence

from sensia.corpora.letter_case import lowered

#: A sign of a script that writes no spaces between words (Chinese, Japanese, Thai, Lao, Tibetan, Burmese, Khmer).
SIGN = r"[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
_SIGN = re.compile(SIGN)
_WORD = re.compile(rf"(?!\d){SIGN}|(?:(?!{SIGN})[^\W\d_])+")


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
            for run in word_runs(text, gram):
                first = owner.setdefault((side, *run), index)
                parent[root(index)] = root(first)
    groups: dict[int, list[int]] = defaultdict(list)
    for index in range(len(rows)):
        groups[root(index)].append(index)
    return list(groups.values())


def word_runs(text: str, gram: int = 8) -> list[tuple[str, ...]]:
    """
    Words in a row, by which texts that resemble each other are found; case, digits and punctuation do not count.

    Args:
        text (`str`): the text.
        gram (`int`, *optional*, defaults to 8): words of a run. In scripts without spaces, where each sign counts as a
            word, it is twice as many.

    Returns:
        `list` of `tuple` of `str`: every run, or all words of a shorter text; none of a text without words, such as a
            number, which is like no other.
    """
    words = _WORD.findall(lowered(text))
    if words and 2 * sum(map(bool, map(_SIGN.fullmatch, words))) > len(words):
        gram *= 2
    return [tuple(words[start : start + gram]) for start in range(max(len(words) - gram, 0) + 1)] if words else []
