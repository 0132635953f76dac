"""The language modelling loss: cross-entropy of the next token.

Shapes: N predicted tokens, V tokens of the vocabulary, D the hidden size.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def language_model_losses(
    logits: Tensor, labels: Tensor, label_smoothing: float = 0.0, num_items: Tensor | int | None = None
) -> tuple[Tensor, Tensor]:
    """
    Cross-entropy of tokens with and without label smoothing, from one pass over the logits.

    Args:
        logits (`torch.Tensor` [N, V]): scores of the token that `labels` names.
        labels (`torch.Tensor` [N]): token ids; -100 is left out.
        label_smoothing (`float`, *optional*, defaults to 0): share of the target spread evenly over the vocabulary.
        num_items (`int`, *optional*): divisor of the sum, 1 if it is 0; defaults to the number of labels here.

    Returns:
        `tuple` of `torch.Tensor`: smoothed and plain loss in nats, scalars.
    """
    log_probabilities = F.log_softmax(logits, -1, dtype=torch.promote_types(logits.dtype, torch.float32))  # [N, V]
    divisor = _divisor((labels != -100).sum() if num_items is None else num_items)
    plain = F.nll_loss(log_probabilities, labels, ignore_index=-100, reduction="sum") / divisor
    if label_smoothing == 0:
        return plain, plain.detach()
    uniform = -log_probabilities.mean(-1).masked_fill(labels == -100, 0.0).sum() / divisor
    return (1 - label_smoothing) * plain + label_smoothing * uniform, plain.detach()


def language_model_losses_of_states(
    states: Tensor,
    weight: Tensor,
    labels: Tensor,
    label_smoothing: float = 0.0,
    num_items: Tensor | int | None = None,
) -> tuple[Tensor, Tensor]:
    """
    [`language_model_losses`] of the logits `states @ weight.T`, of which only a part exists at a time.

    Gradients are made together with the losses, chunk by chunk: each logit is computed once and kept for nobody.
    They can be taken once, and not be differentiated again.

    Args:
        states (`torch.Tensor` [N, D]): the Backpack's output at the predicted positions.
        weight (`torch.Tensor` [V, D]): of the language model head.
        labels (`torch.Tensor` [N]): token ids; -100 is left out.
        label_smoothing (`float`, *optional*, defaults to 0): share of the target spread evenly over the vocabulary.
        num_items (`int`, *optional*): divisor of the sum, 1 if it is 0; defaults to the number of labels here.

    Returns:
        `tuple` of `torch.Tensor`: smoothed and plain loss in nats, scalars.
    """
    divisor = _divisor((labels != -100).sum() if num_items is None else num_items).to(states.device)
    device = states.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else states.dtype
    with torch.autocast(device, enabled=False):
        smoothed, plain = _LinearCrossEntropy.apply(states, weight, labels, label_smoothing, dtype)
    return smoothed / divisor, (plain / divisor).detach()


#: Logits that exist at a time: 128 MB in float32.
_LOGITS_AT_A_TIME = 2**25


class _LinearCrossEntropy(torch.autograd.Function):
    """Summed cross-entropy of `states @ weight.T`, smoothed and plain, whose gradient is made in the forward pass."""

    @staticmethod
    def forward(
        ctx, states: Tensor, weight: Tensor, labels: Tensor, label_smoothing: float, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        precise = torch.promote_types(dtype, torch.float32)
        inputs, head = states.to(dtype), weight.to(dtype)
        for_states, for_weight = (
            torch.zeros_like(tensor, dtype=precise) if needed else None
            for tensor, needed in zip((states, weight), ctx.needs_input_grad, strict=False)
        )
        sums = torch.zeros(2, dtype=precise, device=states.device)  # plain, uniform
        size = max(_LOGITS_AT_A_TIME // len(weight), 1)
        for start in range(0, len(states), size):
            chunk = slice(start, start + size)
            gradients = None if for_states is None else for_states[chunk], for_weight
            _add_chunk(inputs[chunk], head, labels[chunk], label_smoothing, sums, *gradients)
        ctx.save_for_backward(for_states, for_weight)
        ctx.dtypes = states.dtype, weight.dtype
        plain, uniform = sums
        return (1 - label_smoothing) * plain + label_smoothing * uniform, plain

    @staticmethod
    @once_differentiable
    def backward(ctx, for_smoothed: Tensor, _for_plain: Tensor):
        gradients = (
            None if gradient is None else (gradient * for_smoothed).to(dtype)
            for gradient, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        )
        return *gradients, None, None, None


def _add_chunk(
    inputs: Tensor,
    head: Tensor,
    labels: Tensor,
    label_smoothing: float,
    sums: Tensor,
    for_states: Tensor | None,
    for_weight: Tensor | None,
):
    """Adds the losses of a chunk of positions, and their gradients; its logits are gone before the next chunk's come."""
    logits = (inputs @ head.T).to(sums.dtype)  # [n, V]
    normalizer = logits.logsumexp(-1)  # [n]
    sums += _cross_entropies(logits, normalizer, labels)
    if for_states is None and for_weight is None:
        return
    gradient = _gradient_in_place(logits, normalizer, labels, label_smoothing).to(head.dtype)  # [n, V]
    if for_states is not None:
        for_states += gradient @ head
    if for_weight is not None:
        for_weight += gradient.T @ inputs


def _cross_entropies(logits: Tensor, normalizer: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with the labels and with the uniform distribution, summed: [2]."""
    counted = labels != -100
    picked = logits.gather(1, labels.where(counted, 0)[:, None]).squeeze(1)  # [n]
    return ((normalizer - torch.stack([picked, logits.mean(-1)])) * counted).sum(1)


def _gradient_in_place(logits: Tensor, normalizer: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
    """The smoothed cross-entropy's gradient: softmax - (1 - eps) of the label - eps / V everywhere."""
    counted = labels != -100
    gradient = logits.sub_(normalizer[:, None]).exp_().sub_(label_smoothing / logits.shape[-1])
    gradient[torch.arange(len(labels), device=labels.device), labels.where(counted, 0)] -= 1 - label_smoothing
    return gradient.mul_(counted[:, None])


def _divisor(num_items: Tensor | int) -> Tensor:
    return torch.as_tensor(num_items).clamp(min=1)


__all__ = ["language_model_losses", "language_model_losses_of_states"]
