"""Entries of `train_data`, `eval_data`, `text_data` and the like: names, or mappings that say how data is read."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from sensia.corpora import find_language
from sensia.corpora.tables import QUOTINGS
from sensia.trainers.suggestions import did_you_mean

Entry = str | dict[str, Any]
Kind = TypeVar("Kind", bound="DataSource | TextSource | InstructionSource | BitextSource")

#: The setting `tsv_quoting`, which every command that reads tables has.
TSV_QUOTING = {
    "help": "Quotation marks in .tsv files: quoted (they enclose a cell, as in spreadsheets), plain (they are text) "
    "or auto (the file tells which).",
    "choices": QUOTINGS,
}
#: Stands for the code of each target language in an entry, as in `en-{target}.train.jsonl.gz`.
TARGET = "{target}"


@dataclass(frozen=True)
class DataSource:
    """
    One data set.

    Args:
        path (`str`): file, folder or Hub id.
        name (`str`, *optional*): what tables call it; evaluation data needs one.
        config (`str`, *optional*): configuration of a Hub data set; found by the languages if not given.
        split (`str`, *optional*): split of a Hub data set, or word in the names of a folder's files.
        columns (`Sequence` of two `str`, *optional*): columns of the source and of the target side.
        languages (`Sequence` of two `str`, *optional*): codes of the languages of its two sides, as it spells them;
            those of the run if not given.
        weight (`float`, *optional*): share of this data set; training data alone, and all of it or none.
        license (`str`, *optional*): licence of the data, where nothing beside it states one.

    Raises:
        ValueError: naming the key that is wrong.
    """

    path: str
    name: str | None = None
    config: str | None = None
    split: str | None = None
    columns: Sequence[str] | None = None
    languages: Sequence[str] | None = None
    weight: float | None = None
    license: str | None = None

    def __post_init__(self):
        _check_texts(self, "path", "name", "config", "split", "license")
        for key in ("columns", "languages"):
            value = getattr(self, key)
            if value is not None and not _are_two_texts(value):
                raise ValueError(f"`{key}` must be two texts, of the source and of the target side, got {value!r}")
        for code in self.languages or ():
            find_language(code)
        if self.weight is not None and not _is_weight(self.weight):
            raise ValueError(f"`weight` must be a positive number, got {self.weight!r}")

    @property
    def shown(self) -> str:
        """`str`: what tables call it: its name, or the last part of its path."""
        return self.name or Path(self.path).name


@dataclass(frozen=True)
class TextSource:
    """
    Text of one language, for the language model loss.

    Args:
        path (`str`): file, folder or Hub id.
        language (`str`, *optional*): code of its language; if not given, the target language where there is one.
        column (`str`, *optional*, defaults to `"text"`): column of the text.
        config (`str`, *optional*): configuration of a Hub data set.
        split (`str`, *optional*): split of a Hub data set, or word in the names of a folder's files.
        license (`str`, *optional*): licence of the text, where nothing beside it states one.

    Raises:
        ValueError: naming the key that is wrong.
    """

    path: str
    language: str | None = None
    column: str = "text"
    config: str | None = None
    split: str | None = None
    license: str | None = None

    def __post_init__(self):
        _check_texts(self, "path", "language", "column", "config", "split", "license")
        if self.language is not None:
            find_language(self.language)


@dataclass(frozen=True)
class InstructionSource:
    """
    Instruction pairs, whose answers the language model loss is on.

    Args:
        path (`str`): file, folder or Hub id.
        config (`str`, *optional*): configuration of a Hub data set.
        split (`str`, *optional*): split of a Hub data set, or word in the names of a folder's files.
        license (`str`, *optional*): licence of the pairs, where nothing beside them states one.

    Raises:
        ValueError: naming the key that is wrong.
    """

    path: str
    config: str | None = None
    split: str | None = None
    license: str | None = None

    def __post_init__(self):
        _check_texts(self, "path", "config", "split", "license")


@dataclass(frozen=True)
class BitextSource:
    """
    Bitext that a larger one is built from.

    Args:
        path, name, config, split, columns, languages, license: as in [`DataSource`].
        attribution (`str`, *optional*): whom to name, and where the data comes from.
        domain (`str`, *optional*): what its texts are, as in `news`; cards of models say it.
        origin (`str`, *optional*): take only the pairs of this corpus, of data that name the corpus of each pair: in
            a column `origin`, or in `source` beside `translation`.
        min_score (`float`, *optional*): leave out pairs whose column `score` is less.

    Raises:
        ValueError: naming the key that is wrong.
    """

    path: str
    name: str | None = None
    config: str | None = None
    split: str | None = None
    columns: Sequence[str] | None = None
    languages: Sequence[str] | None = None
    license: str | None = None
    attribution: str | None = None
    domain: str | None = None
    origin: str | None = None
    min_score: float | None = None

    def __post_init__(self):
        DataSource(self.path, self.name, self.config, self.split, self.columns, self.languages, license=self.license)
        _check_texts(self, "attribution", "domain", "origin")
        if self.min_score is not None and not isinstance(self.min_score, int | float):
            raise ValueError(f"`min_score` must be a number, got {self.min_score!r}")

    @property
    def shown(self) -> str:
        """`str`: what tables call it: its name, or the last part of its path."""
        return self.name or Path(self.path).name


def read_bitext_source(entry: Entry) -> BitextSource:
    """
    An entry of `sources` of `sensia bitext`.

    Args:
        entry (`str` or `dict`): a name, or the arguments of [`BitextSource`].

    Raises:
        ValueError: in one line that names the setting and the key.
    """
    return _read(entry, "sources", BitextSource)


def read_text_source(entry: Entry) -> TextSource:
    """
    An entry of `text_data`.

    Args:
        entry (`str` or `dict`): a name, or the arguments of [`TextSource`].

    Raises:
        ValueError: in one line that names the setting and the key.
    """
    return _read(entry, "text_data", TextSource)


def read_instruction_source(entry: Entry) -> InstructionSource:
    """
    An entry of `instruction_data`.

    Args:
        entry (`str` or `dict`): a name, or the arguments of [`InstructionSource`].

    Raises:
        ValueError: in one line that names the setting and the key.
    """
    return _read(entry, "instruction_data", InstructionSource)


def read_train_source(entry: Entry) -> DataSource:
    """
    An entry of `train_data`.

    Args:
        entry (`str` or `dict`): a name, or the arguments of [`DataSource`].

    Raises:
        ValueError: in one line that names the setting and the key.
    """
    return _read(entry, "train_data", DataSource)


def read_eval_source(entry: Entry) -> DataSource:
    """
    An entry of `eval_data`.

    Args:
        entry (`str` or `dict`): NAME=SOURCE, or the arguments of [`DataSource`], `name` among them.

    Raises:
        ValueError: in one line that names the setting and the key.
    """
    entry = _checked(entry, "eval_data")
    if isinstance(entry, str):
        name, _, path = entry.partition("=")
        if not name or not path:
            raise ValueError(
                "`eval_data` entries are NAME=SOURCE, as in dev=my/dev.jsonl or test=org/name:test, or mappings with "
                f"`name` and `path`; got {entry!r}."
            )
        return DataSource(path, name=name)
    source = _from_mapping(entry, "eval_data", DataSource)
    for key, wanted in (("name", True), ("weight", False)):
        if (getattr(source, key) is not None) != wanted:
            problem = "needs a `name`, which tables call it" if wanted else f"takes no `{key}`"
            raise ValueError(f"`eval_data`: an entry {problem}; got {entry}.")
    return source


def for_each_target(source: DataSource, source_language: str, target_languages: Sequence[str]) -> list[DataSource]:
    """
    The data sets of an entry: one for each target language where the entry has `{target}`, else the entry itself.

    Args:
        source ([`DataSource`]): the entry.
        source_language (`str`): code of the source language.
        target_languages (`Sequence[str]`): codes of the target languages.

    Returns:
        `list` of [`DataSource`]: where there are several languages, each with its `languages`. The name of evaluation
        data then ends in the code of its language, unless it has `{target}` itself.

    Raises:
        ValueError: with several target languages, if the entry says of none of them that it is of it.
    """
    texts = {key: getattr(source, key) for key in ("path", "name", "config", "split")}
    if not any(TARGET in (text or "") for text in (*texts.values(), *(source.columns or ()))):
        return [_of_one_target(source, target_languages)]
    if source.name is not None and TARGET not in source.name and len(target_languages) > 1:
        texts["name"] = f"{source.name}-{TARGET}"
    return [
        replace(
            source,
            **{key: text and text.replace(TARGET, code) for key, text in texts.items()},
            columns=source.columns and [column.replace(TARGET, code) for column in source.columns],
            languages=(source_language, code),
        )
        for code in target_languages
    ]


def _of_one_target(source: DataSource, target_languages: Sequence[str]) -> DataSource:
    if len(target_languages) == 1:
        return source
    targets = [find_language(code) for code in target_languages]
    if source.languages and find_language(source.languages[1]) in targets:
        return source
    problem = "its `languages` name none of them" if source.languages else "nothing says which of them it is of"
    raise ValueError(
        f"{source.path}: the target languages are {', '.join(target_languages)}, and {problem}. Put {TARGET} where a "
        f"name has the code, as in en-{TARGET}.jsonl, or give the entry its `languages`, as in [en, "
        f"{target_languages[0]}]."
    )


def _read(entry: Entry, setting: str, kind: type[Kind]) -> Kind:
    entry = _checked(entry, setting)
    return kind(entry) if isinstance(entry, str) else _from_mapping(entry, setting, kind)


def _checked(entry: Any, setting: str) -> Entry:
    """A text or a mapping; one that is typed as JSON is read."""
    if isinstance(entry, str) and entry.lstrip().startswith("{") and entry.rstrip().endswith("}"):
        try:
            entry = json.loads(entry)
        except ValueError as error:
            raise ValueError(f"`{setting}`: an entry in braces must be JSON, got {entry!r}: {error}") from None
    if isinstance(entry, dict) or (isinstance(entry, str) and entry.strip()):
        return entry
    raise ValueError(f"`{setting}` must name something: each entry is a text or a mapping with `path`, got {entry!r}.")


def _check_texts(source: Any, *keys: str):
    for key in keys:
        value = getattr(source, key)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise ValueError(f"`{key}` must be a text that is not empty, got {value!r}")


def _from_mapping(entry: Mapping[str, Any], setting: str, kind: type[Kind]) -> Kind:
    known = [each.name for each in fields(kind)]  # type: ignore[arg-type]
    for key in entry:
        if key not in known:
            raise ValueError(
                f"`{setting}`: unknown key `{key}` of an entry; known are {', '.join(known)}."
                f"{did_you_mean(str(key), known)}"
            )
    if "path" not in entry:
        raise ValueError(f"`{setting}`: an entry needs a `path`, a file, folder or Hub id; got {dict(entry)}.")
    given = dict(entry)
    if isinstance(given.get("columns"), list):  # columns of a table without names are numbers
        given["columns"] = [str(each) if type(each) is int else each for each in given["columns"]]
    try:
        return kind(**given)
    except ValueError as error:
        raise ValueError(f"`{setting}`, entry {entry['path']!r}: {error}.") from None


def _are_two_texts(value: Any) -> bool:
    return (
        isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(each, str) and each for each in value)
    )


def _is_weight(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
