"""The language modelling loss, against torch's and against a loop over tokens."""

import math

import pytest
import torch
from tiny_backpacks import VOCABULARY, tiny_backpack, token_ids
from torch.nn import functional as F

from modeling_sensia import lm_loss
from modeling_sensia.lm_loss import language_model_losses_of_states
from modeling_sensia.modeling_backpack import language_model_losses

SMOOTHINGS = [0.0, 0.05, 0.5]


def scores_and_labels(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(12, 23, generator=generator, dtype=torch.float64).mul(3).to(dtype).requires_grad_()
    labels = torch.randint(0, 23, (12,), generator=generator)
    labels[[2, 3, 7]] = -100
    return logits, labels


def naive_loss(logits, labels, smoothing):
    """Mean over counted tokens of the cross-entropy with (1 - eps) on the label and eps / V on every token."""
    losses = []
    for row, label in zip(logits.double(), labels.tolist(), strict=True):
        if label == -100:
            continue
        log_total = math.log(sum(math.exp(score) for score in row.tolist()))
        spread = sum(log_total - score for score in row.tolist()) / len(row)
        losses.append((1 - smoothing) * (log_total - row[label].item()) + smoothing * spread)
    return sum(losses) / len(losses)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_the_loss_is_the_smoothed_cross_entropy_of_the_loop(smoothing):
    logits, labels = scores_and_labels()
    assert language_model_losses(logits, labels, smoothing)[0].item() == pytest.approx(
        naive_loss(logits, labels, smoothing), rel=1e-10
    )


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_the_loss_is_torch_cross_entropy(smoothing):
    logits, labels = scores_and_labels()
    expected = F.cross_entropy(logits, labels, label_smoothing=smoothing)
    torch.testing.assert_close(language_model_losses(logits, labels, smoothing)[0], expected)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_the_loss_has_the_gradient_of_torch_cross_entropy(smoothing):
    logits, labels = scores_and_labels()
    (found,) = torch.autograd.grad(language_model_losses(logits, labels, smoothing)[0], logits)
    (expected,) = torch.autograd.grad(F.cross_entropy(logits, labels, label_smoothing=smoothing), logits)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_the_plain_loss_is_never_smoothed(smoothing):
    logits, labels = scores_and_labels()
    _, plain, _ = language_model_losses(logits, labels, smoothing)
    torch.testing.assert_close(plain, F.cross_entropy(logits, labels).detach())


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_the_plain_loss_carries_no_gradient(smoothing):
    assert not language_model_losses(*scores_and_labels(), smoothing)[1].requires_grad


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_scores_of_ignored_tokens_get_no_gradient(smoothing):
    logits, labels = scores_and_labels()
    (gradient,) = torch.autograd.grad(language_model_losses(logits, labels, smoothing)[0], logits)
    assert not gradient[labels == -100].any()
    assert gradient[labels != -100].any(1).all()


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("num_items", [36, torch.tensor(36)], ids=["int", "tensor"])
def test_num_items_replaces_the_number_of_labels_as_divisor(smoothing, num_items):
    logits, labels = scores_and_labels()
    loss, plain, _ = language_model_losses(logits, labels, smoothing, num_items)
    mean, mean_plain, _ = language_model_losses(logits, labels, smoothing)
    torch.testing.assert_close((loss, plain), (mean * 9 / 36, mean_plain * 9 / 36))


@pytest.mark.parametrize("num_items", [None, 0, torch.tensor(0)], ids=["own count", "zero", "zero tensor"])
@pytest.mark.parametrize("smoothing", [0.0, 0.05])
def test_without_a_label_that_counts_the_loss_is_zero(num_items, smoothing):
    logits, labels = scores_and_labels()
    loss, plain, _ = language_model_losses(logits, torch.full_like(labels, -100), smoothing, num_items)
    assert (loss.item(), plain.item()) == (0.0, 0.0)


@pytest.mark.parametrize("num_items", [None, 0])
def test_without_a_label_that_counts_the_gradient_is_zero(num_items):
    logits, labels = scores_and_labels()
    loss, _, _ = language_model_losses(logits, torch.full_like(labels, -100), 0.05, num_items)
    assert torch.autograd.grad(loss, logits)[0].eq(0).all()


def test_bfloat16_scores_are_summed_in_float32():
    logits, labels = scores_and_labels(torch.bfloat16)
    loss, plain, _ = language_model_losses(logits, labels, 0.05)
    assert loss.dtype == plain.dtype == torch.float32
    assert loss.item() == pytest.approx(naive_loss(logits, labels, 0.05), rel=1e-5)


def model_case():
    model = tiny_backpack().double()
    ids = token_ids(2, 7)
    labels = ids.clone()
    labels[0, :3] = -100
    labels[1, 5:] = -100
    return model, ids, labels


def shifted_cross_entropy(model, ids, labels, smoothing):
    logits = model(ids).logits
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), label_smoothing=smoothing)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_the_model_predicts_each_label_from_the_position_before(smoothing):
    model, ids, labels = model_case()
    found = model(ids, labels=labels, label_smoothing=smoothing).loss
    torch.testing.assert_close(found, shifted_cross_entropy(model, ids, labels, smoothing))


