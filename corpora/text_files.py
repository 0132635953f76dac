"""Lines, JSON objects and plain texts of text files, one at a time, with the line that each came from."""

import bz2
import codecs
import gzip
import io
import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from sensia.corpora.archives import archive_of, open_member

Record = tuple[str, dict[str, Any]]


class BrokenRow(dict[str, Any]):
    """
    A row that cannot be read, in the place of its cells.

    Args:
        problem (`str`): what is wrong with it, with file and line.
    """

    def __init__(self, problem: str):
        super().__init__()
        self.problem = problem


def broken_row(problem: str, keep: bool) -> BrokenRow:
    """
    A row that cannot be read, where such rows are kept.

    Args:
        problem (`str`): what is wrong with it, with file and line.
        keep (`bool`): whether such rows are kept.

    Raises:
        `ValueError`: if they are not.
    """
    if not keep:
        raise ValueError(problem)
    return BrokenRow(problem)


def _open_zst(file: BinaryIO) -> BinaryIO:
    # Unlike other readers of this format, pyarrow's tells when a file is cut off.
    return pa.input_stream(pa.PythonFile(file, mode="r"), compression="zstd")


#: Openers of compressed files, by the end of their name.
COMPRESSIONS: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open, ".zst": _open_zst}
#: Encodings by the mark that begins a file; the longest mark first, since one begins with the other.
_MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16"}
_MARKS[codecs.BOM_UTF16_BE] = "utf-16"
_DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
#: First bytes of ASCII letters in UTF-16 or UTF-32: each has bytes of zero beside it.
_WIDE_LETTERS = re.compile(rb"[\t -~]\0.\0|\0[\t -~]\0|\0\0\0[\t -~]", re.DOTALL)


def open_binary(path: Path) -> BinaryIO:
    """
    Opens a file for reading, in a zip archive or not, and decompresses it.

    Args:
        path (`Path`): the file; see [`archives.archive_of`] for one in an archive.

    Returns:
        `BinaryIO`: its content.
    """
    inside = archive_of(path)
    file = open_member(*inside) if inside else path.open("rb")
    opener = COMPRESSIONS.get(path.suffix.lower())
    raw: Any = opener(file) if opener else file
    return io.BufferedReader(raw)


@contextmanager
def naming_damage(path: Path, place: Callable[[], str]) -> Iterator[None]:
    """
    Turns the errors of compressed data into one that names the file.

    Args:
        path (`Path`): the file that is read.
        place (`Callable`): gives what was read last, for the message, as in `line 3`.

    Raises:
        `ValueError`: if the data is damaged or cut off.
    """
    try:
        yield
    except (*_DAMAGED, OSError) as error:
        # The readers of bz2 and zst have no error of their own. An error of the system has a number.
        if not isinstance(error, _DAMAGED) and error.errno is not None:
            raise
        raise ValueError(f"{path}: damaged or truncated compressed data after {place()} ({error})") from error


def numbered_lines(path: Path, keep_broken: bool = False) -> Iterator[tuple[int, str]]:
    """
    Lines of a text file, with their line ends, read one by one. The text is UTF-8, or UTF-16 or UTF-32 with a byte
    order mark.

    Args:
        path (`Path`): file to read, in a zip archive or not; `.gz`, `.xz`, `.bz2` and `.zst` are decompressed.
        keep_broken (`bool`, *optional*, defaults to `False`): write bytes that are not UTF-8 as lone surrogates, which
            no text has, so that a reader can leave out the cell that they stand in.

    Returns:
        `Iterator[tuple[int, str]]`: line number from 1, and the line. A byte order mark is dropped.

    Raises:
        `ValueError`: on bytes that are not text in this encoding and on damaged compressed data, naming the line.
    """
    number, encoding = 0, "utf-8"
    with open_binary(path) as file, naming_damage(path, lambda: f"line {number}"):
        try:
            head = file.peek(4)[:4]  # type: ignore[attr-defined]
            encoding = next((name for mark, name in _MARKS.items() if head.startswith(mark)), encoding)
            if encoding == "utf-8":
                if _WIDE_LETTERS.match(head):
                    raise ValueError(
                        f"{path}: looks like UTF-16 or UTF-32 without a byte order mark; save it as UTF-8, or with "
                        "the mark"
                    )
                errors = "surrogateescape" if keep_broken else "strict"
                for number, raw in enumerate(file, 1):
                    yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8", errors)
            else:
                for number, line in enumerate(io.TextIOWrapper(file, encoding, newline="\n"), 1):
                    yield number, line
        except UnicodeDecodeError as error:
            if encoding != "utf-8":
                raise ValueError(f"{path}: not {encoding.upper()} text, as its first bytes say ({error})") from error
            raise ValueError(
                f"{path}, line {number}: not UTF-8 text ({error.reason} at byte {error.start + 1})"
            ) from error


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


