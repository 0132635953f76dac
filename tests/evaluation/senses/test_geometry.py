import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes
from scipy.stats import bootstrap, ortho_group, spearmanr
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import cosine_similarity

from sensia.evaluation.senses.geometry import mutual_information, procrustes_alignment, sense_topology

STATISTICS = [sense_topology, procrustes_alignment, mutual_information]


def noise(pairs=60, senses=4, size=6, seed=0):
    return np.random.default_rng(seed).normal(size=(pairs, senses, size))


@pytest.fixture(scope="module")
def related():
    source = noise(80) + 1.0
    return source, source @ ortho_group.rvs(6, random_state=0) + noise(80, seed=1)


def fold_parts(pairs, folds=5, seed=0):
    """The documented parts: a seeded shuffle of the pairs, cut into equal pieces."""
    order = np.random.default_rng(seed).permutation(pairs)
    return [([i for i in order if i not in set(part)], list(part)) for part in np.array_split(order, folds)]


def naive_rho(source, target):
    upper = np.triu_indices(len(source), 1)
    return spearmanr(cosine_similarity(source)[upper], cosine_similarity(target)[upper]).statistic


def test_topology_is_the_mean_spearman_rho_of_scipy(related):
    source, target = related
    expected = np.mean([naive_rho(s, t) for s, t in zip(source, target, strict=True)])
    assert sense_topology(source, target)["estimate"] == pytest.approx(expected, abs=1e-12)


def test_the_histogram_counts_the_rhos_of_pairs_and_of_shuffled_pairs():
    source, target = noise(40, seed=7) + noise(1, seed=8), noise(40, seed=9) + noise(1, seed=8)
    rhos = [round(naive_rho(s, t), 9) for s, t in zip(source, target, strict=True)]
    table = np.array([[naive_rho(s, t) for t in target] for s in source]).round(9)
    histogram = sense_topology(source, target, shuffles=3000)["histogram"]
    edges = histogram["edges"]
    expected = [sum(low <= rho < high for rho in rhos) for low, high in pairwise(edges)]
    chance = np.histogram(table, edges)[0] / 40
    assert (edges[0], edges[-1], len(edges)) == (-1, 1, 41)
    assert histogram["pairs"] == expected
    assert histogram["shuffled"] == pytest.approx(chance, abs=0.2)


def test_a_rho_of_one_is_in_the_last_bin():
    senses = noise(20)
    assert sense_topology(senses, senses)["histogram"]["pairs"] == [0] * 39 + [20]


def test_topology_gives_tied_cosines_their_average_rank():
    source, target = np.round(noise(5, seed=2)), noise(5, seed=3)
    source[:, 1] = source[:, 0]
    expected = np.mean([naive_rho(s, t) for s, t in zip(source, target, strict=True)])
    assert sense_topology(source, target)["estimate"] == pytest.approx(expected, abs=1e-12)


def test_topology_baseline_and_p_value_are_those_of_random_pairings():
    source = noise(6, seed=4) + 2 * noise(1, seed=5)
    target = source + 1.5 * noise(6, seed=6)
    table = np.array([[naive_rho(s, t) for t in target] for s in source])
    result = sense_topology(source, target, shuffles=4000)
    assert result["baseline"] == pytest.approx(table.mean(), abs=0.01)
    assert result["gap"] == pytest.approx(result["estimate"] - result["baseline"])
    orders = [np.random.default_rng(i).permutation(6) for i in range(4000)]
    share = np.mean([table[range(6), order].mean() >= table.diagonal().mean() - 1e-12 for order in orders])
    assert 0.02 < share < 0.98
    assert result["p_value"] == pytest.approx(share, abs=0.03)


def test_identical_senses_have_rho_one():
    senses = noise()
    result = sense_topology(senses, 3 * senses)
    assert result["estimate"] == pytest.approx(1)
    assert result["p_value"] == pytest.approx(1 / 201)


def test_topology_leaves_out_words_whose_senses_are_all_alike():
    source, target = noise(20), noise(20, seed=1)
    whole = sense_topology(source[2:], target[2:])
    source[0], target[1] = 0.0, 0.0
    result = sense_topology(source, target)
    assert (result["pairs"], result["undefined_pairs"]) == (18, 2)
    assert result["estimate"] == pytest.approx(whole["estimate"])
    with pytest.raises(ValueError, match="Only 1 of 3 pairs"):
        sense_topology(source[:3], target[:3])


