"""Bitext retrieval: does a sentence find its translation among all others? By cosine, or by cosine with a margin."""

from collections.abc import Callable

import torch
from torch.nn import functional as F

# Scores that are in memory at once: 64 MB of float32.
_SCORES_AT_ONCE = 2**24

Rescore = Callable[[torch.Tensor, int], torch.Tensor]


def retrieval_recall(source: torch.Tensor, target: torch.Tensor, *, chunk_size: int | None = None) -> dict[str, float]:
    """
    Recall@1 of bitext retrieval by cosine, in both directions.

    Exact, over chunks of queries, so the N x N cosines are never in memory together. A translation that ties with
    another candidate is not found: sentences that all have one vector find nothing, in whatever order they come.

    Args:
        source (`torch.Tensor` [N, D]): vectors of the source sentences.
        target (`torch.Tensor` [N, D]): vectors of their translations, in the same order.
        chunk_size (`int`, *optional*): queries compared at a time; bounds the memory only. By default as many as
            make 2**24 cosines.

    Returns:
        `dict`: `source_to_target`, `target_to_source` and their `mean`, each in [0, 1].

    Raises:
        ValueError: if the shapes differ, or there is no row.
    """
    source, target = _unit_pairs(source, target)
    return _both_ways((_ranks(source, target, chunk_size), _ranks(target, source, chunk_size)), _recall_at(1))


def retrieval_metrics(
    source: torch.Tensor, target: torch.Tensor, *, neighbours: int = 4, chunk_size: int | None = None
) -> dict[str, float]:
    """
    Recall@1, recall@5 and mean reciprocal rank by cosine, and recall@1 with a ratio margin.

    The margin divides the cosine of a pair by the mean cosine of both to their nearest neighbours on the other side
    (Artetxe and Schwenk 2019, https://arxiv.org/abs/1811.01136), which takes from sentences that are near to all.
    One minus `margin_recall@1_source_to_target` is the error rate that LASER's `xsim` reports, but that all candidates
    are scored here and not the nearest few alone. Ties count as in [`retrieval_recall`].

    Args:
        source (`torch.Tensor` [N, D]): vectors of the source sentences.
        target (`torch.Tensor` [N, D]): vectors of their translations, in the same order.
        neighbours (`int`, *optional*, defaults to 4): neighbours of the margin; fewer where N is less.
        chunk_size (`int`, *optional*): as in [`retrieval_recall`].

    Returns:
        `dict`: `recall@1`, `recall@5`, `mrr` and `margin_recall@1`, each the mean of both directions, and each with
        `_source_to_target` and `_target_to_source`; all in [0, 1].

    Raises:
        ValueError: if the shapes differ, or there is no row.
    """
    return metrics_of_ranks(retrieval_ranks(source, target, neighbours=neighbours, chunk_size=chunk_size))


