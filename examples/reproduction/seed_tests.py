"""Comparisons of runs over their seeds, several at once."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from scipy.stats import ttest_ind

#: Chance of calling any difference of a family real that is none.
LEVEL = 0.05


def greater_by_seeds(compared: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> dict[str, bool]:
    """
    Tells in which comparisons the first values are greater, by Welch's t-test over seeds, one-sided, with Holm's
    correction over all comparisons.

    Args:
        compared (`Mapping`): by name, the values of the seeds of two kinds of runs.

    Returns:
        `dict` of `bool`: by the same names; all false where one kind has a single seed.
    """
    values = {name: _p_value(*pair) for name, pair in compared.items()}
    return {name: value < LEVEL for name, value in zip(values, holm([*values.values()]), strict=True)}


def _p_value(ours: Sequence[float], theirs: Sequence[float]) -> float:
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