def test_topology_needs_three_senses():
    with pytest.raises(ValueError, match="3 senses"):
        sense_topology(noise(senses=2), noise(senses=2))


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def naive_procrustes(source, target, center, fit):
    """Cosines of the held-out pairs [N, K], of the pairs fitted to, and of all held-out pairings."""
    source, target, held, fitted, chance = unit(source), unit(target), np.empty(source.shape[:2]), [], []
    for train, test in fold_parts(len(source)):
        left, right = source.copy(), target.copy()
        if center:
            left, right = left - left[train].mean(0), right - right[train].mean(0)
        rotated = fit(left, right, train)
        held[test] = (unit(rotated[test]) * unit(right[test])).sum(-1)
        fitted.append((unit(rotated[train]) * unit(right[train])).sum(-1).mean(0))
        chance += [(unit(rotated[test]) * unit(right[j])).sum(-1).mean(0) for j in test]
    return held, np.mean(fitted, 0), np.mean(chance, 0)


def one_rotation(left, right, train):
    size = left.shape[-1]
    return left @ orthogonal_procrustes(left[train].reshape(-1, size), right[train].reshape(-1, size))[0]


def a_rotation_each(left, right, train):
    fits = [orthogonal_procrustes(left[train, k], right[train, k])[0] for k in range(left.shape[1])]
    return np.stack([left[:, k] @ fit for k, fit in enumerate(fits)], 1)


@pytest.mark.parametrize("center", [True, False])
def test_procrustes_is_the_held_out_cosine_of_scipys_rotations(related, center):
    result = procrustes_alignment(*related, center=center, shuffles=3000)
    held, fitted, chance = naive_procrustes(*related, center, one_rotation)
    assert result["estimate"] == pytest.approx(held.mean(), abs=1e-9)
    assert result["fitted"] == pytest.approx(fitted.mean(), abs=1e-9)
    assert result["baseline"] == pytest.approx(chance.mean(), abs=0.005)
    held, fitted, chance = naive_procrustes(*related, center, a_rotation_each)
    assert result["per_sense"]["estimate"] == pytest.approx(held.mean(0), abs=1e-9)
    assert result["per_sense"]["fitted"] == pytest.approx(fitted, abs=1e-9)
    assert result["per_sense"]["baseline"] == pytest.approx(chance, abs=0.01)


@pytest.mark.parametrize("center", [True, False])
def test_a_rotated_copy_is_mapped_perfectly_on_held_out_pairs(center):
    source = noise() + 0.5
    result = procrustes_alignment(source, source @ ortho_group.rvs(6, random_state=1), center=center)
    assert result["estimate"] == pytest.approx(1)
    assert result["per_sense"]["estimate"] == pytest.approx([1] * 4)
    assert result["p_value"] == pytest.approx(1 / 201)


def test_unrelated_senses_fit_but_do_not_hold_out():
    result = procrustes_alignment(noise(300), noise(300, seed=1))
    assert abs(result["estimate"]) < 0.05
    assert result["p_value"] > 0.05
    assert result["fitted"] > result["estimate"] + 0.02


def test_without_centering_a_common_mean_passes_for_alignment():
    source, target = noise(300) + 2, noise(300, seed=1) - 2
    raw, centered = (procrustes_alignment(source, target, center=center) for center in (False, True))
    assert raw["estimate"] > 0.5 and raw["gap"] == pytest.approx(0, abs=0.02)
    assert abs(centered["estimate"]) < 0.05


def test_mutual_information_is_the_held_out_bound_of_scikit_learns_critic():
    # Parts of five words: the critic is set against all others, so nothing random is left but the parts.
    source = noise(10, senses=2, size=3)
    target = source + noise(10, senses=2, size=3, seed=1)
    terms = []
    for train, test in fold_parts(10, folds=2):
        sides = []
        for side in (source, target):
            flat = unit(side).reshape(10, -1)
            pca = PCA(2).fit(flat[train])
            sides.append(pca.transform(flat) / np.sqrt(pca.explained_variance_.mean()))
        left, right = sides

        def products(indices, left=left, right=right):
            table = [(i == j, np.outer(left[i], right[j]).ravel()) for i in indices for j in indices]
            return np.array([same for same, _ in table]), np.array([product for _, product in table])

        labels, features = products(train)
        critic = LogisticRegression(C=1 / 0.1, tol=1e-12, max_iter=10_000)
        critic.fit(features, labels, sample_weight=np.where(labels, 0.5 / 5, 0.5 / 20))
        labels, features = products(test)
        chances = critic.predict_proba(features)[:, 1]
        terms.append(np.log(chances[labels]).mean() / 2 + np.log(1 - chances[~labels]).mean() / 2)
    result = mutual_information(source, target, components=2, folds=2, shuffles=1)
    assert result["estimate"] == pytest.approx(math.log(2) + np.mean(terms), abs=1e-4)
    assert result["ceiling"] == pytest.approx(0.693147, abs=1e-6)


