"""Distillation: a model learns the next-token distributions of a frozen reference model.

Shapes: B rows, L positions, N predicted tokens, n tokens of a chunk, V tokens of the vocabulary, D and D' the hidden
sizes of the model and of the reference.
"""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .lm_loss import ChunkLosses, linear_losses, multiplied_in


class Reference(NamedTuple):
    """
    What a frozen reference model predicts on a batch.

    Args:
        states (`torch.Tensor` [B, L, D']): its hidden states, as they enter its head.
        head (`torch.Tensor` [V, D']): weight of its head.
        distilled (`torch.Tensor` of `bool` [B, L]): the labels whose distribution is learned from it. The language
            model loss leaves them out.
        num_distilled (`torch.Tensor` or `int`): divisor of the distillation loss.
    """

    states: Tensor
    head: Tensor
    distilled: Tensor
    num_distilled: Tensor | int


def distillation_losses(logits: Tensor, labels: Tensor, reference_logits: Tensor) -> tuple[Tensor, Tensor]:
    """
    Kullback-Leibler divergence of the model from the reference, sum over v of q(v) ln(q(v) / p(v)), where q is the
    reference's distribution of the next token and p the model's.

    Args:
        logits (`torch.Tensor` [N, V]): logits of the model.
        labels (`torch.Tensor` [N]): the tokens that came next, for the second result alone.
        reference_logits (`torch.Tensor` [N, V]): logits of the reference.

    Returns:
        `tuple` of `torch.Tensor`: the sum of the divergence over tokens in nats, a scalar; and the model's
        cross-entropy with each label in nats [N], without gradient.
    """
    precise = torch.promote_types(logits.dtype, torch.float32)
    expected, predicted = (F.log_softmax(each, -1, dtype=precise) for each in (reference_logits, logits))  # [N, V]
    cross_entropy = F.nll_loss(predicted, labels, reduction="none")  # [N]
    return F.kl_div(predicted, expected, reduction="sum", log_target=True), cross_entropy.detach()


def distillation_losses_of_states(
    states: Tensor, weight: Tensor, labels: Tensor, reference_states: Tensor, reference_head: Tensor
) -> tuple[Tensor, Tensor]:
    """
    [`distillation_losses`] of the logits `states @ weight.T`, computed in chunks to save memory; see
    [`linear_losses`].

    Args:
        states (`torch.Tensor` [N, D]): hidden states of the model at the predicted positions.
        weight (`torch.Tensor` [V, D]): weight of its head.
        labels (`torch.Tensor` [N]): the tokens that came next, for the second result alone.
        reference_states (`torch.Tensor` [N, D']): hidden states of the reference.
        reference_head (`torch.Tensor` [V, D']): weight of its head. It gets no gradient.

    Returns:
        `tuple` of `torch.Tensor`: as of [`distillation_losses`].
    """
    dtype = multiplied_in(states)
    of_chunk = partial(
        _divergence_in_place,
        labels=labels,
        reference_states=reference_states.to(dtype),
        reference_head=reference_head.to(dtype),
    )
    divergence, losses = linear_losses(states, weight, of_chunk, num_losses=2)
    return divergence, losses[1]


def _divergence_in_place(
    logits: Tensor, chunk: slice, labels: Tensor, reference_states: Tensor, reference_head: Tensor
) -> ChunkLosses:
    """Divergence and cross-entropy of the tokens of a chunk [2, n], and the gradient p - q of the first [n, V]."""
    reference_logits = (reference_states[chunk] @ reference_head.T).to(logits.dtype)
    expected, predicted = F.log_softmax(reference_logits, -1), F.log_softmax(logits, -1)  # [n, V] each
    del reference_logits, logits
    cross_entropy = -predicted.gather(1, labels[chunk][:, None]).squeeze(1)  # [n]
    probabilities = expected.exp()  # [n, V]
    divergence = (probabilities * (expected - predicted)).sum(-1)  # [n]
    return torch.stack([divergence, cross_entropy]), predicted.exp_().sub_(probabilities)


__all__ = ["Reference", "distillation_losses", "distillation_losses_of_states"]
