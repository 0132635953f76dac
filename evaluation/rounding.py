"""Rounding of results for files that people read and compare."""

from typing import Any


def rounded(results: Any, digits: int) -> Any:
    """
    Rounds all fractions in results.

    Args:
        results: numbers, texts, lists and dicts, nested as they may be.
        digits (`int`): significant digits of fractions, at least 1; whole numbers stay as they are.

    Raises:
        ValueError: if `digits` is below 1.
    """
    if digits < 1:
        raise ValueError(f"`digits` must be at least 1, got {digits}.")
    if isinstance(results, dict):
        return {name: rounded(each, digits) for name, each in results.items()}
    if isinstance(results, list | tuple):
        return [rounded(each, digits) for each in results]
    return float(f"{results:.{digits}g}") if isinstance(results, float) else results