def test_the_model_returns_the_plain_loss_beside_the_smoothed_one():
    model, ids, labels = model_case()
    output = model(ids, labels=labels, label_smoothing=0.5)
    torch.testing.assert_close(output.plain_loss, shifted_cross_entropy(model, ids, labels, 0.0).detach())


@pytest.mark.parametrize("smoothing", [0.0, 0.05])
def test_without_logits_the_losses_are_the_same(smoothing):
    model, ids, labels = model_case()
    whole = model(ids, labels=labels, label_smoothing=smoothing)
    lean = model(ids, labels=labels, label_smoothing=smoothing, return_logits=False)
    assert lean.logits is None
    torch.testing.assert_close((lean.loss, lean.plain_loss), (whole.loss, whole.plain_loss))


def test_without_logits_the_gradients_are_the_same():
    model, ids, labels = model_case()
    parameters = list(model.parameters())
    whole = torch.autograd.grad(model(ids, labels=labels, label_smoothing=0.05).loss, parameters)
    lean = model(ids, labels=labels, label_smoothing=0.05, return_logits=False).loss
    torch.testing.assert_close(torch.autograd.grad(lean, parameters), whole)


def test_keeping_the_last_logits_leaves_the_loss_as_it_is():
    model, ids, labels = model_case()
    output = model(ids, labels=labels, logits_to_keep=1)
    assert output.logits.shape == (2, 1, VOCABULARY)
    torch.testing.assert_close(output.loss, shifted_cross_entropy(model, ids, labels, 0.0))


def test_micro_batches_over_one_count_add_up_to_the_batch():
    model, ids, labels = model_case()
    count = int((labels[:, 1:] != -100).sum())
    parts = [
        model(ids[row : row + 1], labels=labels[row : row + 1], label_smoothing=0.05, num_items_in_batch=count).loss
        for row in range(2)
    ]
    torch.testing.assert_close(parts[0] + parts[1], model(ids, labels=labels, label_smoothing=0.05).loss)


@pytest.mark.parametrize("return_logits", [True, False])
@pytest.mark.parametrize("num_items", [None, 0])
def test_a_batch_without_a_label_that_counts_trains_nothing(return_logits, num_items):
    model, ids, labels = model_case()
    arguments = {"label_smoothing": 0.05, "return_logits": return_logits, "num_items_in_batch": num_items}
    output = model(ids, labels=torch.full_like(labels, -100), **arguments)
    assert output.loss.item() == 0.0
    output.loss.backward()
    assert all(parameter.grad is None or parameter.grad.eq(0).all() for parameter in model.parameters())


def test_without_labels_there_is_no_loss():
    model, ids, _ = model_case()
    output = model(ids)
    assert output.loss is None
    assert output.plain_loss is None


def test_labels_of_the_first_position_are_not_predicted():
    model, ids, labels = model_case()
    labels = ids.clone()
    before = model(ids, labels=labels).loss
    labels[:, 0] = -100
    torch.testing.assert_close(model(ids, labels=labels).loss, before)


