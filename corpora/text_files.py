"""Records of JSON-lines, CSV, TSV and plain text files, one at a time, with the line that each came from."""

import csv
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal

Record = tuple[str, dict[str, Any]]


def _open(path: Path) -> BinaryIO:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """
    Lines of a UTF-8 text file, with their line ends, read one by one.

    Args:
        path (`Path`): file to read; `.gz` is decompressed on the way.

    Returns:
        `Iterator[tuple[int, str]]`: line number from 1, and the line. A byte order mark is dropped.

    Raises:
        `ValueError`: on bytes that are not UTF-8 and on damaged gzip data, naming the line.
    """
    number = 0
    with _open(path) as file:
        try:
            for number, raw in enumerate(file, 1):
                yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path}, line {number}: not UTF-8 text ({error.reason} at byte {error.start + 1})"
            ) from error
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path}: damaged or truncated gzip data after line {number} ({error})") from error


def table_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """
    Filled rows of a tab-separated UTF-8 file that begins with a header.

    Args:
        path (`Path`): file to read.
        columns (`Sequence[str]`): what the header has to be.

    Returns:
        `Iterator[tuple[str, list[str]]]`: file and line for messages, and the cells, without white space around them.

    Raises:
        `ValueError`: for another header, and as in [`numbered_lines`].
    """
    for number, line in numbered_lines(path):
        cells = [cell.strip() for cell in line.rstrip("\r\n").split("\t")]
        if number == 1 and cells != list(columns):
            raise ValueError(f"{path}, line 1: expected the columns {', '.join(columns)}, got {', '.join(cells)}")
        if number > 1 and line.strip():
            yield f"{path}, line {number}", cells


def json_records(path: Path) -> Iterator[Record]:
    """
    Objects of a JSON-lines file.

    Args:
        path (`Path`): `.jsonl` or `.json` file, one object a line, optionally gzipped. Blank lines are skipped.

    Returns:
        `Iterator[tuple[str, dict]]`: where the record stands ("FILE, line N"), and the object.

    Raises:
        `ValueError`: on a line that is not one JSON object.
    """
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{place}: invalid JSON at column {error.colno} ({error.msg})") from error
        if not isinstance(record, dict):
            raise ValueError(f"{place}: expected one JSON object a line, got a {type(record).__name__}")
        yield place, record


def _cell_rows(path: Path, delimiter: str) -> Iterator[tuple[str, list[str]]]:
    # Parallel corpora in TSV do not quote: a stray quotation mark must not swallow the lines after it.
    quoting: Literal[0, 3] = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    lines = (line for _, line in numbered_lines(path))
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)
    while True:
        place = f"{path}, line {reader.line_num + 1}"
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ValueError(f"{place}: broken row ({error})") from error
        if cells:
            yield place, cells


def csv_records(path: Path, delimiter: str) -> Iterator[Record]:
    """
    Rows of a CSV or TSV file as dictionaries.

    Args:
        path (`Path`): file whose first row names the columns, optionally gzipped.
        delimiter (`str`): `,` (cells may be quoted and hold line ends) or a tab (quotation marks are plain text).

    Returns:
        `Iterator[tuple[str, dict]]`: where the row begins ("FILE, line N"), and its cells by column.

    Raises:
        `ValueError`: on broken quoting, a repeated column name, or a row with more or fewer cells than columns.
    """
    rows = _cell_rows(path, delimiter)
    header_place, columns = next(rows, (f"{path}, line 1", []))
    if len(set(columns)) != len(columns):
        raise ValueError(f"{header_place}: a column name is repeated in {columns}")
    for place, cells in rows:
        if len(cells) != len(columns):
            raise ValueError(
                f"{place}: {len(cells)} cells where the first row names {len(columns)} columns ({columns})"
            )
        yield place, dict(zip(columns, cells, strict=True))


def line_records(path: Path) -> Iterator[Record]:
    """
    Lines of a plain text file as `{"text": line}`; blank lines are skipped.

    Args:
        path (`Path`): `.txt` file, optionally gzipped, one sentence or paragraph a line.

    Returns:
        `Iterator[tuple[str, dict]]`: where the line stands, and the text without its line end.
    """
    for number, line in numbered_lines(path):
        if line.strip():
            yield f"{path}, line {number}", {"text": line.rstrip("\r\n")}


def read_records(path: Path, kind: str) -> Iterator[Record]:
    """
    Records of a text file of a known kind.

    Args:
        path (`Path`): file to read.
        kind (`str`): `json`, `csv`, `tsv` or `txt`.

    Returns:
        `Iterator[tuple[str, dict]]`: place and record, in the order of the file.
    """
    if kind == "json":
        return json_records(path)
    if kind == "txt":
        return line_records(path)
    return csv_records(path, "\t" if kind == "tsv" else ",")