def retrieval_ranks(
    source: torch.Tensor, target: torch.Tensor, *, neighbours: int = 4, chunk_size: int | None = None
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """
    The place, from 1, of each sentence's translation among all sentences of the other language.

    Args:
        source (`torch.Tensor` [N, D]), target (`torch.Tensor` [N, D]), neighbours, chunk_size: as in
            [`retrieval_metrics`].

    Returns:
        `dict`: by `cosine` and by `margin`, the places from source to target and from target to source, `int` [N]
        each. What does not score less than the translation stands before it.
    """
    source, target = _unit_pairs(source, target)
    near_source = neighbourhood(source, target, neighbours, chunk_size=chunk_size)
    near_target = neighbourhood(target, source, neighbours, chunk_size=chunk_size)
    return {
        "cosine": (_ranks(source, target, chunk_size), _ranks(target, source, chunk_size)),
        "margin": (
            _ranks(source, target, chunk_size, _ratio_margin(near_source, near_target)),
            _ranks(target, source, chunk_size, _ratio_margin(near_target, near_source)),
        ),
    }


def metrics_of_ranks(ranks: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> dict[str, float]:
    """
    The metrics of [`retrieval_metrics`] from the places of [`retrieval_ranks`].

    Args:
        ranks (`dict`): places by `cosine` and by `margin`.
    """
    measures = {
        "recall@1": (ranks["cosine"], _recall_at(1)),
        "recall@5": (ranks["cosine"], _recall_at(5)),
        "mrr": (ranks["cosine"], lambda places: places.double().reciprocal().mean().item()),
        "margin_recall@1": (ranks["margin"], _recall_at(1)),
    }
    metrics = {}
    for name, (places, measure) in measures.items():
        values = _both_ways(places, measure)
        metrics[name] = values.pop("mean")
        metrics |= {f"{name}_{direction}": value for direction, value in values.items()}
    return metrics


def neighbourhood(
    queries: torch.Tensor, candidates: torch.Tensor, neighbours: int, *, chunk_size: int | None = None
) -> torch.Tensor:
    """
    Mean cosine of each query to its nearest candidates.

    Args:
        queries (`torch.Tensor` [Q, D]), candidates (`torch.Tensor` [C, D]): unit vectors.
        neighbours (`int`): how many candidates; all where there are fewer.
        chunk_size (`int`, *optional*): queries compared at a time.

    Returns:
        `torch.Tensor` [Q].
    """
    count = min(neighbours, len(candidates))
    chunks = queries.split(chunk_size or queries_at_once(len(candidates)))
    return torch.cat([(chunk @ candidates.T).topk(count, dim=1).values.mean(1) for chunk in chunks])


def queries_at_once(candidates: int) -> int:
    """
    Queries whose scores against so many candidates take 64 MB in float32.

    Args:
        candidates (`int`): number of candidates.
    """
    return max(_SCORES_AT_ONCE // max(candidates, 1), 1)


def _unit_pairs(source, target) -> tuple[torch.Tensor, torch.Tensor]:
    source, target = torch.as_tensor(source), torch.as_tensor(target)
    if source.ndim != 2 or source.shape != target.shape or len(source) == 0:
        raise ValueError(
            f"Expected two [N, D] tensors of one shape, got {list(source.shape)} and {list(target.shape)}."
        )
    source = F.normalize(source.to(torch.promote_types(source.dtype, torch.float32)), dim=-1)
    return source, F.normalize(target.to(source.dtype), dim=-1)


def _ranks(
    queries: torch.Tensor, candidates: torch.Tensor, chunk_size: int | None, rescore: Rescore | None = None
) -> torch.Tensor:
    """The place, from 1, of candidate i among all for query i. Whatever does not score less stands before it."""
    ranks, start = [], 0
    for chunk in queries.split(chunk_size or queries_at_once(len(candidates))):
        scores = chunk @ candidates.T  # [C, N]
        scores = scores if rescore is None else rescore(scores, start)
        own = scores.diagonal(start)[:, None]  # [C, 1]
        # Equal vectors get scores that differ in the last digits, by where they stand in the product.
        ranks.append(len(candidates) - (scores < own - 8 * torch.finfo(scores.dtype).eps).sum(1))
        start += len(chunk)
    return torch.cat(ranks)


def _ratio_margin(near_queries: torch.Tensor, near_candidates: torch.Tensor) -> Rescore:
    def rescore(scores: torch.Tensor, start: int) -> torch.Tensor:
        near = near_queries[start : start + len(scores), None] + near_candidates  # [C, N]
        return 2 * scores / near

    return rescore


def _recall_at(places: int) -> Callable[[torch.Tensor], float]:
    # In double precision: a share of a hundred thousand rows has more digits than float32.
    return lambda ranks: (ranks <= places).double().mean().item()


def _both_ways(ranks: tuple[torch.Tensor, torch.Tensor], measure: Callable[[torch.Tensor], float]) -> dict[str, float]:
    forward, backward = map(measure, ranks)
    return {"source_to_target": forward, "target_to_source": backward, "mean": (forward + backward) / 2}
