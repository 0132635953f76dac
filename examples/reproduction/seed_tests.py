"""Comparisons of runs over their seeds, several at once."""

from collections.abc import Hashable, Mapping, Sequence
from statistics import fmean
from typing import TypeVar

from scipy.stats import ttest_ind

#: Chance of calling any difference of a family real that is none.
LEVEL = 0.05
_Name = TypeVar("_Name", bound=Hashable)


def greater_by_seeds(compared: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> dict[str, bool]:
    """
    Tells in which comparisons the first values are greater, by Welch's t-test over seeds, one-sided, with Holm's
    correction over all comparisons.

    Args:
        compared (`Mapping`): by name, the values of the seeds of two kinds of runs.

    Returns:
        `dict` of `bool`: by the same names; all false where one kind has a single seed.
    """
    return _real({name: _p_value(*pair, "greater") for name, pair in compared.items()})


def differences_by_seeds(
    compared: Mapping[_Name, tuple[Sequence[float], Sequence[float]]],
) -> dict[_Name, bool]:
    """
    Tells in which comparisons the values differ, by Welch's t-test over seeds, two-sided, with Holm's correction over
    all comparisons that have two seeds of both kinds.

    Args:
        compared (`Mapping`): by name, the values of the seeds of two kinds of runs.

    Returns:
        `dict` of `bool`: by the names of those that can be tested.
    """
    testable = {name: pair for name, pair in compared.items() if min(map(len, pair)) > 1}
    return _real({name: _p_value(*pair, "two-sided") for name, pair in testable.items()})


def _real(values: Mapping[_Name, float]) -> dict[_Name, bool]:
    return {name: value < LEVEL for name, value in zip(values, holm([*values.values()]), strict=True)}


def _p_value(ours: Sequence[float], theirs: Sequence[float], alternative: str) -> float:
    if min(len(ours), len(theirs)) < 2:
        return 1.0
    if len({*ours}) == len({*theirs}) == 1:  # no variance to test by
        return float(fmean(ours) <= fmean(theirs) if alternative == "greater" else fmean(ours) == fmean(theirs))
    return float(ttest_ind(ours, theirs, equal_var=False, alternative=alternative).pvalue)


def holm(values: Sequence[float]) -> list[float]:
    """
    Adjusts p-values for several comparisons (Holm 1979, https://www.jstor.org/stable/4615733).

    Args:
        values (`Sequence[float]`): p-values of m comparisons.

    Returns:
        `list[float]`: the adjusted ones, in the same order: with the k-th smallest p, from 0, the greatest of
        (m - i) p_i over i <= k, at most 1.
    """
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted, greatest = [0.0] * len(values), 0.0
    for place, index in enumerate(order):
        greatest = max(greatest, min((len(values) - place) * values[index], 1.0))
        adjusted[index] = greatest
    return adjusted
