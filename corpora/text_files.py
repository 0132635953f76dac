"""Lines, JSON objects and plain texts of text files, one at a time, with the line that each came from."""

import bz2
import gzip
import json
import lzma
import zlib
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

Record = tuple[str, dict[str, Any]]


#: What opens a compressed file, by the end of its name.
COMPRESSIONS: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}


def _open(path: Path) -> BinaryIO:
    opener = COMPRESSIONS.get(path.suffix.lower())
    return opener(path, "rb") if opener else path.open("rb")


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """
    Lines of a UTF-8 text file, with their line ends, read one by one.

    Args:
        path (`Path`): file to read; `.gz`, `.xz` and `.bz2` are decompressed on the way.

    Returns:
        `Iterator[tuple[int, str]]`: line number from 1, and the line. A byte order mark is dropped.

    Raises:
        `ValueError`: on bytes that are not UTF-8 and on damaged compressed data, naming the line.
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
        except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
            raise ValueError(f"{path}: damaged or truncated compressed data after line {number} ({error})") from error
        except OSError as error:
            if path.suffix.lower() != ".bz2" or error.errno is not None:  # bz2 has no error of its own
                raise
            raise ValueError(f"{path}: damaged or truncated compressed data after line {number} ({error})") from error


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
    Objects of a JSON file: one a line, or all in one array.

    Args:
        path (`Path`): `.jsonl` or `.json` file, optionally compressed. Blank lines are skipped, arrays read whole.

    Returns:
        `Iterator[tuple[str, dict]]`: where the record stands ("FILE, line N" or "FILE, item N"), and the object.

    Raises:
        `ValueError`: on a line or an item that is not one JSON object.
    """
    lines = ((number, line) for number, line in numbered_lines(path) if line.strip())
    first = next(lines, None)
    if first is None:
        return
    if first[1].lstrip().startswith("["):
        yield from _array_records(path)
        return
    for number, line in chain([first], lines):
        place = f"{path}, line {number}"
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            several = "; an object must stand on one line" if line.strip() == "{" else ""
            raise ValueError(f"{place}: invalid JSON at column {error.colno} ({error.msg}){several}") from error
        except (RecursionError, ValueError) as error:  # nested too deep, or a number of thousands of digits
            raise ValueError(f"{place}: invalid JSON ({error})") from error
        if not isinstance(record, dict):
            raise ValueError(f"{place}: expected one JSON object a line, got a {type(record).__name__}")
        yield place, record


def _array_records(path: Path) -> Iterator[Record]:
    try:
        items = json.loads("".join(line for _, line in numbered_lines(path)))
    except (RecursionError, ValueError) as error:
        raise ValueError(
            f"{path}: begins like one JSON array and is none ({error}); expected one array of objects, or one object "
            "a line"
        ) from error
    for number, item in enumerate(items, 1):
        if not isinstance(item, dict):
            raise ValueError(f"{path}, item {number}: expected a JSON object, got a {type(item).__name__}")
        yield f"{path}, item {number}", item


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
