"""Records of a data file of any kind, one at a time, with the place that each came from."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sensia.corpora.gettext_catalogs import gettext_records
from sensia.corpora.languages import Language
from sensia.corpora.parallel_lines import ParallelFiles, parallel_records
from sensia.corpora.tables import table_records
from sensia.corpora.text_files import Record, json_records, line_records
from sensia.corpora.translation_xml import xml_records


def read_records(
    path: Path,
    kind: str,
    *,
    quoting: str = "auto",
    unnamed: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    keep_broken: bool = False,
) -> Iterator[Record]:
    """
    Records of a file of a known kind.

    Args:
        path (`Path`): file to read.
        kind (`str`): `json`, `csv`, `tsv`, `txt` or `parquet`; see [`bilingual_records`] for the others.
        quoting (`str`, *optional*), unnamed (`Sequence[str]`, *optional*): of tables; see [`table_records`].
        columns (`Sequence[str]`, *optional*): columns to read of a Parquet file; all if not given.
        keep_broken (`bool`, *optional*, defaults to `False`): give a [`BrokenRow`] for a row of a JSON file or table
            that cannot be read.

    Returns:
        `Iterator[tuple[str, dict]]`: place and record, in the order of the file.
    """
    if kind == "json":
        return json_records(path, keep_broken)
    if kind == "txt":
        return line_records(path)
    if kind == "parquet":
        return parquet_records(path, columns)
    delimiter = "\t" if kind == "tsv" else ","
    return table_records(path, delimiter, quoting=quoting, unnamed=unnamed, keep_broken=keep_broken)


#: Kinds whose every record is a pair of texts of two languages that the file names.
BILINGUAL_KINDS = ("parallel", "tmx", "xliff", "ts", "po", "mo")


def bilingual_records(
    path: Path | ParallelFiles, kind: str, source: Language, target: Language, keep_broken: bool = False
) -> Iterator[Record]:
    """
    Pairs of a file that is made of pairs.

    Args:
        path (`Path` or `ParallelFiles`): file to read, or the two files of kind `parallel`.
        kind (`str`): one of [`BILINGUAL_KINDS`].
        source, target (`Language`): the languages.
        keep_broken (`bool`, *optional*, defaults to `False`): as in [`parallel_records`].

    Returns:
        `Iterator[tuple[str, dict]]`: place of each pair, and its texts by `source` and `target`.
    """
    if isinstance(path, ParallelFiles):
        return parallel_records(path, keep_broken)
    if kind in ("po", "mo"):
        return gettext_records(path, kind, source, target)
    return xml_records(path, kind, source, target)


def parquet_records(path: Path, columns: Sequence[str] | None = None) -> Iterator[Record]:
    """
    Rows of a Parquet file, read batch by batch.

    Args:
        path (`Path`): the file.
        columns (`Sequence[str]`, *optional*): columns to read; all if not given. One that is not there is left out.

    Returns:
        `Iterator[tuple[str, dict]]`: where the row stands ("FILE, row N"), and its cells by column.

    Raises:
        `ValueError`: if the file is damaged.
    """
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            there = file.schema_arrow.names
            wanted = None if columns is None else [name for name in columns if name in there]
            for batch in file.iter_batches(columns=wanted):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}, row {number}", row
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path}: not a readable Parquet file after row {number} ({error})") from error


def parquet_columns(path: Path) -> dict[str, Any]:
    """
    Columns of a Parquet file with their types; of a struct, a mapping of its fields.

    Args:
        path (`Path`): the file.

    Raises:
        `ValueError`: if the file is damaged.
    """
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path}: not a readable Parquet file ({error})") from error
    return {field.name: _type_of(field.type) for field in schema}


def check_text_type(kind: Any, column: str, place: str) -> None:
    """
    Args:
        kind: type of the column, as [`parquet_columns`] gives it.
        column (`str`): its name.
        place (`str`): file, for the message.

    Raises:
        `ValueError`: if it cannot hold text.
    """
    inner = kind.value_type if isinstance(kind, pa.DictionaryType) else kind
    types = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    if isinstance(inner, Mapping) or not any(fits(inner) for fits in types):
        raise ValueError(
            f"{place}: column {column!r} must hold text, got {'a struct' if isinstance(inner, Mapping) else inner}"
        )


def _type_of(kind: pa.DataType) -> Any:
    return {field.name: field.type for field in kind} if pa.types.is_struct(kind) else kind
