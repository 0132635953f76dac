"""Results as files that can be read and compared."""

from typing import Any


def rounded(results: Any, digits: int) -> Any:
    """
    Results with every fraction rounded, so that a file of them can be read and compared.

    Args:
        results: numbers, texts, lists and dicts, nested as they may be.
        digits (`int`): significant digits of fractions, at least 1; whole numbers stay as they are.

    Raises:
        ValueError: if there are less than 1 digits.
    """
    if digits < 1:
        raise ValueError(f"`digits` must be at least 1, got {digits}.")
    if isinstance(results, dict):
        return {name: rounded(each, digits) for name, each in results.items()}
    if isinstance(results, list | tuple):
        return [rounded(each, digits) for each in results]
    return float(f"{results:.{digits}g}") if isinstance(results, float) else results
