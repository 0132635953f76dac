"""Ambiguous words from a checked list, and the sentences of a bitext for each meaning."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sensia.corpora import group_near_duplicates
from sensia.corpora.letter_case import lowered
from sensia.corpora.text_files import table_rows
from sensia.evaluation.senses.ambiguous_words import AmbiguousWord, forms_in, spaced, words_in

COLUMNS = ("word", "first", "second", "meanings")
_SHORTEST_REST = 4  # smallest number of letters left when a suffix is removed
_READ_AT_MOST = 1000  # sentences of a meaning, evenly spaced, that are searched for near-duplicates


@dataclass(frozen=True)
class ListedWord:
    """
    An English word of a checked list, with the translations of its two meanings.

    Args:
        word (`str`): the word, in lower case.
        first, second (`tuple[str, ...]`): translations of each meaning, in lower case. The first one represents the
            meaning. A `*` at the end of another one matches any ending, as in `mektub*`.
        meanings (`str`): both meanings in a few words, for readers.
    """

    word: str
    first: tuple[str, ...]
    second: tuple[str, ...]
    meanings: str


def read_word_list(path: str | Path) -> list[ListedWord]:
    """
    Reads a checked list of ambiguous words.

    Args:
        path (`str` or `Path`): tab-separated UTF-8 with the header `word`, `first`, `second`, `meanings`; translations
            are separated by commas.

    Returns:
        `list[ListedWord]`: in the order of the file.

    Raises:
        ValueError: for another header or number of columns, an empty cell, a repeated word, a `*` in the first
            translation of a meaning, a translation of both meanings, or an empty list; names file and line.
    """
    words: dict[str, ListedWord] = {}
    for place, cells in table_rows(Path(path), COLUMNS):
        listed = _listed_word(cells, place)
        if listed.word in words:
            raise ValueError(f"{place}: {listed.word!r} was listed before")
        words[listed.word] = listed
    if not words:
        raise ValueError(f"{path}: there is no word in the list")
    return list(words.values())


def _listed_word(cells: Sequence[str], place: str) -> ListedWord:
    if len(cells) != len(COLUMNS) or not all(cells):
        raise ValueError(f"{place}: expected {len(COLUMNS)} filled columns, got {list(cells)}")
    first, second = (tuple(lowered(name.strip()) for name in cell.split(",")) for cell in cells[1:3])
    for names in (first, second):
        if not all(names) or "*" in names[0] or any("*" in name[:-1] for name in names):
            raise ValueError(f"{place}: expected translations, the first without a `*`, got {', '.join(names)!r}")
    if shared := set(first) & set(second):
        raise ValueError(f"{place}: {min(shared)!r} is a translation of both meanings")
    return ListedWord(lowered(cells[0]), first, second, cells[3])


def find_listed_words(
    listed: Iterable[ListedWord],
    sources: Sequence[str],
    targets: Sequence[str],
    *,
    suffixes: Sequence[str] = (),
    min_sentences: int = 8,
    max_sentences: int = 60,
) -> list[AmbiguousWord]:
    """
    Finds the words of a checked list that occur in a bitext in both meanings.

    A sentence counts for a meaning if the English side has the word once, in lower case, and the target side has a
    translation of that meaning and none of the other. Of near-duplicate English sentences one counts. For languages
    that put spaces between words.

    Args:
        listed (`Iterable[ListedWord]`): of [`read_word_list`].
        sources, targets (`Sequence[str]`): English sentences and their translations.
        suffixes (`Sequence[str]`, *optional*): endings of target words, such as `nya` in Indonesian, that are removed
            if at least four letters are left.
        min_sentences, max_sentences (`int`, *optional*, defaults to 8 and 60): smallest and largest number of
            sentences of each meaning. A word with fewer is left out; if there are more, evenly spaced ones are kept.

    Returns:
        `list[AmbiguousWord]`: in the order of the list, with the first translation of each meaning.

    Raises:
        ValueError: if the two sides differ in length.
    """
    if len(sources) != len(targets):
        raise ValueError(f"Expected as many targets as sources, got {len(sources)} and {len(targets)}.")
    listed = list(listed)
    rows = _rows_with_the_word_once({each.word for each in listed}, sources)
    found = []
    for each in listed:
        sides = _rows_of_meanings(each, rows[each.word], targets, suffixes)
        kept = tuple(_without_near_duplicates(side, sources) for side in sides)
        if min(map(len, kept)) >= min_sentences:
            first, second = (spaced(side, max_sentences) for side in kept)
            found.append(AmbiguousWord(each.word, each.first[0], each.second[0], (first, second)))
    return found


def _rows_with_the_word_once(wanted: set[str], sources: Sequence[str]) -> Mapping[str, list[int]]:
    rows = defaultdict(list)
    for row, text in enumerate(sources):
        for word in words_in(text) & wanted:
            if forms_in(text, word) == [word]:
                rows[word].append(row)
    return rows


def _rows_of_meanings(
    listed: ListedWord, rows: Iterable[int], targets: Sequence[str], suffixes: Sequence[str]
) -> tuple[list[int], list[int]]:
    """Rows with the first meaning only, and rows with the second only."""
    sides: tuple[list[int], list[int]] = [], []
    for row in rows:
        words = _with_stems(words_in(targets[row]), suffixes)
        shown = [any(_is_among(name, words) for name in names) for names in (listed.first, listed.second)]
        if shown[0] != shown[1]:
            sides[shown[1]].append(row)
    return sides


def _with_stems(words: frozenset[str], suffixes: Sequence[str]) -> set[str]:
    """The words, and the words without their suffix."""
    endings = ((word, suffix) for word in words for suffix in suffixes if word.endswith(suffix))
    stems = (word.removesuffix(suffix) for word, suffix in endings)
    return {*words, *(stem for stem in stems if len(stem) >= _SHORTEST_REST)}


def _is_among(name: str, words: set[str]) -> bool:
    return any(word.startswith(name[:-1]) for word in words) if name.endswith("*") else name in words


def _without_near_duplicates(rows: Sequence[int], sources: Sequence[str]) -> tuple[int, ...]:
    kept = spaced(rows, _READ_AT_MOST) if rows else ()
    return tuple(kept[group[0]] for group in group_near_duplicates([[sources[row]] for row in kept]))
