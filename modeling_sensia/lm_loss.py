"""Language modelling loss: cross-entropy of the next token; and losses of logits that are never stored.

Shapes: N predicted tokens, n tokens of a chunk or block, V tokens of the vocabulary, D the hidden size.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

#: Losses of a block of tokens [m, n], the one to be minimised first, and the gradient of that one [n, V].
BlockLosses: TypeAlias = tuple[Tensor, Tensor]


def language_model_losses(
    logits: Tensor,
    labels: Tensor,
    label_smoothing: float = 0.0,
    num_items: Tensor | int | None = None,
    label_weights: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """
    Cross-entropy of tokens with and without label smoothing, from one pass over the logits.

    Args:
        logits (`torch.Tensor` [N, V]): logits for the tokens in `labels`.
        labels (`torch.Tensor` [N]): token ids; -100 is left out.
        label_smoothing (`float`, *optional*, defaults to 0): share of the target spread evenly over the vocabulary.
        num_items (`int`, *optional*): divisor of the sum, 1 if it is 0; defaults to the sum of the weights here.
        label_weights (`torch.Tensor` [N], *optional*): how much each label counts; all 1 if not given.

    Returns:
        `tuple` of `torch.Tensor`: smoothed and plain loss in nats, scalars; and the plain loss of each token [N],
        before weights and divisor. The last two carry no gradient.
    """
    log_probabilities = F.log_softmax(logits, -1, dtype=torch.promote_types(logits.dtype, torch.float32))  # [N, V]
    weights = _weights(labels, label_weights, log_probabilities.dtype)  # [N]
    divisor = _divisor(weights.sum() if num_items is None else num_items)
    of_tokens = F.nll_loss(log_probabilities, labels, ignore_index=-100, reduction="none")  # [N]
    plain = (weights * of_tokens).sum() / divisor
    if label_smoothing == 0:
        return plain, plain.detach(), of_tokens.detach()
    uniform = -(weights * log_probabilities.mean(-1)).sum() / divisor
    return (1 - label_smoothing) * plain + label_smoothing * uniform, plain.detach(), of_tokens.detach()


def language_model_losses_of_states(
    states: Tensor,
    weight: Tensor,
    labels: Tensor,
    label_smoothing: float = 0.0,
    num_items: Tensor | int | None = None,
    label_weights: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """
    [`language_model_losses`] of the logits `states @ weight.T`, computed in chunks to save memory; see
    [`linear_losses`].

    Args:
        states (`torch.Tensor` [N, D]): hidden states of the Backpack at the predicted positions.
        weight (`torch.Tensor` [V, D]): weight of the language model head.
        labels (`torch.Tensor` [N]): token ids; -100 is left out.
        label_smoothing (`float`, *optional*, defaults to 0): share of the target spread evenly over the vocabulary.
        num_items, label_weights: see [`language_model_losses`].

    Returns:
        `tuple` of `torch.Tensor`: as of [`language_model_losses`].
    """
    weights = _weights(labels, label_weights, torch.promote_types(states.dtype, torch.float32))  # [N]
    divisor = _divisor(weights.sum() if num_items is None else num_items).to(states.device)
    of_block = partial(_losses_in_place, labels=labels, label_weights=weights, label_smoothing=label_smoothing)
    smoothed, losses = linear_losses(states, weight, of_block, num_losses=2)
    return smoothed / divisor, (weights * losses[1]).sum() / divisor, losses[1]


def _losses_in_place(
    logits: Tensor, block: slice, labels: Tensor, label_weights: Tensor, label_smoothing: float
) -> BlockLosses:
    """
    Losses of the tokens of a block [2, n]: label weight times the smoothed cross-entropy, and the plain one, 0 where
    nothing is predicted. Turns the logits into the gradient of the first: label weight times
    (softmax - (1 - eps) of the label - eps / V everywhere).
    """
    labels, label_weights = labels[block], label_weights[block].to(logits.dtype)  # [n] each
    targets = labels.clamp(min=0)[:, None]  # [n, 1]
    compared = torch.stack([logits.gather(1, targets).squeeze(1), logits.mean(-1)])  # [2, n]
    largest = logits.amax(-1, keepdim=True)  # [n, 1]
    totals = logits.sub_(largest).exp_().sum(-1, keepdim=True)  # [n, 1]
    normalizer = (largest + totals.log()).squeeze(1)  # [n], the logarithm of the sum of exponentials
    plain, uniform = (normalizer - compared) * (labels != -100)  # [n] each
    smoothed = label_weights * ((1 - label_smoothing) * plain + label_smoothing * uniform)  # [n]
    label_weights = label_weights[:, None]  # [n, 1]
    gradient = logits.mul_(label_weights / totals).sub_(label_weights * (label_smoothing / logits.shape[-1]))
    gradient.scatter_add_(1, targets, label_weights * (label_smoothing - 1))
    return torch.stack([smoothed, plain]), gradient


def _weights(labels: Tensor, label_weights: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Returns the weight of each label [N]; 0 where there is no label."""
    counted = (labels != -100).to(dtype)
    return counted if label_weights is None else counted * label_weights


