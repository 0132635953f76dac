"""The contrastive loss, exact across processes, and losses that are not finite."""

import math

import torch
from torch import distributed
from torch.nn import functional as F


class _GatherRows(torch.autograd.Function):
    """Rows of all processes, with gradients flowing back to the process each row came from."""

    @staticmethod
    def forward(ctx, rows: torch.Tensor) -> torch.Tensor:
        ctx.count = rows.shape[0]
        gathered = [torch.empty_like(rows) for _ in range(distributed.get_world_size())]
        distributed.all_gather(gathered, rows.contiguous())
        return torch.cat(gathered)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> torch.Tensor:
        gradient = gradient.contiguous()
        distributed.all_reduce(gradient)
        start = distributed.get_rank() * ctx.count
        return gradient[start : start + ctx.count]


def gather_rows(rows: torch.Tensor) -> torch.Tensor:
    """
    The rows of every process, in rank order, differentiable.

    Args:
        rows (`torch.Tensor` [B, D]): this process's rows; every process has the same number.

    Returns:
        `torch.Tensor` [B * processes, D]
    """
    if not distributed.is_available() or not distributed.is_initialized() or distributed.get_world_size() == 1:
        return rows
    return _GatherRows.apply(rows)


def info_nce(queries: torch.Tensor, keys: torch.Tensor, temperature: float, one_way: bool = False) -> torch.Tensor:
    """
    Symmetric InfoNCE of aligned unit vectors (arXiv 2601.10310; van den Oord et al., arXiv 1807.03748).

    Row i of `queries` belongs to row i of `keys`; all other rows of all processes are negatives. The value on each
    process is the mean over its own rows, so the mean over processes is the loss of the joined batch, and averaging
    gradients over processes (as DDP does) gives its gradient. Computed in float32 at least.

    Args:
        queries (`torch.Tensor` [B, D]): unit vectors, one side.
        keys (`torch.Tensor` [B, D]): unit vectors, the other side.
        temperature (`float`): divides the cosines; positive.
        one_way (`bool`, *optional*, defaults to `False`): queries over keys only, as the authors' script does.

    Returns:
        `torch.Tensor`: scalar, in nats.

    Raises:
        ValueError: if the shapes differ or the temperature is not positive.
    """
    if queries.shape != keys.shape or queries.ndim != 2:
        raise ValueError(
            f"Expected two [B, D] tensors of one shape, got {list(queries.shape)} and {list(keys.shape)}."
        )
    if temperature <= 0:
        raise ValueError(f"The InfoNCE temperature must be positive, got {temperature}.")
    with torch.autocast(queries.device.type, enabled=False):
        precise = torch.promote_types(queries.dtype, torch.float32)
        queries, keys = queries.to(precise), keys.to(precise)
        forward = _rows_find_partners(queries, gather_rows(keys), temperature)
        if one_way:
            return forward
        return (forward + _rows_find_partners(keys, gather_rows(queries), temperature)) / 2


def weighted_info_nce(
    queries: torch.Tensor, keys: torch.Tensor, weights: torch.Tensor, temperature: float
) -> torch.Tensor:
    """
    Symmetric InfoNCE of aligned unit vectors that count differently: the weighted mean over rows. Nothing is gathered
    from other processes, which all have the same rows.

    Args:
        queries (`torch.Tensor` [N, D]), keys (`torch.Tensor` [N, D]): unit vectors of both sides; row i belongs to i.
        weights (`torch.Tensor` [N]): how much each row counts; positive.
        temperature (`float`): divides the cosines; positive.

    Returns:
        `torch.Tensor`: scalar, in nats.
    """
    with torch.autocast(queries.device.type, enabled=False):
        logits = queries @ keys.T / temperature  # [N, N]
        right = torch.arange(len(logits), device=logits.device)
        forward = F.cross_entropy(logits, right, reduction="none")  # [N]
        backward = F.cross_entropy(logits.T, right, reduction="none")  # [N]
        return (weights * (forward + backward) / 2).sum() / weights.sum()


def _rows_find_partners(rows: torch.Tensor, candidates: torch.Tensor, temperature: float) -> torch.Tensor:
    logits = rows @ candidates.T / temperature  # [B, B * processes]
    first = distributed.get_rank() * len(rows) if len(candidates) > len(rows) else 0
    return F.cross_entropy(logits, torch.arange(first, first + len(rows), device=rows.device))


def with_nan_gradient_if_nonfinite(loss: torch.Tensor) -> torch.Tensor:
    """
    The same loss, with a gradient of NaN where the loss is not finite. Some infinite losses have a finite gradient.
    With NaN, every process sees the fault in the norm of the gradients, and no process has to ask the others.

    Args:
        loss (`torch.Tensor`): scalar.

    Returns:
        `torch.Tensor`: scalar.
    """
    return loss * torch.where(loss.detach().isfinite(), 1.0, math.nan).to(loss.dtype)
