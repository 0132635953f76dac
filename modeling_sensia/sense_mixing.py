"""What a Backpack does with senses: weigh them by context, mix them, pool a sentence's. Functions of tensors alone.

Shapes: B rows, L positions of this call, S positions including the cached past, K senses, D the hidden size.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


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


class _Contributions(torch.autograd.Function):
    """
    What is wanted of the contributions P[k, t] = sum_j C[k, t, j] S[k, j]: their sum over k, and their squared norms.

    They are formed for one sense at a time, and again in backward, so that nothing of size [B, K, L, D] is kept but
    the senses.
    """

    @staticmethod
    def forward(ctx, contextualization: Tensor, senses: Tensor, measure: bool) -> tuple[Tensor, Tensor | None]:
        ctx.save_for_backward(contextualization, senses)
        precise = torch.promote_types(senses.dtype, torch.float32)
        mixture = torch.zeros((), dtype=precise, device=senses.device)
        squared_norms = []
        for weights, vectors in zip(contextualization.unbind(1), senses.unbind(1), strict=True):
            contribution = (weights @ vectors).to(precise)  # [B, L, D]
            mixture = mixture + contribution
            if measure:
                squared_norms.append(contribution.square().sum(-1))
        return mixture.to(senses.dtype), torch.stack(squared_norms, 1) if measure else None

    @staticmethod
    def backward(ctx, for_mixture: Tensor, for_norms: Tensor | None) -> tuple[Tensor, Tensor, None]:
        contextualization, senses = ctx.saved_tensors
        for_weights, for_vectors = torch.empty_like(contextualization), torch.empty_like(senses)
        for k in range(senses.shape[1]):
            weights, vectors, gradient = contextualization[:, k], senses[:, k], for_mixture
            if for_norms is not None:
                gradient = for_mixture + (2 * for_norms[:, k, :, None] * (weights @ vectors)).to(for_mixture.dtype)
            for_weights[:, k] = gradient @ vectors.mT  # [B, L, S]
            for_vectors[:, k] = weights.mT @ gradient  # [B, S, D]
        return for_weights, for_vectors, None


def mix_senses(contextualization: Tensor, senses: Tensor) -> Tensor:
    """
    The Backpack's output o[t] = sum_k sum_j C[k, t, j] S[k, j] (arXiv 2305.16765, section 3).

    Args:
        contextualization (`torch.Tensor` [B, K, L, S]): weights C.
        senses (`torch.Tensor` [B, K, S, D]): sense vectors S.

    Returns:
        `torch.Tensor` [B, L, D]
    """
    return _Contributions.apply(contextualization.to(senses.dtype), senses, False)[0]


def mix_and_measure(contextualization: Tensor, senses: Tensor) -> tuple[Tensor, Tensor]:
    """
    [`mix_senses`], and the squared norm of every contribution in float32 at least, for [`pool_senses`].

    Returns:
        `tuple` of `torch.Tensor`: [B, L, D] and [B, K, L].
    """
    return _Contributions.apply(contextualization.to(senses.dtype), senses, True)


def pool_senses(
    contextualization: Tensor,
    senses: Tensor,
    attention_mask: Tensor,
    temperature: float,
    squared_norms: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """
    SENSIA's sense vector of each row and the entropy of its mixture (arXiv 2601.10310).

    With contributions P[k, t] = sum_j C[k, t, j] S[k, j] and p[k, t] = softmax over k of ||P[k, t]|| / temperature,
    the sense vector is the mean over real t of sum_k p[k, t] P[k, t], scaled to unit length, and the entropy is the
    mean over real t of -sum_k p log p, in nats. The mean needs one weight per sense and position, not the
    contributions. Computed in float32 at least, whatever autocast says, but for the norms that are given.

    Args:
        contextualization (`torch.Tensor` [B, K, L, L]): weights C.
        senses (`torch.Tensor` [B, K, L, D]): sense vectors S.
        attention_mask (`torch.Tensor` [B, L]): 1 for real tokens, 0 for pads.
        temperature (`float`): temperature of the softmax over senses, positive.
        squared_norms (`torch.Tensor` [B, K, L], *optional*): of the contributions, if known already.

    Returns:
        `tuple` of `torch.Tensor`: unit sense vectors [B, D] and entropies [B].
    """
    if temperature <= 0:
        raise ValueError(f"The pooling temperature must be positive, got {temperature}.")
    precise = torch.promote_types(senses.dtype, torch.float32)
    with torch.autocast(senses.device.type, enabled=False):
        contextualization, senses = contextualization.to(precise), senses.to(precise)
        if squared_norms is None:
            _, squared_norms = mix_and_measure(contextualization, senses)  # [B, K, L]
        real = attention_mask.to(precise)  # [B, L]
        share = real / real.sum(1, keepdim=True).clamp(min=1)  # [B, L], each row sums to 1
        log_mixture = F.log_softmax(squared_norms.clamp(min=1e-12).sqrt() / temperature, dim=1)  # [B, K, L]
        mixture = log_mixture.exp()
        entropy = -((mixture * log_mixture).sum(1) * share).sum(1)  # [B]
        weights = (mixture * share[:, None]).unsqueeze(2) @ contextualization  # [B, K, 1, L]
        pooled = (weights @ senses).sum(1).squeeze(1)  # [B, D]
        return F.normalize(pooled, dim=-1), entropy


def pool_context(mixture: Tensor, attention_mask: Tensor) -> Tensor:
    """
    SENSIA's context vector of each row: the Backpack's output at the last real token, scaled to unit length.

    Args:
        mixture (`torch.Tensor` [B, L, D]): the Backpack's output o.
        attention_mask (`torch.Tensor` [B, L]): 1 for real tokens, 0 for pads, on either side.

    Returns:
        `torch.Tensor` [B, D], float32 at least.
    """
    positions = torch.arange(mixture.shape[1], device=mixture.device)
    last = (attention_mask.to(positions.dtype) * positions).argmax(1)  # [B]
    rows = torch.arange(mixture.shape[0], device=mixture.device)
    precise = torch.promote_types(mixture.dtype, torch.float32)
    return F.normalize(mixture[rows, last].to(precise), dim=-1)


__all__ = ["contextualize", "mix_and_measure", "mix_senses", "pool_context", "pool_senses"]
