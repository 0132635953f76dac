"""Sentences with topics in two languages: from a table with both, or from a configuration of each language."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sensia.corpora import find_language
from sensia.corpora.configurations import JOINED
from sensia.corpora.data_sets import is_clone
from sensia.corpora.held_out import held_out_part
from sensia.corpora.locations import is_local
from sensia.corpora.rows import describe_rows, read_rows

_SIDES = ("source", "target")


@dataclass(frozen=True)
class TopicRows:
    """
    N sentences, each in two languages and with its topic.

    Args:
        texts (`dict`): `source` and `target`, the N sentences in each language.
        topics (`list[str]`): the N topics.
        data (`dict`): what was read, of [`sensia.corpora.rows.describe_rows`].
    """

    texts: dict[str, list[str]]
    topics: list[str]
    data: dict[str, Any]


def read_topics(source: str, test: str, settings: Mapping[str, Any]) -> tuple[TopicRows, TopicRows]:
    """
    Reads sentences to train a probe on, and sentences to test it on.

    Args:
        source (`str`): table of the training sentences, with columns named by `source_language` and `target_language`;
            or a data set of the Hub, or a clone of one, with a configuration of each language.
        test (`str`): table of the test sentences; empty for a data set with the splits `train` and `test`.
        settings (`Mapping`): of the task: `source_language`, `target_language`, `topic`, `id`, `column`, and how a
            data set of the Hub is opened.

    Returns:
        `tuple` of two [`TopicRows`]: to train on and to test on.

    Raises:
        NoLanguageError: if the data set has no configuration of a language.
        ValueError: if a column is missing, or the languages have no sentence in common.
        OSError: if the data are missing, gated or cannot be reached.
    """
    if test:
        return _of_table(source, "train", settings), _of_table(test, "test", settings)
    if is_local(source) and not is_clone(source):
        raise ValueError("A task of kind topics needs `test` beside `source`: give both in a suite.")
    return _of_configurations(source, "train", settings), _of_configurations(source, "test", settings)


def _of_table(name: str, part: str, settings: Mapping[str, Any]) -> TopicRows:
    options = {each: settings[each] for each in ("config_name", "revision")}
    rows = read_rows(name, **({**options, "split": part} if not is_local(name) else {}))
    columns = {"source": settings["source_language"], "target": settings["target_language"]}
    for row in rows:
        _check_columns(row, (*columns.values(), settings["topic"]), name)
    texts = {side: [row[column] for row in rows] for side, column in columns.items()}
    return TopicRows(texts, [row[settings["topic"]] for row in rows], describe_rows(name, rows))


def _of_configurations(source: str, split: str, settings: Mapping[str, Any]) -> TopicRows:
    """Joins the rows of two languages by their number in the data set."""
    sides, names = {}, []
    for side in _SIDES:
        language = find_language(settings[f"{side}_language"])
        part = held_out_part(source, split=split, revision=settings["revision"], language=language)
        rows = read_rows(part.source, **part.options(), revision=None if is_local(source) else settings["revision"])
        for row in rows:
            _check_columns(row, (settings["id"], settings["column"], settings["topic"]), str(part))
        sides[side] = {row[settings["id"]]: row for row in rows}
        names.append(part.config_name or "default")
    joined = [(row, sides["target"][key]) for key, row in sides["source"].items() if key in sides["target"]]
    differ = [row[settings["id"]] for row, other in joined if row[settings["topic"]] != other[settings["topic"]]]
    if not joined or differ:
        why = f"row {differ[0]} has another topic in each language" if differ else "no row is in both languages"
        raise ValueError(f"{source}, configurations {' and '.join(names)}, split {split}: {why}")
    texts = {side: [pair[place][settings["column"]] for pair in joined] for place, side in enumerate(_SIDES)}
    topics = [row[settings["topic"]] for row, _ in joined]
    rows_used = [
        dict(zip((*_SIDES, "topic"), cells, strict=True)) for cells in zip(*texts.values(), topics, strict=True)
    ]
    opened = {"config_name": JOINED.join(names), "split": split, "revision": settings["revision"]}
    return TopicRows(texts, topics, describe_rows(source, rows_used, **opened))


def _check_columns(row: Mapping[str, Any], wanted: tuple[str, ...], name: str):
    if missing := {*wanted} - set(row):
        raise ValueError(f"{name}: no column {', '.join(sorted(missing))}, only {', '.join(row)}")
