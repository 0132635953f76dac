"""Rows of CSV and TSV files: how they quote, and what their columns are where no first row names them."""

import csv
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

from transformers.utils import logging

from sensia.corpora.archives import archive_of
from sensia.corpora.text_files import Record, broken_row, numbered_lines

logger = logging.get_logger(__name__)

QUOTINGS = ("auto", "quoted", "plain")
#: Rows that the columns of a file without names are told from.
_SAMPLE = 100
#: Lines that one quoted cell may take.
_MOST_LINES = 100
_QUOTED_CELL = r'(?:"(?:[^"]|"")*"|[^\t"]*)'
_QUOTED_ROW = re.compile(rf"{_QUOTED_CELL}(?:\t{_QUOTED_CELL})*")
_SEPARATE = re.compile(rf"(?:(?<=\t)|^){_QUOTED_CELL}")
_ENDS_SENTENCE = re.compile(r"[.?!\u2026\u3002\uff1f\uff01\u0964]['\"\u201d\u2019)\u00bb]*$")
_ATTRIBUTION = re.compile(r"\bCC[- ](BY|0)|tatoeba\.org|https?://", re.IGNORECASE)

# A cell may be as long as it is: cleaning drops what is too long to learn from.
csv.field_size_limit(sys.maxsize)


def table_records(
    path: Path,
    delimiter: str,
    *,
    quoting: str = "auto",
    unnamed: Sequence[str] | None = None,
    keep_broken: bool = False,
) -> Iterator[Record]:
    """
    Rows of a CSV or TSV file as dictionaries.

    Args:
        path (`Path`): file, optionally compressed. Its first row names the columns; where that row reads like data (a
            sentence, a number), the columns are told by what they hold.
        delimiter (`str`): `,` or a tab. A `,` stands for whichever of comma, semicolon and tab parts the first rows.
        quoting (`str`, *optional*, defaults to `"auto"`): of a TSV file, `"quoted"` where cells are quoted as
            spreadsheets do, `"plain"` where quotation marks are text, `"auto"` to tell by the whole file.
        unnamed (`Sequence[str]`, *optional*): names for the first and the second column of text of a file without
            names. Empty: the file has no names, and its columns are called 1, 2, 3.
        keep_broken (`bool`, *optional*, defaults to `False`): give a [`BrokenRow`] for a row that has more or fewer
            cells than columns, or is not well quoted.

    Returns:
        `Iterator[tuple[str, dict]]`: where the row begins ("FILE, line N"), and its cells by column.

    Raises:
        `ValueError`: on broken quoting, a repeated column name, a row with more or fewer cells than columns, or no
            names where the columns cannot be told.
    """
    if delimiter == ",":
        delimiter = find_delimiter(path, keep_broken)
    quoted = delimiter != "\t" or (is_quoted(path, keep_broken) if quoting == "auto" else quoting == "quoted")
    rows = _quoted_rows(path, delimiter, keep_broken) if quoted else _plain_rows(path, keep_broken)
    first_place, first = next(rows, (f"{path}, line 1", []))
    if unnamed == () or _reads_like_data(first):
        rows = chain([(first_place, first)], rows)
        sample = list(islice(rows, _SAMPLE))
        rows = chain(sample, rows)
        columns = name_columns([cells for _, cells in sample], unnamed, str(path))
    else:
        columns = first
    named = [name for name in columns if name.strip()]  # spreadsheets write empty columns after the last one
    if len(set(named)) != len(named):
        raise ValueError(f"{first_place}: a column name is repeated in {columns}")
    for place, cells in rows:
        if len(cells) != len(columns):
            problem = f"{len(cells)} cells where the first row has {len(columns)} ({columns})"
            yield place, broken_row(f"{place}: {problem if cells else 'broken quoting'}", keep_broken)
        else:
            yield place, dict(zip(columns, cells, strict=True))


def find_delimiter(path: Path, keep_broken: bool = False) -> str:
    """
    Finds what parts the cells of a CSV file. Spreadsheets write semicolons where the comma is the decimal point.

    Args:
        path (`Path`): the file.
        keep_broken (`bool`, *optional*, defaults to `False`): as in [`numbered_lines`].

    Returns:
        `str`: of comma, semicolon and tab, the one that gives most of the first rows as many cells as the first, and
            the most cells; a comma where none does.
    """
    lines = [line for _, line in islice(numbered_lines(path, keep_broken), _SAMPLE)]
    found = {}
    for delimiter in (",", ";", "\t"):
        with suppress(csv.Error):
            whole = len(lines) < _SAMPLE
            rows = [cells for cells in csv.reader(lines, delimiter=delimiter, strict=whole) if cells]
            widths = [len(cells) for cells in (rows if whole else rows[:-1])]  # the last may end inside a cell
            alike = widths.count(widths[0]) if widths else 0
            if 2 * alike > len(widths) and widths[0] > 1:
                found[delimiter] = (alike / len(widths), widths[0])
    return max(found, key=lambda each: found[each], default=",")


def is_quoted(path: Path, keep_broken: bool = False) -> bool:
    """
    Tells whether a TSV file quotes as spreadsheets do, by reading it until a row contradicts; the log says which.

    Args:
        path (`Path`): the file.
        keep_broken (`bool`, *optional*, defaults to `False`): as in [`numbered_lines`].

    Returns:
        `bool`: True if there are quotation marks, each cell that begins with one ends with one and doubles those
            inside, no other cell holds one, and all rows have as many cells. Parallel corpora, which do not quote,
            have lone ones.
    """
    inside = archive_of(path)
    state = (inside[0] if inside else path).stat()
    return _is_quoted(path, keep_broken, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=64)
