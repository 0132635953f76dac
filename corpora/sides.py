"""Checks that a column can be one side of a pair: text of a language, not numbers or names of rows."""

import re
from collections.abc import Sequence

#: Cells that are looked at.
SAMPLE = 200
#: Least share of cells that must have a letter.
_LETTERED = 0.1
#: One word of ASCII with a digit in it, such as `7`, `sent-0001` or a UUID.
_IDENTIFIER = re.compile(r"(?=[!-~]*\d)[!-~]+")


def check_side(cells: Sequence[str | None], column: str, place: str) -> None:
    """
    Refuse a column that holds no text of any language.

    Args:
        cells (`Sequence[str | None]`): cells of the column; the first [`SAMPLE`] are looked at.
        column (`str`): its name, for the message.
        place (`str`): file or data set, for the message.

    Raises:
        `ValueError`: if next to no cell has a letter, or all cells are different identifiers of rows.
    """
    texts = [cell.strip() for cell in cells[:SAMPLE] if cell and cell.strip()]
    if not texts:
        return
    told = f"{place}: column {column!r} cannot be a side of a pair"
    advice = "name the right column with `source_column` or `target_column`, or with `columns` of an entry"
    if sum(any(map(str.isalpha, text)) for text in texts) < _LETTERED * len(texts):
        raise ValueError(f"{told}: its cells have next to no letters (the first is {_short(texts[0])}); {advice}")
    if len(texts) > 1 and len(set(texts)) == len(texts) and all(map(_IDENTIFIER.fullmatch, texts)):
        shown = ", ".join(map(_short, texts[:2]))
        raise ValueError(f"{told}: its cells are all different numbers or names of rows ({shown}); {advice}")


def _short(text: str) -> str:
    return repr(text if len(text) <= 30 else f"{text[:30]}...")
