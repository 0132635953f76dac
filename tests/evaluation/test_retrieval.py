import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import label_ranking_average_precision_score, top_k_accuracy_score
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import NearestNeighbors

from sensia.evaluation import retrieval_recall
from sensia.evaluation.retrieval import neighbourhoods, retrieval_metrics, retrieval_ranks


def naive_recall(queries, candidates):
    hits = 0
    for row, query in enumerate(queries):
        cosines = [float(query @ other / (query.norm() * other.norm())) for other in candidates]
        hits += max(range(len(cosines)), key=cosines.__getitem__) == row
    return hits / len(queries)


def noisy_pairs(rows, width=3, noise=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    source = torch.randn(rows, width, generator=generator, dtype=torch.float64)
    return source, source + noise * torch.randn(rows, width, generator=generator, dtype=torch.float64)


@given(rows=st.integers(1, 30), chunk_size=st.integers(1, 8), seed=st.integers(0, 1000))
@settings(deadline=None)
def test_recall_equals_a_loop_over_cosines_in_both_directions(rows, chunk_size, seed):
    source, target = noisy_pairs(rows, seed=seed)
    recall = retrieval_recall(source, target, chunk_size=chunk_size)
    forward, backward = naive_recall(source, target), naive_recall(target, source)
    assert recall == {"source_to_target": forward, "target_to_source": backward, "mean": (forward + backward) / 2}


def test_directions_can_differ():
    source = torch.tensor([[1.0, 0.0], [0.9, 0.1]])
    target = torch.tensor([[0.95, 0.04], [0.0, 1.0]])
    assert retrieval_recall(source, target) == {"source_to_target": 0.5, "target_to_source": 1.0, "mean": 0.75}


@pytest.mark.parametrize("chunk_size", [1, 3, 1024])
def test_what_ties_is_not_found(chunk_size):
    assert retrieval_recall(torch.ones(10, 4), torch.ones(10, 4), chunk_size=chunk_size)["mean"] == 0


def test_a_repeated_translation_hides_both_of_its_sentences_one_way_and_neither_the_other():
    source = torch.tensor([[1.0, 0.1, 0.0], [1.0, 0.0, 0.1], [0.0, 0.0, 1.0]])
    target = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    forward, backward = retrieval_ranks(source, target)["cosine"]
    assert forward.tolist() == [2, 2, 1]
    assert backward.tolist() == [2, 2, 1]


def test_vectors_that_are_not_numbers_find_nothing():
    source = torch.full((5, 2), torch.nan)
    assert retrieval_recall(source, torch.randn(5, 2))["mean"] == 0


@pytest.mark.parametrize(("source", "target"), [((3, 2), (4, 2)), ((0, 2), (0, 2)), ((3,), (3,))])
def test_vectors_that_do_not_match_are_refused(source, target):
    with pytest.raises(ValueError, match="one shape"):
        retrieval_recall(torch.ones(source), torch.ones(target))


@given(rows=st.integers(7, 40), seed=st.integers(0, 100))
@settings(deadline=None)
def test_recall_at_k_and_reciprocal_rank_are_those_of_scikit_learn(rows, seed):
    source, target = noisy_pairs(rows, seed=seed)
    metrics = retrieval_metrics(source, target, chunk_size=4)
    for direction, (queries, candidates) in {
        "source_to_target": (source, target),
        "target_to_source": (target, source),
    }.items():
        cosines, own = cosine_similarity(queries, candidates), np.arange(rows)
        for places in (1, 5):
            expected = top_k_accuracy_score(own, cosines, k=places, labels=own)
            assert metrics[f"recall@{places}_{direction}"] == pytest.approx(expected)
        expected = label_ranking_average_precision_score(np.eye(rows), cosines)
        assert metrics[f"mrr_{direction}"] == pytest.approx(expected)


def test_the_margin_is_the_ratio_to_the_nearest_neighbours_of_scikit_learn():
    source, target = noisy_pairs(40, width=4)
    metrics = retrieval_metrics(source, target, neighbours=4, chunk_size=7)
    near = {}
    for name, queries, candidates in (("source", source, target), ("target", target, source)):
        distances, _ = NearestNeighbors(n_neighbors=4, metric="cosine").fit(candidates).kneighbors(queries)
        near[name] = (1 - distances).mean(1)
    margins = cosine_similarity(source, target) / ((near["source"][:, None] + near["target"]) / 2)
    places = [1 + (scores > scores.diagonal()[:, None]).sum(1) for scores in (margins, margins.T)]
    found = retrieval_ranks(source, target, neighbours=4, chunk_size=7)["margin"]
    assert [ranks.tolist() for ranks in found] == [ranks.tolist() for ranks in places]
    forward, backward = ((ranks == 1).mean() for ranks in places)
    assert metrics["margin_recall@1_source_to_target"] == pytest.approx(forward)
    assert metrics["margin_recall@1_target_to_source"] == pytest.approx(backward)
    assert metrics["margin_recall@1"] == pytest.approx((forward + backward) / 2)
    assert metrics["margin_recall@1"] != metrics["recall@1"]


def test_the_margin_finds_what_a_hub_hides():
    # The first target is near to all sources; the margin takes that from it.
    target = torch.cat([torch.ones(1, 4), torch.eye(4)[1:]])
    source = torch.eye(4) + 1.2
    metrics = retrieval_metrics(source, target, neighbours=3)
    assert metrics["margin_recall@1_source_to_target"] > metrics["recall@1_source_to_target"]


def test_a_neighbourhood_larger_than_the_candidates_is_all_of_them():
    left, right = neighbourhoods(torch.eye(3), torch.eye(3)[:2], 10)
    assert left.tolist() == pytest.approx([0.5, 0.5, 0.0])
    assert right.tolist() == pytest.approx([1 / 3, 1 / 3])


def test_neighbourhoods_of_many_blocks_are_those_of_all_cosines():
    left, right = (torch.nn.functional.normalize(torch.randn(rows, 8).double(), dim=-1) for rows in (2100, 1030))
    cosines = left @ right.T
    for found, expected in zip(neighbourhoods(left, right, 3), (cosines, cosines.T), strict=True):
        torch.testing.assert_close(found, expected.sort(1).values[:, -3:].mean(1))


@pytest.mark.parametrize("chunk_size", [1, 2, 3, 50])
def test_blocks_smaller_than_a_neighbourhood_change_no_place(chunk_size):
    source, target = noisy_pairs(31)
    whole = retrieval_ranks(source, target, neighbours=4, chunk_size=1000)
    blocks = retrieval_ranks(source, target, neighbours=4, chunk_size=chunk_size)
    assert {name: [side.tolist() for side in sides] for name, sides in blocks.items()} == {
        name: [side.tolist() for side in sides] for name, sides in whole.items()
    }


def test_the_full_matrix_is_never_in_memory():
    # 20,000 x 20,000 cosines in float64 are 3.2 GB.
    source, target = noisy_pairs(20_000, width=2, noise=0.01)
    largest = []
    multiply = torch.Tensor.__matmul__

    def watched(left, right):
        product = multiply(left, right)
        largest.append(product.numel())
        return product

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "__matmul__", watched)
        retrieval_recall(source, target)
    assert len(largest) > 2 and max(largest) <= 2**20


@pytest.mark.parametrize("pairs", [5, 9, 33])
def test_sentences_that_all_have_one_vector_find_nothing_whatever_rounding_does(pairs):
    for seed in range(20):
        vector = torch.randn(64, generator=torch.Generator().manual_seed(seed))
        assert retrieval_recall(vector.expand(pairs, 64), vector.expand(pairs, 64))["mean"] == 0
