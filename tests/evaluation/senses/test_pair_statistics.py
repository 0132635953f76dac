"""Shared parts of the statistics over word pairs: what is refused, folds, and intervals with their p-value."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sensia.evaluation.senses.pair_statistics import aligned_arrays, cut_parts, summarize, unit

SENSES = np.arange(24.0).reshape(4, 2, 3)


def test_tensors_in_half_precision_become_float32_arrays():
    left, right = aligned_arrays(torch.tensor(SENSES).bfloat16(), SENSES.tolist(), shuffles=1)
    assert left.dtype == right.dtype == np.float32
    np.testing.assert_array_equal(left, SENSES)


@pytest.mark.parametrize(
    ("source", "target", "shuffles", "problem"),
    [
        (SENSES, SENSES[:3], 1, r"got \[4, 2, 3\] and \[3, 2, 3\]"),
        (SENSES[0], SENSES[0], 1, r"two \[N, K, D\] tensors"),
        (SENSES[:1], SENSES[:1], 1, "at least 2 pairs"),
        (SENSES, np.full_like(SENSES, np.nan), 1, "NaN or infinity"),
        (SENSES, SENSES, 0, "at least 1 shuffle, got 0"),
    ],
)
def test_sides_that_cannot_be_compared_are_refused(source, target, shuffles, problem):
    with pytest.raises(ValueError, match=problem):
        aligned_arrays(source, target, shuffles)


def test_too_few_senses_are_refused_with_the_number_that_is_needed():
    with pytest.raises(ValueError, match="and 3 senses"):
        aligned_arrays(SENSES, SENSES, 1, senses=3)


def test_vectors_are_scaled_to_length_one_and_zero_stays():
    np.testing.assert_allclose(unit(np.array([[3.0, 4.0], [0.0, 0.0]])), [[0.6, 0.8], [0.0, 0.0]])


@given(pairs=st.integers(4, 60), folds=st.integers(2, 6), seed=st.integers(0, 99))
def test_each_pair_is_held_out_in_exactly_one_fold_and_fitted_in_the_others(pairs, folds, seed):
    if pairs < 2 * folds:
        return
    parts = cut_parts(pairs, folds, np.random.default_rng(seed))
    assert sorted(np.concatenate([held_out for _, held_out in parts])) == list(range(pairs))
    for fitted, held_out in parts:
        assert sorted([*fitted, *held_out]) == list(range(pairs))


@pytest.mark.parametrize(("pairs", "folds"), [(9, 1), (5, 3)])
def test_folds_of_less_than_two_pairs_are_refused(pairs, folds):
    with pytest.raises(ValueError, match=f"got {folds} folds of {pairs} pairs"):
        cut_parts(pairs, folds, np.random.default_rng(0))


def test_the_p_value_counts_shuffles_that_reach_the_estimate_and_the_estimate_itself():
    null = np.array([0.1, 0.5, 0.2, 0.9])
    found = summarize(np.array([0.4, 0.6]), null, np.random.default_rng(0))
    assert found["estimate"] == 0.5 and found["pairs"] == 2
    assert found["p_value"] == pytest.approx((1 + 2) / (1 + 4))
    assert found["gap"] == pytest.approx(0.5 - null.mean())


def test_the_interval_is_about_that_of_the_normal_distribution():
    values = np.random.default_rng(1).normal(3.0, 2.0, 2000)
    found = summarize(values, np.zeros(9), np.random.default_rng(0))
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert found["ci_low"] == pytest.approx(values.mean() - half, abs=0.02)
    assert found["ci_high"] == pytest.approx(values.mean() + half, abs=0.02)
