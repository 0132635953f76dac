"""The divergence from a reference, against torch's."""

import pytest
import torch
from torch.nn import functional as F

from modeling_sensia import lm_loss
from modeling_sensia.distillation_loss import distillation_losses, distillation_losses_of_states


def two_models(dtype=torch.float64):
    """States [12, D] and head [23, D] of a model and of its reference, and labels."""
    generator = torch.Generator().manual_seed(0)
    shapes = (12, 6), (23, 6), (12, 4), (23, 4)
    drawn = [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes]
    states, head, reference_states, reference_head = drawn
    labels = torch.randint(0, 23, (12,), generator=generator)
    return states.requires_grad_(), head.requires_grad_(), labels, reference_states, reference_head


def divergence_of(logits, reference_logits):
    expected, predicted = (each.double().log_softmax(-1) for each in (reference_logits, logits))
    return (expected.exp() * (expected - predicted)).sum()


@pytest.fixture(params=[1, 3, 5, 12], ids="blocks of {}".format)
def tokens_of_a_block(request, monkeypatch):
    monkeypatch.setattr(lm_loss, "_LOGITS_IN_CACHE", 23 * request.param)


@pytest.fixture(params=[1, 5, 12], ids="chunks of {}".format)
def tokens_of_a_chunk(request, monkeypatch):
    monkeypatch.setattr(lm_loss, "_LOGITS_AT_A_TIME", 23 * request.param)


@pytest.mark.usefixtures("tokens_of_a_block", "tokens_of_a_chunk")
def test_the_divergence_of_states_is_that_of_their_logits_in_value_and_gradient():
    states, head, labels, *reference = two_models()
    before = [each.clone() for each in reference]
    found, losses = distillation_losses_of_states(states, head, labels, *reference)
    logits = states @ head.T
    expected = divergence_of(logits, reference[0] @ reference[1].T)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(losses, F.cross_entropy(logits, labels, reduction="none").detach())
    gradients = [torch.autograd.grad(3 * each, (states, head)) for each in (found, expected)]
    torch.testing.assert_close(*gradients)
    assert all(torch.equal(each, kept) for each, kept in zip(reference, before, strict=True))


def test_the_divergence_of_logits_is_that_of_their_distributions():
    states, head, labels, *reference = two_models()
    logits, reference_logits = states @ head.T, reference[0] @ reference[1].T
    found, losses = distillation_losses(logits, labels, reference_logits)
    torch.testing.assert_close(found, divergence_of(logits, reference_logits))
    torch.testing.assert_close(losses, F.cross_entropy(logits, labels, reduction="none").detach())


def test_of_large_logits_the_divergence_is_finite_and_right():
    states, head, labels, *reference = two_models(torch.float32)
    large = [(100 * each).detach() for each in (states, reference[0])]
    found, losses = distillation_losses_of_states(large[0], head, labels, large[1], reference[1])
    expected = divergence_of(large[0] @ head.T, large[1] @ reference[1].T)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5) and losses.isfinite().all()


@pytest.mark.usefixtures("tokens_of_a_block")
def test_under_autocast_logits_are_rounded_and_everything_after_them_is_in_float32():
    states, head, labels, *reference = two_models(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found, losses = distillation_losses_of_states(states, head, labels, *reference)
    found.backward()
    rounded = [each.detach().bfloat16() for each in (states, head, *reference)]
    logits, reference_logits = rounded[0] @ rounded[1].T, rounded[2] @ rounded[3].T  # in bfloat16
    assert found.dtype == losses.dtype == head.grad.dtype == torch.float32
    assert found.item() == pytest.approx(divergence_of(logits, reference_logits).item(), rel=1e-5)
    torch.testing.assert_close(losses, F.cross_entropy(logits.float(), labels, reduction="none"))
    difference = logits.double().softmax(-1) - reference_logits.double().softmax(-1)
    torch.testing.assert_close(head.grad.double(), difference.T @ rounded[0].double(), rtol=0.05, atol=5e-3)
    torch.testing.assert_close(states.grad.double(), difference @ rounded[1].double(), rtol=0.05, atol=5e-3)


def test_a_model_like_its_reference_has_no_divergence_and_no_gradient():
    states, head, labels, *_ = two_models()
    divergence, _ = distillation_losses_of_states(states, head, labels, states.detach(), head.detach())
    divergence.backward()
    assert divergence.item() == 0 and not states.grad.any() and not head.grad.any()
