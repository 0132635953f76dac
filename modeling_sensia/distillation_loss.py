"""Distillation: a model learns the next-token distributions of a frozen reference model.

Shapes: B rows, L positions, M or N predicted tokens, n tokens of a block, V tokens of the vocabulary, D and D' the
hidden sizes of the model and of the reference.
"""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .lm_loss import BlockLosses, linear_losses


class Reference(NamedTuple):
    """
    Predictions of a frozen reference model on a batch.

    Args:
        states (`torch.Tensor` [M, D']): its hidden states at M positions, as they enter its head.
        head (`torch.Tensor` [V, D']): weight of its head.
        positions (`torch.Tensor` of `int` [M]): these positions in the flattened [B L] of the model's own batch. The
            next token of each is a label. The model learns its distribution from the reference, and the language model
            loss leaves it out.
        num_distilled (`torch.Tensor` or `int`): divisor of the distillation loss.
    """

    states: Tensor
    head: Tensor
    positions: Tensor
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
    [`distillation_losses`] of the logits `states @ weight.T`, without storing logits; see [`linear_losses`].

    Args:
        states (`torch.Tensor` [N, D]): hidden states of the model at the predicted positions.
        weight (`torch.Tensor` [V, D]): weight of its head.
        labels (`torch.Tensor` [N]): the tokens that came next, for the second result alone.
        reference_states (`torch.Tensor` [N, D']): hidden states of the reference.
        reference_head (`torch.Tensor` [V, D']): weight of its head. It gets no gradient.

    Returns:
        `tuple` of `torch.Tensor`: as of [`distillation_losses`].
    """
    of_block = partial(_divergence_of_block, labels=labels)
    other = reference_states, reference_head
    divergence, losses = linear_losses(states, weight, of_block, num_losses=2, other=other)
    return divergence, losses[1]


def _divergence_of_block(logits: Tensor, block: slice, reference_logits: Tensor, labels: Tensor) -> BlockLosses:
    """
    Divergence and cross-entropy of the tokens of a block [2, n], and the gradient p - q of the first [n, V].

    With logits z of the model and r of the reference, the divergence is sum over v of q (r - z), plus ln sum exp(z),
    less ln sum exp(r). The largest probability gives both sums: it is exp(largest logit) / sum exp. So softmax is the
    only function that computes exponentials, once for each logit.
    """
    probabilities, expected = logits.softmax(-1), reference_logits.softmax(-1)  # [n, V] each
    largest = torch.stack([logits.amax(-1), reference_logits.amax(-1)])  # [2, n]
    above = -torch.stack([probabilities.amax(-1), expected.amax(-1)]).log()  # [2, n], ln sum exp less the largest
    of_labels = logits.gather(1, labels[block][:, None]).squeeze(1)  # [n]
    cross_entropy = largest[0] - of_labels + above[0]  # [n]
    difference = reference_logits.sub_(logits).mul_(expected).sum(-1)  # [n]
    divergence = difference + (largest[0] - largest[1]) + (above[0] - above[1])  # [n]
    return torch.stack([divergence, cross_entropy]), probabilities.sub_(expected)


__all__ = ["Reference", "distillation_losses", "distillation_losses_of_states"]