def json_records(path: Path, keep_broken: bool = False) -> Iterator[Record]:
    """
    Objects of a JSON file: one a line, all in one array, or all in an array inside one object.

    Args:
        path (`Path`): `.jsonl` or `.json` file, optionally compressed. Blank lines are skipped, arrays read whole.
        keep_broken (`bool`, *optional*, defaults to `False`): give a [`BrokenRow`] for a line or an item that is not
            one JSON object.

    Returns:
        `Iterator[tuple[str, dict]]`: where the record stands ("FILE, line N" or "FILE, item N"), and the object.

    Raises:
        `ValueError`: on a line or an item that is not one JSON object.
    """
    lines = ((number, line) for number, line in numbered_lines(path, keep_broken) if line.strip())
    first = next(lines, None)
    if first is None:
        return
    if first[1].lstrip().startswith("["):
        yield from _array_records(path, keep_broken)
        return
    if _is_one_object(path, first[1], lines):
        yield from _nested_records(path, keep_broken)
        return
    lines = ((number, line) for number, line in numbered_lines(path, keep_broken) if line.strip())
    next(lines)
    for number, line in chain([first], lines):
        place = f"{path}, line {number}"
        yield place, _object_of_line(line, place, keep_broken)


def _object_of_line(line: str, place: str, keep_broken: bool) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        several = "; an object must stand on one line" if line.strip() == "{" else ""
        return broken_row(f"{place}: invalid JSON at column {error.colno} ({error.msg}){several}", keep_broken)
    except (RecursionError, ValueError) as error:  # nested too deep, or a number of thousands of digits
        return broken_row(f"{place}: invalid JSON ({error})", keep_broken)
    if not isinstance(record, dict):
        return broken_row(f"{place}: expected one JSON object a line, got a {type(record).__name__}", keep_broken)
    return record


def _array_records(path: Path, keep_broken: bool) -> Iterator[Record]:
    try:
        items = json.loads("".join(line for _, line in numbered_lines(path, keep_broken)))
    except (RecursionError, ValueError) as error:
        raise ValueError(
            f"{path}: begins like one JSON array and is none ({error}); expected one array of objects, or one object "
            "a line"
        ) from error
    yield from _items(path, items, keep_broken)


def _is_one_object(path: Path, first: str, lines: Iterator[tuple[int, str]]) -> bool:
    """Tells a file that is one object with a list of rows in it from one object a line."""
    if ".jsonl" in [suffix.lower() for suffix in path.suffixes]:
        return False
    try:
        begun = json.loads(first)
    except ValueError:
        return first.strip() == "{" or '": [' in first  # an object over several lines
    alone = next(lines, None) is None
    return alone and isinstance(begun, dict) and any(_is_rows(value) for value in begun.values())


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _nested_records(path: Path, keep_broken: bool) -> Iterator[Record]:
    try:
        whole = json.loads("".join(line for _, line in numbered_lines(path, keep_broken)))
    except (RecursionError, ValueError) as error:
        raise ValueError(
            f"{path}: invalid JSON ({error}); expected one object a line, one array of objects, or one object that "
            "holds such an array"
        ) from error
    lists = [name for name, value in whole.items() if _is_rows(value)] if isinstance(whole, dict) else []
    if len(lists) != 1:
        found = f"{len(lists)} ({', '.join(lists)})" if lists else "none"
        raise ValueError(
            f"{path}: expected one list of objects in it, such as `data` or `rows`, found {found}; several objects "
            "must stand on one line each"
        )
    # The Hub's server of rows puts each into {"row_idx": 0, "row": {...}}.
    rows = [each["row"] if isinstance(each.get("row"), dict) else each for each in whole[lists[0]]]
    yield from _items(path, rows, keep_broken)


def _items(path: Path, items: list[Any], keep_broken: bool) -> Iterator[Record]:
    for number, item in enumerate(items, 1):
        place = f"{path}, item {number}"
        if not isinstance(item, dict):
            item = broken_row(f"{place}: expected a JSON object, got a {type(item).__name__}", keep_broken)
        yield place, item


def line_records(path: Path) -> Iterator[Record]:
    """
    Lines of a plain text file as `{"text": line}`; blank lines are skipped.

    Args:
        path (`Path`): `.txt` file, optionally compressed, one sentence or paragraph a line.

    Returns:
        `Iterator[tuple[str, dict]]`: where the line stands, and the text without its line end.
    """
    for number, line in numbered_lines(path):
        if line.strip():
            yield f"{path}, line {number}", {"text": line.rstrip("\r\n")}
