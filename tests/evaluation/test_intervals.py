import numpy as np
import pytest
from scipy import stats

from sensia.evaluation.intervals import bootstrap_mean, bootstrap_ratio, bootstrap_spearman


def test_the_interval_of_an_accuracy_is_about_that_of_the_binomial():
    values = [1.0] * 130 + [0.0] * 70
    low, high = bootstrap_mean(values)
    exact = stats.binomtest(130, 200).proportion_ci(0.95)
    assert (low, high) == (pytest.approx(exact.low, abs=0.012), pytest.approx(exact.high, abs=0.012))


def test_an_interval_is_the_percentiles_of_a_loop_of_resamples():
    values, generator = np.arange(30.0) ** 2, np.random.default_rng(1)
    means = [values[generator.integers(0, 30, 30)].mean() for _ in range(5000)]
    assert bootstrap_mean(values, resamples=5000) == pytest.approx(np.percentile(means, [2.5, 97.5]), rel=0.03)


def test_the_interval_of_a_rank_correlation_is_the_percentiles_of_a_loop_of_resamples():
    generator = np.random.default_rng(2)
    first = generator.normal(size=60).round(1)
    second = first + generator.normal(size=60)
    drawn = [generator.integers(0, 60, 60) for _ in range(1500)]
    found = [stats.spearmanr(first[rows], second[rows]).statistic for rows in drawn]
    assert bootstrap_spearman(first, second) == pytest.approx(np.percentile(found, [2.5, 97.5]), abs=0.05)


def test_the_interval_of_a_ratio_draws_both_sides_together():
    generator = np.random.default_rng(3)
    below = generator.integers(1, 40, 50).astype(float)
    above = below * generator.normal(3, 0.5, 50)
    drawn = [generator.integers(0, 50, 50) for _ in range(5000)]
    found = [above[rows].sum() / below[rows].sum() for rows in drawn]
    assert bootstrap_ratio(above, below, resamples=5000) == pytest.approx(np.percentile(found, [2.5, 97.5]), rel=0.02)
    assert bootstrap_ratio([3.0], [2.0]) == [1.5, 1.5]
    assert bootstrap_ratio([2.0, 4.0, 6.0], [1.0, 2.0, 3.0]) == [2.0, 2.0]


def test_one_seed_gives_one_interval():
    values = [0.0, 1.0, 1.0, 0.0, 1.0]
    assert bootstrap_mean(values) == bootstrap_mean(values)


def test_values_that_are_all_one_have_an_interval_without_width():
    assert bootstrap_mean([1.0] * 5) == [1.0, 1.0]
    assert bootstrap_mean([0.25]) == [0.25, 0.25]


def test_no_value_is_refused():
    with pytest.raises(ValueError, match="at least one value"):
        bootstrap_mean([])