def test_words_that_determine_their_translations_say_much_about_them():
    source = noise(300)
    result = mutual_information(source, source @ ortho_group.rvs(6, random_state=2), shuffles=19)
    assert 0.3 < result["estimate"] < result["ceiling"]
    assert result["fitted"] > result["estimate"]
    assert result["baseline"] == pytest.approx(0, abs=0.1)
    assert result["p_value"] == pytest.approx(1 / 20)


def test_unrelated_words_say_nothing_about_each_other():
    result = mutual_information(noise(300), noise(300, seed=1), shuffles=19)
    assert result["estimate"] < 0.01 < result["fitted"]
    assert result["p_value"] > 0.05


def test_mutual_information_does_not_depend_on_the_axes_of_either_language(related):
    source, target = related
    expected = mutual_information(source, target, components=8, shuffles=2)
    rotated = mutual_information(source, target @ ortho_group.rvs(6, random_state=3), components=8, shuffles=2)
    assert rotated["estimate"] == pytest.approx(expected["estimate"], abs=1e-4)


@pytest.mark.parametrize("components", [0, 25, 65])
def test_components_have_to_exist(components):
    with pytest.raises(ValueError, match=f"from 1 to 24, .* got {components}"):
        mutual_information(noise(80), noise(80), components=components)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_the_interval_contains_the_estimate_and_narrows_with_pairs(statistic):
    widths = []
    for pairs in (50, 800):
        source = noise(pairs)
        result = statistic(source, source + noise(pairs, seed=1), shuffles=2)
        assert result["ci_low"] < result["estimate"] < result["ci_high"]
        assert result["pairs"] == pairs
        widths.append(result["ci_high"] - result["ci_low"])
    assert widths[1] < widths[0] / 2


def test_the_interval_is_the_percentile_bootstrap_of_scipy(related):
    rhos = [naive_rho(s, t) for s, t in zip(*related, strict=True)]
    expected = bootstrap((rhos,), np.mean, method="percentile", rng=np.random.default_rng(1)).confidence_interval
    result = sense_topology(*related)
    width = expected.high - expected.low
    assert [result["ci_low"], result["ci_high"]] == pytest.approx([expected.low, expected.high], abs=width / 16)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_the_same_seed_gives_the_same_result_and_another_seed_another(related, statistic):
    first, again, other = (statistic(*related, shuffles=3, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first["baseline"] != other["baseline"]


@pytest.mark.parametrize("statistic", STATISTICS)
def test_half_precision_tensors_and_arrays_give_the_same(related, statistic):
    tensors = [torch.tensor(side).bfloat16() for side in related]
    arrays = [tensor.float().numpy() for tensor in tensors]
    assert statistic(*tensors, shuffles=2) == statistic(*arrays, shuffles=2)


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize(
    ("source", "target"),
    [((20, 4, 6), (19, 4, 6)), ((20, 4, 6), (20, 4, 5)), ((20, 6), (20, 6)), ((1, 4, 6), (1, 4, 6))],
)
def test_senses_that_do_not_match_are_refused(statistic, source, target):
    with pytest.raises(ValueError, match="one shape"):
        statistic(np.ones(source), np.ones(target))


@pytest.mark.parametrize("statistic", STATISTICS)
def test_senses_that_are_not_finite_are_refused(statistic):
    senses = noise()
    senses[3, 1, 2] = math.nan
    with pytest.raises(ValueError, match="finite"):
        statistic(noise(), senses)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_baseline_needs_a_shuffle(statistic):
    with pytest.raises(ValueError, match="at least 1 shuffle, got 0"):
        statistic(noise(), noise(), shuffles=0)


@pytest.mark.parametrize("statistic", [procrustes_alignment, mutual_information])
@pytest.mark.parametrize("folds", [1, 31])
def test_folds_have_to_leave_pairs_on_both_sides(statistic, folds):
    with pytest.raises(ValueError, match=f"got {folds} folds of 60 pairs"):
        statistic(noise(), noise(), folds=folds)
