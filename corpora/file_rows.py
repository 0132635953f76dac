"""Rows of local files: records to pairs and texts, and what is done about those that are broken."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from transformers.utils import logging

from sensia.corpora.cells import check_texts, no_pair, take_pair, text_or_none
from sensia.corpora.fields import TRANSLATION, PairFields, PairRequest, choose_fields, pick_column
from sensia.corpora.records import (
    BILINGUAL_KINDS,
    bilingual_records,
    check_text_type,
    parquet_columns,
    read_records,
)
from sensia.corpora.text_files import BrokenRow, Record

#: What is done about rows that cannot be read or have no text, where it is chosen.
STOP, DROP = ON_BAD_ROWS = ("stop", "drop")
logger = logging.get_logger(__name__)


def first_fields(
    files: list[Any], kind: str, request: PairRequest, quoting: str, on_bad_rows: str | None
) -> PairFields:
    """
    Fields that the pairs of the first file with a row are in.

    Args:
        files, kind, request, quoting, on_bad_rows: see [`pairs_of_files`].

    Raises:
        `ValueError`: if no file has a row, or columns are missing or ambiguous.
    """
    for path in files:
        for _, _, fields in _records_of_file(path, kind, request, quoting, on_bad_rows == DROP):
            return fields
    raise ValueError(f"no rows in {', '.join(str(path) for path in files)}")


def pairs_of_files(
    files: list[Any], kind: str, request: PairRequest, quoting: str, on_bad_rows: str | None
) -> Iterator[dict[str, str | None]]:
    """
    Pairs of files of one kind, in order.

    Args:
        files (`list`): paths, or `ParallelFiles` for bitext in two files.
        kind (`str`): their kind; see [`locations.file_kind`].
        request (`PairRequest`): languages and columns asked for.
        quoting (`str`): how tables quote; see [`tables.table_records`].
        on_bad_rows (`str` or `None`): see [`reading.read_pairs`].

    Yields:
        `dict`: `source` and `target`, the further columns that the data has, and `file`.

    Raises:
        `ValueError`: for damaged data, naming file, line and field; not for broken rows that are to be dropped.
    """
    for path in files:
        broken = 0
        for place, record, fields in _records_of_file(path, kind, request, quoting, on_bad_rows == DROP):
            try:
                pair = _pair_of_record(record, fields, place, on_bad_rows)
            except ValueError as error:
                if on_bad_rows != DROP:
                    raise
                pair = no_pair(fields)
                broken += 1
                if broken == 1:
                    logger.warning_once(f"{error}; broken rows are dropped, as `on_bad_rows: {DROP}` says")
            yield {**pair, "file": str(path)}


def _pair_of_record(
    record: dict[str, Any], fields: PairFields, place: str, on_bad_rows: str | None
) -> dict[str, str | None]:
    if isinstance(record, BrokenRow):
        raise ValueError(record.problem)
    pair = take_pair(record, fields, place)
    if on_bad_rows == STOP:
        check_texts(pair, fields, place)
    return pair


def _records_of_file(
    path: Path, kind: str, request: PairRequest, quoting: str, keep_broken: bool
) -> Iterator[tuple[str, dict[str, Any], PairFields]]:
    """Records of a file, each with where it stands and the fields that the pair is in."""
    if kind in BILINGUAL_KINDS:
        both = PairFields(False, "source", "target", None, None)
        languages = (request.source_language, request.target_language)
        for place, record in bilingual_records(path, kind, *languages, keep_broken):
            yield place, record, both
        return
    if kind == "parquet":
        columns = parquet_columns(path)
        fields = choose_fields(columns, request, str(path))
        sides = columns[TRANSLATION] if fields.nested else columns
        for side in (fields.source, fields.target):
            check_text_type(sides[side], f"{TRANSLATION}.{side}" if fields.nested else side, str(path))
        for place, record in read_records(path, kind, columns=fields.columns):
            yield place, record, fields
        return
    records = read_records(path, kind, quoting=quoting, unnamed=_unnamed(request), keep_broken=keep_broken)
    head: list[Record] = []
    for each in records:  # the first that is not broken tells the fields
        head.append(each)
        if not isinstance(each[1], BrokenRow):
            break
    if head:
        fields = choose_fields(head[-1][1], request, head[-1][0])
        for place, record in chain(head, records):
            yield place, record, fields


def _unnamed(request: PairRequest) -> tuple[str, ...]:
    """Names for the two columns of text of a table without names; none where columns are asked for by number."""
    asked = (request.source_column, request.target_column)
    if any(name and name.isdecimal() for name in asked):
        return ()
    return (asked[0] or request.source_language.tag, asked[1] or request.target_language.tag)


def texts_of_files(files: list[Path], kind: str, column: str) -> Iterator[dict[str, str | None]]:
    """
    Texts of files of one kind, in order.

    Args:
        files (`list[Path]`): their paths.
        kind (`str`): their kind; see [`locations.file_kind`].
        column (`str`): column that holds the text.

    Yields:
        `dict`: `text`.

    Raises:
        `ValueError`: for a missing column, a value that is not text and damaged data, naming file, line and field.
    """
    for path in files:
        for place, record in read_records(path, kind):
            text = text_or_none(record[pick_column(record, [column], place)])
            if text is None:
                raise ValueError(f"{place}: field {column!r} must be text, got {type(record[column]).__name__}")
            yield {"text": text}
