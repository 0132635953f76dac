"""Bootstrap intervals over the items of a measurement."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


def bootstrap_mean(values: Sequence[float], *, resamples: int = 2000, seed: int = 0) -> list[float]:
    """
    Interval of the mean over items (percentile bootstrap, 95 %).

    It shows the uncertainty from the choice of items, not from the training run.

    Args:
        values (`Sequence[float]`): one value for each item.
        resamples (`int`, *optional*, defaults to 2000): resamples drawn.
        seed (`int`, *optional*, defaults to 0): of the resampling.

    Returns:
        `list[float]`: lower and upper end.

    Raises:
        ValueError: if there is no value.
    """
    items = np.asarray(values, dtype=np.float64)
    if len(items) == 0:
        raise ValueError("A bootstrap interval needs at least one value.")
    if len(items) == 1:
        return [float(items[0])] * 2
    return _ends((items,), np.mean, resamples, seed)


def bootstrap_ratio(
    above: Sequence[float], below: Sequence[float], *, resamples: int = 2000, seed: int = 0
) -> list[float]:
    """
    Interval of a ratio of sums, for example nats per byte, from resampling items; see [`bootstrap_mean`].

    Args:
        above (`Sequence[float]`): contribution of each item to the numerator.
        below (`Sequence[float]`): contribution of each item to the denominator, above 0.
        resamples (`int`, *optional*, defaults to 2000): resamples drawn.
        seed (`int`, *optional*, defaults to 0): of the resampling.

    Returns:
        `list[float]`: lower and upper end.
    """
    pairs = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    if len(pairs[0]) == 1:
        return [float(pairs[0][0] / pairs[1][0])] * 2
    return _ends(pairs, _ratio_of_sums, resamples, seed)


def bootstrap_spearman(
    first: Sequence[float], second: Sequence[float], *, resamples: int = 1000, seed: int = 0
) -> list[float]:
    """
    Interval of Spearman's rank correlation, from resampling pairs of values; see [`bootstrap_mean`].

    Args:
        first (`Sequence[float]`), second (`Sequence[float]`): N values each, at least two.
        resamples (`int`, *optional*, defaults to 1000): resamples drawn.
        seed (`int`, *optional*, defaults to 0): of the resampling.

    Returns:
        `list[float]`: lower and upper end.
    """
    pairs = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    return _ends(pairs, _spearman, resamples, seed)


def _ends(
    items: tuple[np.ndarray, ...], statistic: Callable[..., np.ndarray], resamples: int, seed: int
) -> list[float]:
    """Ends of the percentile interval of a statistic that takes an `axis`; arrays are resampled together."""
    found = stats.bootstrap(
        items,
        statistic,
        n_resamples=resamples,
        confidence_level=CONFIDENCE,
        method="percentile",
        paired=len(items) > 1,
        vectorized=True,
        batch=200,
        rng=seed,
    )
    return [float(end) for end in found.confidence_interval]


def _ratio_of_sums(above: np.ndarray, below: np.ndarray, axis: int) -> np.ndarray:
    return above.sum(axis=axis) / below.sum(axis=axis)


def _spearman(first: np.ndarray, second: np.ndarray, axis: int) -> np.ndarray:
    ranks = [stats.rankdata(values, axis=axis) for values in (first, second)]  # [..., N]
    left, right = (rank - rank.mean(axis=axis, keepdims=True) for rank in ranks)
    spread = np.sqrt((left**2).sum(axis=axis) * (right**2).sum(axis=axis))
    # The correlation is undefined for a resample in which all values are equal.
    return np.divide((left * right).sum(axis=axis), spread, out=np.zeros_like(spread), where=spread > 0)
