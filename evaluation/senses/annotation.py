"""Human annotation of meanings: the file that annotators fill in, and the agreement between annotators."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np

from sensia.corpora.text_files import table_rows
from sensia.evaluation.senses.ambiguous_words import AmbiguousWord, spaced

COLUMNS = ("id", "word", "sentence", "first", "second", "meaning", "sense")


def write_annotations(
    path: str | Path, words: Sequence[AmbiguousWord], sources: Sequence[str], *, per_word: int = 10, seed: int = 0
) -> int:
    """
    Writes sentences for an annotator, without the translation that was used.

    The file is tab-separated UTF-8 with a header. `id`, `word`, `sentence` and the translations `first` and `second`
    are given. To fill in: `meaning`, `1` or `2` for the translation that fits or `?` for neither or both; and, if
    wanted, `sense`, any label for the sense that the word has there. Sentences of both meanings come in random order.

    Args:
        path (`str` or `Path`): file to write. If this fails, no partial file is left.
        words (`Sequence[AmbiguousWord]`), sources (`Sequence[str]`): as for [`meanings.measure_meanings`].
        per_word (`int`, *optional*, defaults to 10): largest number of sentences of a word, half of each meaning.
        seed (`int`, *optional*, defaults to 0): seed of the order.

    Returns:
        `int`: number of sentences written.

    Raises:
        ValueError: if the file exists and has annotations.
    """
    if Path(path).exists() and any(read_annotations(path, field) for field in COLUMNS[-2:]):
        raise ValueError(f"{path} has been filled in: write to another file, or move it away.")
    random, lines = np.random.default_rng(seed), ["\t".join(COLUMNS)]
    for word in words:
        rows = [row for side in word.rows for row in spaced(side, per_word // 2)]
        for row in random.permutation(rows).tolist():
            sentence = " ".join(sources[row].split())
            lines.append("\t".join((word.sentence_id(row), word.word, sentence, word.first, word.second, "", "")))
    _write_whole(Path(path), "\n".join(lines) + "\n")
    return len(lines) - 1


def page_items(
    words: Sequence[AmbiguousWord], sources: Sequence[str], *, most: int = 100, seed: int = 0
) -> list[dict]:
    """
    One sentence of each word for an annotator, of either meaning with equal chance, without the translation used.

    Args:
        words (`Sequence[AmbiguousWord]`), sources (`Sequence[str]`): as in [`write_annotations`].
        most (`int`, *optional*, defaults to 100): most words, drawn at random; 100 take half an hour.
        seed (`int`, *optional*, defaults to 0): seed of words, sentences and their order.

    Returns:
        `list` of `dict`: `id`, `word`, `sentence`, `first` and `second`, as [`write_annotations`] has them.
    """
    random = np.random.default_rng(seed)
    items = []
    for place in random.permutation(len(words))[:most].tolist():
        word = words[place]
        row = int(random.choice(word.rows[int(random.integers(2))]))
        cells = (word.sentence_id(row), word.word, " ".join(sources[row].split()), word.first, word.second)
        items.append(dict(zip(COLUMNS, cells, strict=False)))
    return items


def _write_whole(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.tmp")
    try:
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def read_annotations(path: str | Path, field: str = "meaning") -> dict[str, str]:
    """
    Reads a file of [`write_annotations`] that was filled in; empty cells are left out.

    Args:
        path (`str` or `Path`): the file.
        field (`str`, *optional*, defaults to `"meaning"`): `meaning` or `sense`.

    Returns:
        `dict[str, str]`: label by id.

    Raises:
        ValueError: for a wrong header, number of columns or meaning, or a repeated id; names file and line.
    """
    if field not in COLUMNS[-2:]:
        raise ValueError(f"`field` must be `meaning` or `sense`, got {field!r}.")
    labels: dict[str, str] = {}
    for place, cells in table_rows(Path(path), COLUMNS):
        entry = _read_entry(cells, place)
        if entry["id"] in labels:
            raise ValueError(f"{place}: id {entry['id']!r} was given before")
        labels[entry["id"]] = entry[field]
    return {name: label for name, label in labels.items() if label}


def _read_entry(cells: Sequence[str], place: str) -> dict[str, str]:
    if len(cells) != len(COLUMNS):
        raise ValueError(f"{place}: expected {len(COLUMNS)} columns, got {len(cells)}")
    entry = dict(zip(COLUMNS, cells, strict=True))
    if entry["meaning"] not in ("", "1", "2", "?"):
        raise ValueError(f"{place}: `meaning` must be 1, 2 or ?, got {entry['meaning']!r}")
    return entry


def translated_meanings(words: Sequence[AmbiguousWord]) -> dict[str, str]:
    """Meanings that the translations of the bitext show, `1` or `2` by annotation id."""
    sides = ((word, meaning, rows) for word in words for meaning, rows in zip("12", word.rows, strict=True))
    return {word.sentence_id(row): meaning for word, meaning, rows in sides for row in rows}


def score_agreement(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, Any]:
    """
    Agreement of two annotators, or of an annotator and a model, on the ids that both labelled.

    Args:
        first, second (`Mapping[str, str]`): label by id, of [`read_annotations`], [`translated_meanings`] or the
            `choices` of [`meanings.measure_meanings`].

    Returns:
        `dict`: `items`, `observed` agreement, agreement `expected` from the label frequencies of each, and Cohen's
        `kappa` = (observed - expected) / (1 - expected), None if both use only the same single label.

    Raises:
        ValueError: if no id has both labels.
    """
    shared = sorted(first.keys() & second.keys())
    if not shared:
        raise ValueError(f"No id has two labels: {len(first)} and {len(second)} were given, none of them shared.")
    observed = sum(first[name] == second[name] for name in shared) / len(shared)
    uses = [Counter(side[name] for name in shared) for side in (first, second)]
    expected = sum(uses[0][label] * uses[1][label] for label in uses[0]) / len(shared) ** 2
    kappa = (observed - expected) / (1 - expected) if expected < 1 else None
    return {"items": len(shared), "observed": observed, "expected": expected, "kappa": kappa}


def compare_judges(
    people: Mapping[str, Mapping[str, str]], others: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, Any]]:
    """
    Agreement of each annotator with each other annotator, and with other sources of labels.

    Args:
        people, others (`Mapping`): labels by name, in the form of [`score_agreement`].

    Returns:
        `dict`: by `"NAME and NAME"`, the result of [`score_agreement`], for pairs with a sentence that both labelled.
    """
    pairs = [*combinations(people.items(), 2), *product(people.items(), others.items())]
    return {
        f"{name} and {other}": score_agreement(given, theirs)
        for (name, given), (other, theirs) in pairs
        if given.keys() & theirs.keys()
    }
