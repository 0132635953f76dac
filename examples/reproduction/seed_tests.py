"""Comparisons of runs over their seeds, and the correction for several."""

from collections.abc import Sequence
from statistics import fmean

from scipy.stats import ttest_ind

#: Chance of calling any difference of a family real that is none.
LEVEL = 0.05


def welch_p_value(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """
    p-value of the first values being greater, by Welch's t-test, one-sided.

    Args:
        ours (`Sequence[float]`), theirs (`Sequence[float]`): a value for each seed.

    Returns:
        `float`: 1 where one side has a single seed, which tells nothing.
    """
    if min(len(ours), len(theirs)) < 2:
        return 1.0
    if len({*ours}) == len({*theirs}) == 1:  # no variance to test by
        return float(fmean(ours) <= fmean(theirs))
    return float(ttest_ind(ours, theirs, equal_var=False, alternative="greater").pvalue)


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
