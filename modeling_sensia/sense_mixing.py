"""Computes contextualization weights, the mixture of senses, and sentence vectors. All functions take tensors only.

Shapes: B rows, L positions of this call, S positions including the cached past, K senses, D the hidden size.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .positions_and_masks import Sentences, rows_as_sentences


def contextualize(queries: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
    """
    Computes the contextualization weights: softmax over allowed positions of q·k / sqrt(width), in at least float32.

    Args:
        queries (`torch.Tensor` [B, K, L, D // K]), keys (`torch.Tensor` [B, K, S, D // K]): from the weight network.
        mask (`torch.Tensor` of `bool` [B or 1, 1, L, S]): true where a position may attend to another.

    Returns:
        `torch.Tensor` [B, K, L, S] in the dtype of `queries`; each [L] row sums to 1.
    """
    scores = (queries * queries.shape[-1] ** -0.5) @ keys.transpose(-1, -2)  # [B, K, L, S]
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    # With a finite fill value, a row without allowed positions becomes uniform instead of NaN.
    scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return scores.softmax(-1).to(queries.dtype)


@dataclass(frozen=True)
class SensesByToken:
    """
    Sense vectors of the distinct tokens of a batch. They do not depend on position, so each is computed once.

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
    """Sense k at every position, [B, S, D], from senses stored by position or by distinct token."""
    vectors = senses[:, k]
    return vectors if index is None else vectors[index]


def _gradient_of_sense(gradient: Tensor, senses: Tensor, index: Tensor | None) -> Tensor:
    """Turns a gradient [B, S, D] of [`_sense`] into one of the stored senses: sums over repeated tokens."""
    if index is None:
        return gradient
    # Sum in float32: a frequent token, such as a comma, has so many terms that a sum in 16 bits would stop growing.
    precise = torch.promote_types(gradient.dtype, torch.float32)
    total = torch.zeros(senses.shape[0], senses.shape[2], dtype=precise, device=gradient.device)
    return total.index_add(0, index.flatten(), gradient.flatten(0, 1).to(precise))  # [U, D]


class _Contributions(torch.autograd.Function):
    """
    Sum over k, and squared norms, of the contributions P[k, t] = sum_j C[k, t, j] S[k, j].

    To save memory, they are computed for one sense at a time, and recomputed in backward. So the only stored tensor of
    size [B, K, L, D] is the senses, and with senses by distinct token there is none.
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
    """sum_k w[k, j] S[k, j] at each position, in at least float32, one sense at a time to save memory."""

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


class _ProjectedConflicts(torch.autograd.Function):
    """
    Parts the ways of the two losses behind the mixture; see [`mix_and_pool`]. Gives the mixture to the language model,
    a copy of it to the context vectors, zeros [B, L, D] to be added to each token's part of the sense vector, and the
    squared norms as they were.

    Forward changes no value. In backward, the gradients of the four give those of both losses at the contributions
    P[k, t]. That of the language model is the same for all k: its gradient g[t] of the mixture. The contrast has
    h[k, t] = context[t] + p[k, t] tokens[t] + 2 norms[k, t] P[k, t], where p sums to 1 over k. Their inner product is
    i[t] = sum over k of g[t] . h[k, t]. Where it is negative, i[t] / (K ||g[t]||^2) g[t] conflicts in each h[k, t]. As
    this is the same for all k, it is taken off the gradient of the mixture. Where g[t] is so small that its direction
    is one of rounding errors, nothing is taken off: so it is with a divergence from a model that is still the same.
    """

    @staticmethod
    def forward(
        ctx, mixture: Tensor, squared_norms: Tensor, contextualization: Tensor, senses: Tensor, index: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        ctx.save_for_backward(contextualization, senses, index)
        nothing = torch.zeros_like(mixture, dtype=squared_norms.dtype)
        return mixture.view_as(mixture), mixture.clone(), nothing, squared_norms.view_as(squared_norms)

    @staticmethod
    def backward(
        ctx, for_language: Tensor, for_context: Tensor, for_tokens: Tensor, for_norms: Tensor
    ) -> tuple[Tensor, Tensor, None, None, None]:
        contextualization, senses, index = ctx.saved_tensors
        language, num_senses = for_language.to(for_norms.dtype), contextualization.shape[1]  # [B, L, D]
        contrast = num_senses * for_context.to(for_norms.dtype) + for_tokens  # [B, L, D], the sum over k of h
        for k, weights in enumerate(contextualization.unbind(1)):
            contribution = (weights @ _sense(senses, index, k)).to(for_norms.dtype)  # [B, L, D]
            contrast = contrast.addcmul_(2 * for_norms[:, k, :, None], contribution)
        square = language.square().sum(-1)  # [B, L]
        is_rounding = square <= contrast.square().sum(-1) * (100 * torch.finfo(square.dtype).eps) ** 2
        share = ((language * contrast).sum(-1) / (num_senses * square)).clamp(max=0)  # [B, L]
        conflicting = share.masked_fill(is_rounding, 0)[..., None] * language
        return for_language + for_context - conflicting.to(for_context.dtype), for_norms, None, None, None


def mix_senses(contextualization: Tensor, senses: Tensor | SensesByToken) -> Tensor:
    """
    Computes the Backpack's output o[t] = sum_k sum_j C[k, t, j] S[k, j] (arXiv 2305.16765, section 3).

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
    Computes [`mix_senses`], and the squared norm of every contribution in at least float32 for [`pool_senses`].

    Returns:
        `tuple` of `torch.Tensor`: [B, L, D] and [B, K, L].
    """
    vectors, index = _split(senses)
    return _Contributions.apply(contextualization.to(vectors.dtype), vectors, index, True)


def mix_and_pool(
    contextualization: Tensor,
    senses: Tensor | SensesByToken,
    attention_mask: Tensor | None,
    temperature: float,
    sentences: Sentences | None,
    project_conflicts: bool = False,
) -> tuple[Tensor, dict[str, Tensor]]:
    """
    Computes the mixture and the sentence vectors in one pass over the contributions.

    All that a loss of the mixture and a loss of the sentence vectors have in common are the contributions
    P[k, t] = sum_j C[k, t, j] S[k, j]. With `project_conflicts`, the gradients of the two losses are compared there:
    at each token t as one vector of K D numbers. Where their inner product is negative, the gradient of the sentence
    vectors loses its component along that of the mixture, and the inner product becomes 0 (PCGrad; Yu et al.,
    "Gradient Surgery for Multi-Task Learning", arXiv 2001.06782). The gradient of the mixture stays whole. Both losses
    must be in one backward pass.

    Args:
        contextualization, senses, temperature, sentences: see [`pool_senses`].
        attention_mask (`torch.Tensor` [B, L], *optional*): padding mask; without it, every token is real.
        project_conflicts (`bool`, *optional*, defaults to `False`): project gradients that conflict.

    Returns:
        `tuple`: the mixture [B, L, D]; and `context_vectors` [N, D], `sense_vectors` [N, D] and `mixture_entropy` [N].
    """
    mixture, squared_norms = mix_and_measure(contextualization, senses)
    real = mixture.new_ones(mixture.shape[:2]) if attention_mask is None else attention_mask
    for_context, added = mixture, None
    if project_conflicts:
        vectors, index = _split(senses)
        constants = contextualization.detach().to(vectors.dtype), vectors.detach(), index
        mixture, for_context, added, squared_norms = _ProjectedConflicts.apply(mixture, squared_norms, *constants)
    sense_vectors, entropy = pool_senses(contextualization, senses, real, temperature, squared_norms, sentences, added)
    context_vectors = pool_context(for_context, real, sentences)
    return mixture, {"context_vectors": context_vectors, "sense_vectors": sense_vectors, "mixture_entropy": entropy}


def _split(senses: Tensor | SensesByToken) -> tuple[Tensor, Tensor | None]:
    return (senses.rows, senses.index) if isinstance(senses, SensesByToken) else (senses, None)


def pool_senses(
    contextualization: Tensor,
    senses: Tensor | SensesByToken,
    attention_mask: Tensor,
    temperature: float,
    squared_norms: Tensor | None = None,
    sentences: Sentences | None = None,
    added: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """
    Computes SENSIA's sense vector of each sentence and the entropy of its mixture (arXiv 2601.10310).

    With contributions P[k, t] = sum_j C[k, t, j] S[k, j] and p[k, t] = softmax over k of ||P[k, t]|| / temperature,
    the sense vector is the mean over real t of sum_k p[k, t] P[k, t], scaled to unit length, and the entropy is the
    mean over real t of -sum_k p log p, in nats. The mean is computed from one weight per sense and position, without
    forming the contributions. All is computed in at least float32, also under autocast; given norms are used as they
    are.

    Args:
        contextualization (`torch.Tensor` [B, K, L, L]): weights C.
        senses (`torch.Tensor` [B, K, L, D] or [`SensesByToken`]): sense vectors S.
        attention_mask (`torch.Tensor` [B, L]): padding mask, 1 for real tokens.
        temperature (`float`): temperature of the softmax over senses, positive.
        squared_norms (`torch.Tensor` [B, K, L], *optional*): squared norms of the contributions, if computed already.
        sentences ([`Sentences`], *optional*): N sentences that share rows; each row is one by default.
        added (`torch.Tensor` [B, L, D], *optional*): added to sum_k p[k, t] P[k, t] of each t.

    Returns:
        `tuple` of `torch.Tensor`: sense vectors of length 1 [N, D], and entropies [N].
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
        ids = ids.clamp(min=0).flatten()  # padding has weight 0, so its sentence does not matter
        lengths = _sum_by_sentence(real[..., None], ids, count)  # [N, 1]
        share = real / lengths.clamp(min=1)[ids].view_as(real)  # [B, L], each sentence sums to 1
        log_mixture = F.log_softmax(squared_norms.clamp(min=1e-12).sqrt() / temperature, dim=1)  # [B, K, L]
        mixture = log_mixture.exp()
        entropy = -(mixture * log_mixture).sum(1) * share  # [B, L]
        # C is 0 between different sentences, so the sum over t stays within the sentence of j.
        weights = ((mixture * share[:, None]).unsqueeze(2) @ contextualization).squeeze(2)  # [B, K, L]
        weighed = _WeighedSenses.apply(weights, vectors, index)  # [B, L, D]
        if added is not None:
            weighed = weighed + share[..., None] * added
        pooled = _sum_by_sentence(weighed, ids, count)  # [N, D]
        return F.normalize(pooled, dim=-1), _sum_by_sentence(entropy[..., None], ids, count).squeeze(-1)


def _sum_by_sentence(values: Tensor, ids: Tensor, count: int) -> Tensor:
    """Sums [N, ...] of values [B, L, ...] over the positions of each sentence."""
    values = values.flatten(0, 1)  # [B L, ...]
    return values.new_zeros(count, *values.shape[1:]).index_add(0, ids, values)


def pool_context(mixture: Tensor, attention_mask: Tensor, sentences: Sentences | None = None) -> Tensor:
    """
    Computes SENSIA's context vector of each sentence: the output at its last real token, scaled to length 1.

    Args:
        mixture (`torch.Tensor` [B, L, D]): the Backpack's output o.
        attention_mask (`torch.Tensor` [B, L]): padding mask, 1 for real tokens; padding may be on either side.
        sentences ([`Sentences`], *optional*): N sentences that share rows; each row is one by default.

    Returns:
        `torch.Tensor` [N, D], at least float32.
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
    "mix_and_pool",
    "mix_senses",
    "pool_context",
    "pool_senses",
]