def _is_quoted(path: Path, keep_broken: bool, _modified: int, _size: int) -> bool:
    seen, open_row, width = False, "", 0
    for number, line in numbered_lines(path, keep_broken):
        row = open_row + line
        if '"' in row:
            seen = True
            if row.count('"') % 2 and row.count("\n") < _MOST_LINES:  # a quoted cell goes on in the next line
                open_row = row
                continue
        cells = _cells(row.rstrip("\r\n"))
        width = len(cells) if number == 1 else width
        if seen and len(cells) != width and row.strip("\r\n"):
            open_row = row  # a row that is not well quoted
            break
        open_row = ""
    if seen and not open_row:
        logger.warning(
            f"{path}: cells are quoted as in spreadsheets and read without quoting; `tsv_quoting: plain` keeps it."
        )
    elif seen and '"' in open_row:
        logger.warning(f"{path}: quotation marks are read as text; `tsv_quoting: quoted` reads them as quoting.")
    return seen and not open_row


def _cells(row: str) -> list[str]:
    """The cells of a row, quoted or not; none if it is not well quoted, or a cell of several lines holds a tab."""
    if '"' not in row:
        return row.split("\t")
    if not _QUOTED_ROW.fullmatch(row):
        return []
    cells = [match[0] for match in _SEPARATE.finditer(row)]
    return [] if any("\n" in cell and "\t" in cell for cell in cells) else cells


def name_columns(rows: Sequence[Sequence[str]], unnamed: Sequence[str] | None, place: str) -> list[str]:
    """
    Names for the columns of a file that has none.

    Args:
        rows (`Sequence[Sequence[str]]`): the first rows.
        unnamed (`Sequence[str]`, *optional*): names for the first two columns of text; 1, 2, 3 without it.
        place (`str`): file, for messages.

    Returns:
        `list[str]`: a name for each column: those given, `score` for numbers, `origin` for who a pair is from.

    Raises:
        `ValueError`: if not just two columns hold text.
    """
    width = len(rows[0])
    numbers = [str(number) for number in range(1, width + 1)]
    if not unnamed:
        return numbers
    columns = [[cells[index] for cells in rows if len(cells) == width] for index in range(width)]
    kinds = [_kind_of(cells) for cells in columns]
    texts = [index for index, kind in enumerate(kinds) if kind == "text"]
    if len(texts) != 2:
        raise ValueError(
            f"{place}, line 1: no row of column names, and {len(texts)} of {width} columns hold text; choose two by "
            "number, as in `source_column: 1` and `target_column: 2`, or `columns: [1, 2]` of an entry"
        )
    names = list(numbers)
    for index, name in zip(texts, unnamed, strict=True):
        names[index] = name
    for kind in ("score", "origin"):
        if kind in kinds:
            names[kinds.index(kind)] = kind
    told = ", ".join(
        f"column {number} as {name}" for number, name in zip(numbers, names, strict=True) if number != name
    )
    logger.warning_once(
        f"{place} has no row of column names: {told}. `source_column: 1` and the like choose others, as "
        "does `columns` of an entry."
    )
    return names


def _kind_of(cells: Sequence[str]) -> str:
    if all(_is_number(cell) for cell in cells):
        return "score"
    return "origin" if 2 * sum(bool(_ATTRIBUTION.search(cell)) for cell in cells) > len(cells) else "text"


def _reads_like_data(cells: Sequence[str]) -> bool:
    return any(
        _is_written_number(cell) or _ENDS_SENTENCE.search(cell.strip()) or len(cell.split()) > 5 for cell in cells
    )


def _is_written_number(cell: str) -> bool:
    """Tells numbers from `nan`, which is also the code of a language, and `inf`."""
    return _is_number(cell) and any(map(str.isdigit, cell))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _plain_rows(path: Path, keep_broken: bool) -> Iterator[tuple[str, list[str]]]:
    """Rows of a TSV file that does not quote: a stray quotation mark must not swallow the lines after it."""
    for number, line in numbered_lines(path, keep_broken):
        if line.strip("\r\n"):
            # A carriage return that ends no line is white space inside a cell.
            yield f"{path}, line {number}", line.rstrip("\r\n").replace("\r", " ").split("\t")


def _quoted_rows(path: Path, delimiter: str, keep_broken: bool) -> Iterator[tuple[str, list[str]]]:
    """Rows of a file that quotes. Where broken ones are kept, as no cells, reading goes on in the line after."""
    # A carriage return that ends no line is white space inside a cell.
    lines: Iterator[tuple[int, str]] = (
        (number, f"{line.rstrip(chr(13) + chr(10))}\n".replace("\r", " "))
        for number, line in numbered_lines(path, keep_broken)
    )
    row: list[tuple[int, str]] = []  # the lines of the row that is read

    def feed(lines: Iterator[tuple[int, str]]) -> Iterator[str]:
        for each in lines:
            row.append(each)
            if keep_broken and len(row) > _MOST_LINES:
                raise csv.Error(f"a quoted cell of more than {_MOST_LINES} lines")
            yield each[1]

    def reader() -> Any:
        quoting: Literal[0] = csv.QUOTE_MINIMAL
        return csv.reader(feed(lines), delimiter=delimiter, quoting=quoting, strict=True)

    rows = reader()
    while True:
        row.clear()
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            place = f"{path}, line {row[0][0]}"
            if not keep_broken:
                raise ValueError(f"{place}: broken row ({error})") from error
            lines = chain(row[1:], lines)
            rows = reader()
            yield place, []
        else:
            if cells:
                yield f"{path}, line {row[0][0]}", cells
