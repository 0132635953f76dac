"""What a Backpack does with senses: weigh them by context, mix them, pool a sentence's. Functions of tensors alone.

Shapes: B rows, L positions of this call, S positions including the cached past, K senses, D the hidden size.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .sequence_packing import Sentences, rows_as_sentences


def contextualize(queries: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
    """
    Contextualization weights: softmax over allowed positions of q·k / sqrt(width), in float32 at least.

    Args:
        queries (`torch.Tensor` [B, K, L, D // K]), keys (`torch.Tensor` [B, K, S, D // K]): from the weight network.
        mask (`torch.Tensor` of `bool` [B or 1, 1, L, S]): which positions each one may look at.

    Returns:
        `torch.Tensor` [B, K, L, S] in the dtype of `queries`; each [L] row sums to 1.
    """
    scores = (queries * queries.shape[-1] ** -0.5) @ keys.transpose(-1, -2)  # [B, K, L, S]
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    # A finite fill keeps a row that may look at nothing uniform instead of NaN.
    scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return scores.softmax(-1).to(queries.dtype)


@dataclass(frozen=True)
class SensesByToken:
    """
    Sense vectors of the distinct tokens of a batch: what a token means does not depend on where it stands, so each is
    computed once.

    Args:
        rows (`torch.Tensor` [U, K, D]): senses of U distinct tokens.
        index (`torch.Tensor` of `int` [B, S]): the row of the token at each position.
    """

    rows: Tensor
    index: Tensor

    def at_positions(self) -> Tensor:
        """The sense vectors of every position, [B, K, S, D]."""
        return self.rows[self.index].transpose(1, 2)


def _sense(senses: Tensor, index: Tensor | None, k: int) -> Tensor:
    """Sense k at every position, [B, S, D], of senses that are kept by position or by distinct token."""
    vectors = senses[:, k]
    return vectors if index is None else vectors[index]


def _gradient_of_sense(gradient: Tensor, senses: Tensor, index: Tensor | None) -> Tensor:
    """A gradient [B, S, D] of [`_sense`] as one of what is kept, with repeated tokens added up."""
    if index is None:
        return gradient
    # A comma stands in every sentence: in two bytes its gradient would stop growing.
    precise = torch.promote_types(gradient.dtype, torch.float32)
    total = torch.zeros(senses.shape[0], senses.shape[2], dtype=precise, device=gradient.device)
    return total.index_add(0, index.flatten(), gradient.flatten(0, 1).to(precise))  # [U, D]


class _Contributions(torch.autograd.Function):
    """
    What is wanted of the contributions P[k, t] = sum_j C[k, t, j] S[k, j]: their sum over k, and their squared norms.

    They are formed for one sense at a time, and again in backward, so that nothing of size [B, K, L, D] is kept but
    the senses, and not even those where they are kept by distinct token.
    """

    @staticmethod
    def forward(
        ctx, contextualization: Tensor, senses: Tensor, index: Tensor | None, measure: bool
    ) -> tuple[Tensor, Tensor | None]:
        ctx.save_for_backward(contextualization, senses, index)
        precise = torch.promote_types(senses.dtype, torch.float32)
        mixture = torch.zeros((), dtype=precise, device=senses.device)
        squared_norms = []
        for k, weights in enumerate(contextualization.unbind(1)):
            contribution = (weights @ _sense(senses, index, k)).to(precise)  # [B, L, D]
            mixture = mixture + contribution
            if measure:
                squared_norms.append(contribution.square().sum(-1))
        return mixture.to(senses.dtype), torch.stack(squared_norms, 1) if measure else None

    @staticmethod
    def backward(ctx, for_mixture: Tensor, for_norms: Tensor | None) -> tuple[Tensor, Tensor, None, None]:
        contextualization, senses, index = ctx.saved_tensors
        for_weights, for_senses = torch.empty_like(contextualization), torch.empty_like(senses)
        for k, weights in enumerate(contextualization.unbind(1)):
            vectors, gradient = _sense(senses, index, k), for_mixture
            if for_norms is not None:
                gradient = for_mixture + (2 * for_norms[:, k, :, None] * (weights @ vectors)).to(for_mixture.dtype)
            for_weights[:, k] = gradient @ vectors.mT  # [B, L, S]
            for_senses[:, k] = _gradient_of_sense(weights.mT @ gradient, senses, index)
        return for_weights, for_senses, None, None


class _WeighedSenses(torch.autograd.Function):
    """sum_k w[k, j] S[k, j] at each position, in float32 at least, one sense at a time: no copy of all is kept."""

    @staticmethod
    def forward(ctx, weights: Tensor, senses: Tensor, index: Tensor | None) -> Tensor:
        ctx.save_for_backward(weights, senses, index)
        total = torch.zeros((), dtype=weights.dtype, device=senses.device)
        for k, weight in enumerate(weights.unbind(1)):
            total = total + weight[..., None] * _sense(senses, index, k).to(weights.dtype)  # [B, S, D]
        return total

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        weights, senses, index = ctx.saved_tensors
        for_weights, for_senses = torch.empty_like(weights), torch.empty_like(senses)
        for k, weight in enumerate(weights.unbind(1)):
            for_weights[:, k] = (gradient * _sense(senses, index, k).to(gradient.dtype)).sum(-1)  # [B, S]
            for_senses[:, k] = _gradient_of_sense(weight[..., None] * gradient, senses, index)
        return for_weights, for_senses, None


def mix_senses(contextualization: Tensor, senses: Tensor | SensesByToken) -> Tensor:
    """
    The Backpack's output o[t] = sum_k sum_j C[k, t, j] S[k, j] (arXiv 2305.16765, section 3).

    Args:
        contextualization (`torch.Tensor` [B, K, L, S]): weights C.
        senses (`torch.Tensor` [B, K, S, D] or [`SensesByToken`]): sense vectors S.

    Returns:
        `torch.Tensor` [B, L, D]
    """
    vectors, index = _split(senses)
    return _Contributions.apply(contextualization.to(vectors.dtype), vectors, index, False)[0]


def mix_and_measure(contextualization: Tensor, senses: Tensor | SensesByToken) -> tuple[Tensor, Tensor]:
    """
    [`mix_senses`], and the squared norm of every contribution in float32 at least, for [`pool_senses`].

    Returns:
        `tuple` of `torch.Tensor`: [B, L, D] and [B, K, L].
    """
    vectors, index = _split(senses)
    return _Contributions.apply(contextualization.to(vectors.dtype), vectors, index, True)


def _split(senses: Tensor | SensesByToken) -> tuple[Tensor, Tensor | None]:
    return (senses.rows, senses.index) if isinstance(senses, SensesByToken) else (senses, None)


def pool_senses(
    contextualization: Tensor,
    senses: Tensor | SensesByToken,
    attention_mask: Tensor,
    temperature: float,
    squared_norms: Tensor | None = None,
    sentences: Sentences | None = None,
) -> tuple[Tensor, Tensor]:
    """
    SENSIA's sense vector of each sentence and the entropy of its mixture (arXiv 2601.10310).

    With contributions P[k, t] = sum_j C[k, t, j] S[k, j] and p[k, t] = softmax over k of ||P[k, t]|| / temperature,
    the sense vector is the mean over real t of sum_k p[k, t] P[k, t], scaled to unit length, and the entropy is the
    mean over real t of -sum_k p log p, in nats. The mean needs one weight per sense and position, not the
    contributions. Computed in float32 at least, whatever autocast says, but for the norms that are given.

    Args:
        contextualization (`torch.Tensor` [B, K, L, L]): weights C.
        senses (`torch.Tensor` [B, K, L, D] or [`SensesByToken`]): sense vectors S.
        attention_mask (`torch.Tensor` [B, L]): 1 for real tokens, 0 for pads.
        temperature (`float`): temperature of the softmax over senses, positive.
        squared_norms (`torch.Tensor` [B, K, L], *optional*): of the contributions, if known already.
        sentences ([`Sentences`], *optional*): N sentences that share rows; each row is one by default.

    Returns:
        `tuple` of `torch.Tensor`: unit sense vectors [N, D] and entropies [N].
    """
    if temperature <= 0:
        raise ValueError(f"The pooling temperature must be positive, got {temperature}.")
    ids, count = rows_as_sentences(attention_mask) if sentences is None else (sentences.ids, len(sentences.ends))
    vectors, index = _split(senses)
    precise = torch.promote_types(vectors.dtype, torch.float32)
    with torch.autocast(vectors.device.type, enabled=False):
        contextualization = contextualization.to(precise)
        if squared_norms is None:
            _, squared_norms = _Contributions.apply(contextualization, vectors.to(precise), index, True)  # [B, K, L]
        real = (attention_mask if sentences is None else ids >= 0).to(precise)  # [B, L]
        ids = ids.clamp(min=0).flatten()  # pads count for nothing, in whichever sentence
        lengths = _sum_by_sentence(real[..., None], ids, count)  # [N, 1]
        share = real / lengths.clamp(min=1)[ids].view_as(real)  # [B, L], each sentence sums to 1
        log_mixture = F.log_softmax(squared_norms.clamp(min=1e-12).sqrt() / temperature, dim=1)  # [B, K, L]
        mixture = log_mixture.exp()
        entropy = -(mixture * log_mixture).sum(1) * share  # [B, L]
        # Positions of other sentences have no weight in C, so the sum over t stays within the sentence of j.
        weights = ((mixture * share[:, None]).unsqueeze(2) @ contextualization).squeeze(2)  # [B, K, L]
        pooled = _sum_by_sentence(_WeighedSenses.apply(weights, vectors, index), ids, count)  # [N, D]
        return F.normalize(pooled, dim=-1), _sum_by_sentence(entropy[..., None], ids, count).squeeze(-1)


def _sum_by_sentence(values: Tensor, ids: Tensor, count: int) -> Tensor:
    """Sums [N, ...] of the values [B, L, ...] at the positions of each sentence."""
    values = values.flatten(0, 1)  # [B L, ...]
    return values.new_zeros(count, *values.shape[1:]).index_add(0, ids, values)


def pool_context(mixture: Tensor, attention_mask: Tensor, sentences: Sentences | None = None) -> Tensor:
    """
    SENSIA's context vector of each sentence: the Backpack's output at its last real token, scaled to unit length.

    Args:
        mixture (`torch.Tensor` [B, L, D]): the Backpack's output o.
        attention_mask (`torch.Tensor` [B, L]): 1 for real tokens, 0 for pads, on either side.
        sentences ([`Sentences`], *optional*): N sentences that share rows; each row is one by default.

    Returns:
        `torch.Tensor` [N, D], float32 at least.
    """
    if sentences is None:
        rows, length = mixture.shape[:2]
        positions = torch.arange(length, device=mixture.device)
        last = (attention_mask.to(positions.dtype) * positions).argmax(1)  # [B]
        ends = torch.arange(rows, device=mixture.device) * length + last
    else:
        ends = sentences.ends
    precise = torch.promote_types(mixture.dtype, torch.float32)
    return F.normalize(mixture.flatten(0, 1)[ends].to(precise), dim=-1)


__all__ = [
    "SensesByToken",
    "contextualize",
    "mix_and_measure",
    "mix_senses",
    "pool_context",
    "pool_senses",
]
