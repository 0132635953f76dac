import math

import pytest
import torch
from torch.nn import functional as F

from sensia.trainers import info_nce


def unit_rows(rows, width, seed):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(rows, width, generator=generator, dtype=torch.float64), dim=-1).requires_grad_()


def naive_one_way(queries, keys, temperature):
    total = 0.0
    for i in range(len(queries)):
        scores = [torch.dot(queries[i], keys[j]) / temperature for j in range(len(keys))]
        total = total - (scores[i] - torch.stack(scores).logsumexp(0))
    return total / len(queries)


@pytest.mark.parametrize("one_way", [False, True])
def test_value_and_gradients_equal_the_definition(one_way):
    queries, keys = unit_rows(5, 7, 0), unit_rows(5, 7, 1)
    expected = naive_one_way(queries, keys, 0.07)
    if not one_way:
        expected = (expected + naive_one_way(keys, queries, 0.07)) / 2
    loss = info_nce(queries, keys, 0.07, one_way=one_way)
    torch.testing.assert_close(loss, expected)
    for given, wanted in zip(
        torch.autograd.grad(loss, (queries, keys)), torch.autograd.grad(expected, (queries, keys)), strict=True
    ):
        torch.testing.assert_close(given, wanted)


def test_symmetric_loss_does_not_care_which_side_asks():
    queries, keys = unit_rows(6, 4, 0), unit_rows(6, 4, 1)
    torch.testing.assert_close(info_nce(queries, keys, 0.05), info_nce(keys, queries, 0.05))


def test_indistinguishable_vectors_cost_the_log_of_the_batch():
    same = torch.ones(8, 3) / math.sqrt(3)
    assert info_nce(same, same, 0.05).item() == pytest.approx(math.log(8))


def test_half_precision_vectors_are_compared_in_float32():
    queries, keys = unit_rows(16, 32, 0).detach(), unit_rows(16, 32, 1).detach()
    with torch.autocast("cpu", torch.bfloat16):
        loss = info_nce(queries.bfloat16(), keys.bfloat16(), 0.05)
    assert loss.dtype == torch.float32
    exact = info_nce(queries.bfloat16().double(), keys.bfloat16().double(), 0.05)
    assert loss.item() == pytest.approx(exact.item(), rel=1e-5)


def test_shapes_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match=r"\[2, 3\] and \[3, 3\]"):
        info_nce(torch.ones(2, 3), torch.ones(3, 3), 0.1)


@pytest.mark.parametrize("temperature", [0, -0.1])
def test_a_temperature_that_is_not_positive_is_refused(temperature):
    with pytest.raises(ValueError, match="temperature"):
        info_nce(torch.ones(2, 3), torch.ones(2, 3), temperature)