def states_and_head(dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    states = torch.randn(12, 6, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
    head = torch.randn(23, 6, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
    return states, head, scores_and_labels()[1]


@pytest.fixture(params=[23, 3 * 23, 2**25], ids=["a token at a time", "3 tokens", "all tokens"])
def chunks(request, monkeypatch):
    monkeypatch.setattr(lm_loss, "_LOGITS_AT_A_TIME", request.param)


@pytest.fixture(params=[23, 2 * 23, 2**19], ids=["a token in cache", "2 tokens in cache", "all in cache"])
def blocks(request, monkeypatch):
    monkeypatch.setattr(lm_loss, "_LOGITS_IN_CACHE", request.param)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("num_items", [None, 36])
def test_losses_of_states_are_those_of_their_logits_in_value_and_gradient(chunks, blocks, smoothing, num_items):
    states, head, labels = states_and_head()
    found = language_model_losses_of_states(states, head, labels, smoothing, num_items)
    expected = language_model_losses(states @ head.T, labels, smoothing, num_items)
    torch.testing.assert_close(found, expected)
    assert not found[1].requires_grad
    gradients = [torch.autograd.grad(3 * loss[0], (states, head)) for loss in (found, expected)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("wanted", ["states", "head", "neither"])
def test_losses_of_states_need_not_have_both_gradients(wanted):
    states, head, labels = states_and_head()
    states.requires_grad_(wanted == "states"), head.requires_grad_(wanted == "head")
    loss, _, _ = language_model_losses_of_states(states, head, labels, 0.05)
    torch.testing.assert_close(loss, language_model_losses(states @ head.T, labels, 0.05)[0])
    if wanted != "neither":
        loss.backward()
    assert (states.grad is None) == (wanted != "states") and (head.grad is None) == (wanted != "head")


def test_losses_of_states_without_a_label_are_zero_and_so_are_gradients():
    states, head, labels = states_and_head()
    loss, plain, _ = language_model_losses_of_states(states, head, torch.full_like(labels, -100), 0.05)
    loss.backward()
    assert loss.item() == plain.item() == 0 and not states.grad.any() and not head.grad.any()


def test_losses_of_no_states_are_zero():
    states, head, labels = states_and_head()
    loss, _, _ = language_model_losses_of_states(states[:0], head, labels[:0])
    loss.backward()
    assert loss.item() == 0 and not head.grad.any()


def test_losses_of_states_under_autocast_add_up_in_float32(chunks):
    states, head, labels = states_and_head(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        loss, _, _ = language_model_losses_of_states(states, head, labels, 0.05)
    loss.backward()
    assert loss.dtype == head.grad.dtype == torch.float32
    rounded = [tensor.detach().bfloat16().double().requires_grad_() for tensor in (states, head)]
    expected, _, _ = language_model_losses(rounded[0] @ rounded[1].T, labels, 0.05)
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-2)
    torch.testing.assert_close(head.grad.double(), rounded[1].grad, rtol=0.05, atol=5e-3)
    torch.testing.assert_close(states.grad.double(), rounded[0].grad, rtol=0.05, atol=5e-3)


def test_the_gradient_can_be_taken_once():
    states = torch.randn(4, 3, requires_grad=True)
    loss, _, _ = language_model_losses_of_states(states, torch.randn(7, 3), torch.tensor([1, 2, 3, 4]))
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="taken once"):
        loss.backward()


def test_without_gradients_none_is_made(monkeypatch):
    kept = []
    monkeypatch.setattr(
        torch.autograd.function.FunctionCtx, "save_for_backward", lambda _, *tensors: kept.extend(tensors)
    )
    states, weight = torch.randn(4, 3, requires_grad=True), torch.randn(7, 3, requires_grad=True)
    with torch.no_grad():
        language_model_losses_of_states(states, weight, torch.tensor([1, 2, 3, 4]))
    assert kept == [None, None]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("losses", [language_model_losses, "of states"])
def test_weights_count_labels_as_if_they_were_repeated(smoothing, losses):
    generator = torch.Generator().manual_seed(3)
    states, head = torch.randn(4, 5, generator=generator), torch.randn(7, 5, generator=generator)
    states.requires_grad_()
    labels, weights = torch.tensor([1, -100, 3, 6]), torch.tensor([2.0, 5.0, 1.0, 0.0])
    if losses == "of states":
        weighted = language_model_losses_of_states(states, head, labels, smoothing, label_weights=weights)
    else:
        weighted = losses(states @ head.T, labels, smoothing, label_weights=weights)
    repeated = torch.tensor([0, 0, 2])
    expected = language_model_losses(states[repeated] @ head.T, labels[repeated], smoothing)
    torch.testing.assert_close(weighted[:2], expected[:2])
    gradients = (torch.autograd.grad(loss, states)[0] for loss in (weighted[0], expected[0]))
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("return_logits", [True, False])
def test_the_model_returns_the_loss_of_each_token(return_logits):
    model, ids = tiny_backpack().eval(), torch.tensor([[1, 2, 3], [4, 5, 6]])
    labels = torch.tensor([[1, 2, -100], [4, -100, 6]])
    output = model(ids, labels=labels, label_smoothing=0.1, return_logits=return_logits)
    log_probabilities = model(ids).logits.log_softmax(-1)
    expected = torch.zeros(2, 3)
    expected[0, 0], expected[1, 1] = -log_probabilities[0, 0, 2], -log_probabilities[1, 1, 6]
    torch.testing.assert_close(output.token_losses, expected)
