"""Figures of runs with their intervals, and the tests that are corrected together."""

import math

import pytest
from claim_results import result

from reproduction.estimates import Estimate
from reproduction.family import family_p_values
from reproduction.run_results import Results
from reproduction.seed_tests import welch_p_value


def test_a_figure_is_written_with_its_interval():
    assert Estimate(0.5, 0.25, 0.75).text(2, "+") == "+0.50 (+0.25 to +0.75)"
    assert str(Estimate(2.5)) == "2.500"


def test_the_ends_of_a_difference_are_added_in_quadrature():
    found = Estimate(5, 2, 6).minus(Estimate(1, -3, 5))
    assert (found.value, found.low, found.high) == (4, 4 - math.hypot(3, 4), 4 + math.hypot(1, 4))
    assert Estimate(5, 2, 6).minus(Estimate(1)).ends() == ()


def test_an_interval_is_the_range_over_seeds_or_the_bootstrap_of_one():
    one, several = Results([result("a", 0.5, 2.7)]), Results(result("a", x, 2.7, seed=x) for x in (0.4, 0.5, 0.9))
    assert one.estimate("a", "context recall@1") == Estimate(0.5, 0.48, 0.52)
    assert several.estimate("a", "context recall@1") == Estimate(pytest.approx(0.6), 0.4, 0.9)


def test_recall_is_the_mean_of_both_vectors_and_not_known_of_a_model_with_one():
    run = result("a", 0.5, 2.7)
    entry = {"metrics": {"context_recall@1": 0.4, "sense_recall@1": 0.2}}
    entry["intervals"] = {"context_recall@1": [0.3, 0.5], "sense_recall@1": [0.1, 0.4]}
    run["scores"] = {"ntrex": entry}
    assert Results([run]).estimate("a", "recall").text(3) == "0.300 (0.200 to 0.450)"
    del entry["metrics"]["sense_recall@1"]
    assert Results([run]).estimate("a", "recall") is None


def test_all_tests_of_all_claims_are_one_family():
    runs = [result(kind, recall, 2.7, seed=s) for kind, recall in (("sensia", 0.5), ("lm-only", 0.4)) for s in (0, 1)]
    for run, shift in zip(runs, (0.0, 0.02, 0.0, 0.03), strict=True):
        for task in run["scores"].values():
            task["metrics"]["context_recall@1"] += shift
    runs += [result("no-joint", 0.5, 2.7, seed=seed) for seed in (0, 1)]
    family = family_p_values(Results(runs))
    assert "phases: no-joint" in family and len(family) == 7
    smallest = min(p for p, _ in family.values())
    assert {corrected for p, corrected in family.values() if p == smallest} == {min(1, 7 * smallest)}


def test_a_comparison_with_one_seed_is_not_a_test():
    runs = [result("sensia", 0.5, 2.7, seed=0), result("sensia", 0.6, 2.7, seed=1), result("lm-only", 0.1, 2.7)]
    assert family_p_values(Results(runs)) == {} and welch_p_value([0.5, 0.6], [0.1]) == 1
