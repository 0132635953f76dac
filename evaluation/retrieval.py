"""Bitext retrieval: does a sentence find its translation among all others?"""

import torch
from torch.nn import functional as F


def retrieval_recall(source: torch.Tensor, target: torch.Tensor, *, chunk_size: int = 1024) -> dict[str, float]:
    """
    Recall@1 of bitext retrieval by cosine, in both directions.

    Args:
        source (`torch.Tensor` [N, D]): vectors of the source sentences.
        target (`torch.Tensor` [N, D]): vectors of their translations, in the same order.
        chunk_size (`int`, *optional*, defaults to 1024): queries compared at a time; bounds the memory only.

    Returns:
        `dict`: `source_to_target`, `target_to_source` and their `mean`, each in [0, 1].

    Raises:
        ValueError: if the shapes differ, or there is no row.
    """
    source, target = torch.as_tensor(source), torch.as_tensor(target)
    if source.ndim != 2 or source.shape != target.shape or len(source) == 0:
        raise ValueError(
            f"Expected two [N, D] tensors of one shape, got {list(source.shape)} and {list(target.shape)}."
        )
    source = F.normalize(source.to(torch.promote_types(source.dtype, torch.float32)), dim=-1)
    target = F.normalize(target.to(source.dtype), dim=-1)
    forward, backward = _found(source, target, chunk_size), _found(target, source, chunk_size)
    return {"source_to_target": forward, "target_to_source": backward, "mean": (forward + backward) / 2}


def _found(queries: torch.Tensor, candidates: torch.Tensor, chunk_size: int) -> float:
    hits = 0
    for start in range(0, len(queries), chunk_size):
        nearest = (queries[start : start + chunk_size] @ candidates.T).argmax(1)  # [chunk]
        hits += int((nearest == torch.arange(start, start + len(nearest), device=nearest.device)).sum())
    return hits / len(queries)
