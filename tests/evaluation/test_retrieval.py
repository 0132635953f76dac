import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evaluation import retrieval_recall


def naive_recall(queries, candidates):
    hits = 0
    for row, query in enumerate(queries):
        cosines = [float(query @ other / (query.norm() * other.norm())) for other in candidates]
        hits += max(range(len(cosines)), key=cosines.__getitem__) == row
    return hits / len(queries)


@given(rows=st.integers(1, 30), chunk_size=st.integers(1, 8), seed=st.integers(0, 1000))
def test_recall_equals_a_loop_over_cosines_in_both_directions(rows, chunk_size, seed):
    generator = torch.Generator().manual_seed(seed)
    source = torch.randn(rows, 3, generator=generator, dtype=torch.float64)
    target = source + torch.randn(rows, 3, generator=generator, dtype=torch.float64)
    recall = retrieval_recall(source, target, chunk_size=chunk_size)
    forward, backward = naive_recall(source, target), naive_recall(target, source)
    assert recall == {"source_to_target": forward, "target_to_source": backward, "mean": (forward + backward) / 2}


def test_directions_can_differ():
    source = torch.tensor([[1.0, 0.0], [0.9, 0.1]])
    target = torch.tensor([[0.95, 0.04], [0.0, 1.0]])
    assert retrieval_recall(source, target) == {"source_to_target": 0.5, "target_to_source": 1.0, "mean": 0.75}


def test_collapsed_vectors_find_one_partner_only():
    assert retrieval_recall(torch.ones(10, 4), torch.ones(10, 4))["mean"] == pytest.approx(0.1)


@pytest.mark.parametrize(("source", "target"), [((3, 2), (4, 2)), ((0, 2), (0, 2)), ((3,), (3,))])
def test_vectors_that_do_not_match_are_refused(source, target):
    with pytest.raises(ValueError, match="one shape"):
        retrieval_recall(torch.ones(source), torch.ones(target))
