"""Comparisons of runs over their seeds, and the correction for several."""

import warnings
from collections.abc import Hashable, Mapping, Sequence
from statistics import fmean
from typing import TypeVar

from scipy.stats import ttest_ind

#: Chance of calling any difference of a family real that is none.
LEVEL = 0.05
_Name = TypeVar("_Name", bound=Hashable)


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
    values = [welch_p_value(*pair, "two-sided") for pair in testable.values()]
    return {name: value < LEVEL for name, value in zip(testable, holm(values), strict=True)}


def welch_p_value(ours: Sequence[float], theirs: Sequence[float], alternative: str = "greater") -> float:
    """
    p-value of Welch's t-test over seeds.

    Args:
        ours (`Sequence[float]`), theirs (`Sequence[float]`): a value for each seed.
        alternative (`str`, *optional*, defaults to `"greater"`): what is tested: that the first values are greater, or
            with `"two-sided"` that they differ.

    Returns:
        `float`: 1 where one side has a single seed, which tells nothing.
    """
    if min(len(ours), len(theirs)) < 2:
        return 1.0
    if len({*ours}) == len({*theirs}) == 1:  # no variance to test by
        return float(fmean(ours) <= fmean(theirs) if alternative == "greater" else fmean(ours) == fmean(theirs))
    with warnings.catch_warnings():
        # Seeds of one side may be equal: the variance of the other side is then the one that counts.
        warnings.filterwarnings("ignore", "Precision loss occurred", RuntimeWarning)
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
