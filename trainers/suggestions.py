"""Suggestions for a wrong name: the nearest known one."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """
    A sentence that offers the nearest known name, for the end of an error message; empty where none is near.

    Args:
        name (`str`): what was given.
        known (`Iterable[str]`): what there is.
    """
    nearest = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean `{nearest[0]}`?" if nearest else ""
