"""Margin scores and mining against the same definitions written as loops."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sensia.evaluation.mining import centred_vectors, mine_documents, mine_pairs, score_pairs
from sensia.evaluation.retrieval import nearest_neighbours


def unit_vectors(rows, seed, width=6):
    generator = torch.Generator().manual_seed(seed)
    # Mostly of one direction, as the vectors of sentences are: cosines to neighbours are positive.
    vectors = torch.randn(rows, width, generator=generator, dtype=torch.float64) + 2
    return vectors / vectors.norm(dim=1, keepdim=True)


def naive_margin(source, target, row, column, neighbours):
    """2 cos(x, y) divided by the sum of the mean cosine of x to its neighbours and that of y to its own."""
    of_source = sorted((float(source[row] @ other) for other in target), reverse=True)[:neighbours]
    of_target = sorted((float(target[column] @ other) for other in source), reverse=True)[:neighbours]
    means = sum(of_source) / len(of_source), sum(of_target) / len(of_target)
    return 2 * float(source[row] @ target[column]) / sum(means)


def nearest(vector, others, neighbours):
    return sorted(range(len(others)), key=lambda row: float(vector @ others[row]), reverse=True)[:neighbours]


def naive_choices(source, target, neighbours):
    """(score, row, column) of the best neighbour of every source, and of every target."""
    forward = [
        max((naive_margin(source, target, row, column, neighbours), row, column) for column in near)
        for row in range(len(source))
        for near in [nearest(source[row], target, neighbours)]
    ]
    backward = [
        max((naive_margin(source, target, row, column, neighbours), row, column) for row in near)
        for column in range(len(target))
        for near in [nearest(target[column], source, neighbours)]
    ]
    return forward, backward


@given(rows=st.integers(1, 12), neighbours=st.integers(1, 5), seed=st.integers(0, 1000))
@settings(deadline=None)
def test_a_margin_score_is_the_cosine_by_the_mean_of_the_neighbourhoods(rows, neighbours, seed):
    source, target = unit_vectors(rows, seed), unit_vectors(rows, seed + 1)
    expected = [naive_margin(source, target, row, row, neighbours) for row in range(rows)]
    assert score_pairs(source, target, neighbours=neighbours).tolist() == pytest.approx(expected)


def test_a_misaligned_pair_scores_less_by_margin_than_a_pair_of_the_same_cosine():
    axes = torch.eye(4)
    source = axes[:3]
    near = torch.stack([axes[0] + axes[3], axes[0] + 0.1 * axes[1], axes[2] + axes[3]])
    target = near / near.norm(dim=1, keepdim=True)  # the partner of the first source stands in the second row
    cosines, margins = (score_pairs(source, target, score=score, neighbours=1) for score in ("cosine", "margin"))
    assert cosines[0] == pytest.approx(cosines[2]) and margins[0] < 0.9 * margins[2]


@given(rows=st.tuples(st.integers(1, 10), st.integers(1, 10)), neighbours=st.integers(1, 4), seed=st.integers(0, 500))
@settings(deadline=None)
def test_intersection_takes_the_pairs_that_choose_each_other(rows, neighbours, seed):
    source, target = unit_vectors(rows[0], seed), unit_vectors(rows[1], seed + 1)
    forward, backward = naive_choices(source, target, neighbours)
    chosen = {(row, column) for _, row, column in forward} & {(row, column) for _, row, column in backward}
    found = mine_pairs(source, target, strategy="intersection", neighbours=neighbours)
    assert set(zip(found[0].tolist(), found[1].tolist(), strict=True)) == chosen


@given(rows=st.tuples(st.integers(1, 10), st.integers(1, 10)), neighbours=st.integers(2, 4), seed=st.integers(0, 500))
@settings(deadline=None)
def test_max_takes_the_best_choices_of_both_sides_with_each_sentence_once(rows, neighbours, seed):
    source, target = unit_vectors(rows[0], seed), unit_vectors(rows[1], seed + 1)
    forward, backward = naive_choices(source, target, neighbours)
    expected, used = [], set()
    for score, row, column in sorted({*forward, *backward}, reverse=True):
        if not {("source", row), ("target", column)} & used:
            expected.append((row, column, pytest.approx(score)))
            used |= {("source", row), ("target", column)}
    found = mine_pairs(source, target, strategy="max", neighbours=neighbours)
    assert list(zip(*(each.tolist() for each in found), strict=True)) == expected


def test_shuffled_translations_are_found():
    source = unit_vectors(2500, 0, width=32)  # more than a block of the search
    order = torch.randperm(2500, generator=torch.Generator().manual_seed(1))
    found = mine_pairs(source, (source + 0.01 * unit_vectors(2500, 2, width=32))[order])
    assert len(found[0]) == 2500 and torch.equal(order[found[1]], found[0])


def test_neighbours_are_those_of_the_whole_matrix():
    source, target = unit_vectors(1500, 0), unit_vectors(1100, 1)
    for (cosines, rows), matrix in zip(
        nearest_neighbours(source, target, 3), (source @ target.T, target @ source.T), strict=True
    ):
        expected = matrix.topk(3)
        assert torch.allclose(cosines, expected.values) and torch.equal(rows, expected.indices)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_scores_of_a_handful_of_pairs_are_finite_and_small(rows):
    source, target = (centred_vectors(unit_vectors(rows, seed)) for seed in (0, 1))
    assert score_pairs(source, target).abs().max() <= 10 + 1e-9
    assert mine_pairs(source, target)[2].abs().max() <= 10 + 1e-9


def test_centred_vectors_have_lost_what_all_have_in_common():
    vectors = torch.randn(50, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.allclose(centred_vectors(vectors + 7), centred_vectors(vectors))
    assert torch.allclose(centred_vectors(vectors).norm(dim=1), torch.ones(50, dtype=torch.float64))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: score_pairs(torch.ones(2, 3), torch.ones(2, 3), score="dot"), "must be one of margin, cosine"),
        (lambda: score_pairs(torch.ones(2, 3), torch.ones(3, 3)), "of one shape, got"),
        (lambda: mine_pairs(torch.ones(2, 3), torch.ones(2, 3), strategy="both"), "one of max, intersection"),
        (lambda: mine_pairs(torch.ones(2, 3), torch.ones(0, 3)), "Both languages need sentences, got 2 and 0"),
    ],
)
def test_wrong_input_of_mining_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@given(rows=st.tuples(st.integers(1, 9), st.integers(1, 9)), seed=st.integers(0, 300))
@settings(deadline=None)
@pytest.mark.parametrize("strategy", ["max", "intersection"])
def test_one_pair_of_documents_is_mined_as_two_texts(strategy, rows, seed):
    source, target = unit_vectors(rows[0], seed), unit_vectors(rows[1], seed + 1)
    whole = [(torch.arange(rows[0]), torch.arange(rows[1]))]
    # With as many neighbours as sentences, every sentence is a candidate of the text too.
    settings = {"strategy": strategy, "neighbours": max(rows)}
    expected = mine_pairs(source, target, **settings)
    for found, wanted in zip(mine_documents(source, target, whole, **settings), expected, strict=True):
        torch.testing.assert_close(found, wanted)


@given(rows=st.integers(4, 12), neighbours=st.integers(1, 4), seed=st.integers(0, 300))
@settings(deadline=None)
def test_neighbours_of_a_document_are_looked_for_in_all_of_them(rows, neighbours, seed):
    source, target = unit_vectors(rows, seed), unit_vectors(rows, seed + 1)
    documents = [(torch.arange(2), torch.arange(2)), (torch.arange(2, rows), torch.arange(2, rows))]
    found = mine_documents(source, target, documents, neighbours=neighbours)
    for row, column, score in zip(*(each.tolist() for each in found), strict=True):
        assert (row < 2) == (column < 2)
        assert score == pytest.approx(naive_margin(source, target, row, column, neighbours))


def test_documents_without_sentences_are_refused():
    nothing = (torch.arange(0), torch.arange(3))
    with pytest.raises(ValueError, match="no pair of documents with sentences"):
        mine_documents(unit_vectors(3, 0), unit_vectors(3, 1), [nothing])