def _divisor(num_items: Tensor | int) -> Tensor:
    num_items = torch.as_tensor(num_items)
    return torch.where(num_items > 0, num_items, 1)


#: Number of logits in memory at a time: 128 MB in float32. So many are multiplied by the head at once.
_LOGITS_AT_A_TIME = 2**25
#: Number of logits that a CPU makes losses of at a time: 2 MB in float32, which its caches hold.
_LOGITS_IN_CACHE = 2**19


def _multiplied_in(states: Tensor) -> torch.dtype:
    """Type of number that states are multiplied by a head in: that of autocast, where that is on."""
    device = states.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else states.dtype


def linear_losses(
    states: Tensor,
    weight: Tensor,
    losses_of: Callable[..., BlockLosses],
    num_losses: int,
    other: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """
    Sums a loss of the logits `states @ weight.T` over tokens.

    The gradient is computed in the forward pass, so logits are computed once and not stored. The head is multiplied by
    large chunks of the tokens. On a CPU the losses are computed for small blocks of a chunk, which stay in its caches.
    A block is in at least float32; the chunk is in the type of the multiplication, and the gradient takes its place.
    Backward can run once, and second derivatives are not supported.

    Args:
        states (`torch.Tensor` [N, D]): hidden states at the predicted positions.
        weight (`torch.Tensor` [V, D]): weight of the language model head.
        losses_of (`Callable`): takes the logits [n, V] of some tokens, which it may overwrite, and the `slice` of
            those tokens, and with `other` also the other logits [n, V], which it may overwrite too; returns their
            [`BlockLosses`].
        num_losses (`int`): number m of losses that it returns.
        other (`tuple`, *optional*): states [N, D'] and head [V, D'] of another model. They get no gradient.

    Returns:
        `tuple` of `torch.Tensor`: the sum of the first loss over all tokens, a scalar; and each loss of each token
        [m, N], without gradient.
    """
    dtype = _multiplied_in(states)
    with torch.autocast(states.device.type, enabled=False):
        learns = torch.is_grad_enabled()  # what the function below cannot see
        return _LinearLosses.apply(states, weight, losses_of, num_losses, other, dtype, learns)


class _LinearLosses(torch.autograd.Function):
    """[`linear_losses`]."""

    @staticmethod
    def forward(
        ctx,
        states: Tensor,
        weight: Tensor,
        losses_of: Callable[..., BlockLosses],
        num_losses: int,
        other: tuple[Tensor, Tensor] | None,
        dtype: torch.dtype,
        learns: bool,
    ) -> tuple[Tensor, Tensor]:
        precise = torch.promote_types(dtype, torch.float32)
        models = [(states.to(dtype), weight.to(dtype))]
        models += [] if other is None else [(other[0].to(dtype), other[1].to(dtype))]
        inputs, head = models[0]
        states_learn, weight_learns = (learns and needed for needed in ctx.needs_input_grad[:2])
        for_states = torch.zeros_like(states, dtype=precise) if states_learn else None
        for_weight = torch.zeros_like(weight, dtype=precise) if weight_learns and not len(states) else None
        losses = torch.empty(num_losses, len(states), dtype=precise, device=states.device)  # [m, N]
        for chunk in _slices(len(states), _LOGITS_AT_A_TIME // len(weight)):
            logits = [each[chunk] @ its_head.T for each, its_head in models]  # [n, V] each
            gradient = logits[0]
            at_a_time = _LOGITS_IN_CACHE // len(weight) if states.device.type == "cpu" else len(gradient)
            for rows in _slices(len(gradient), at_a_time):
                block = slice(chunk.start + rows.start, chunk.start + rows.stop)
                first, *others = (each[rows].to(precise) for each in logits)
                losses[:, block], of_block = losses_of(first, block, *others)
                gradient[rows] = of_block
                del first, others, of_block
            if for_states is not None:
                for_states[chunk] = gradient @ head
            if weight_learns:
                increment = gradient.T @ inputs[chunk]  # [V, D]
                for_weight = increment.to(precise) if for_weight is None else for_weight.add_(increment)
                del increment
            del logits, gradient  # frees their memory for the logits of the next chunk
        ctx.save_for_backward(for_states, for_weight)
        ctx.dtypes = states.dtype, weight.dtype
        ctx.taken = False
        ctx.mark_non_differentiable(losses)
        return losses[0].sum(), losses

    @staticmethod
    @once_differentiable
    def backward(ctx, for_total: Tensor, _for_losses: Tensor):
        if ctx.taken:
            raise RuntimeError("The gradient of this loss can be taken once; compute the loss again.")
        ctx.taken = True
        gradients = (
            None if gradient is None else gradient.mul_(for_total).to(dtype)
            for gradient, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        )
        return *gradients, None, None, None, None, None


def _slices(length: int, size: int) -> Iterator[slice]:
    """Cuts a length into slices of a size of at least 1; the last may be shorter."""
    size = max(size, 1)
    return (slice(start, min(start + size, length)) for start in range(0, length, size))


__all__ = [
    "BlockLosses",
    "language_model_losses",
    "language_model_losses_of_states",
    "linear_losses",
]
