"""Bitext retrieval: the rank of each sentence's translation among all sentences, by cosine or margin score."""

from collections.abc import Callable, Iterator

import torch
from torch.nn import functional as F

# Sentences of each side compared at a time: the block takes 4 MB in float32, which fits into a CPU cache.
_BLOCK = 1024

Block = tuple[tuple[slice, slice], torch.Tensor]


def retrieval_recall(source: torch.Tensor, target: torch.Tensor, *, chunk_size: int = _BLOCK) -> dict[str, float]:
    """
    Computes recall@1 of bitext retrieval by cosine, in both directions.

    The result is exact. Cosines are computed in blocks, so the N x N matrix is never in memory. A translation that
    ties with another candidate counts as not found, so equal vectors for all sentences give a recall of 0.

    Args:
        source (`torch.Tensor` [N, D]): vectors of the source sentences.
        target (`torch.Tensor` [N, D]): vectors of their translations, in the same order.
        chunk_size (`int`, *optional*, defaults to 1024): sentences of each side compared at a time; affects memory
            only.

    Returns:
        `dict`: `source_to_target`, `target_to_source` and their `mean`, each in [0, 1].

    Raises:
        ValueError: if the shapes differ, or there is no row.
    """
    source, target = _unit_pairs(source, target)
    places = _Places(_own_cosines(source, target, chunk_size))
    for sides, cosines in _blocks(source, target, chunk_size):
        places.count(sides, cosines)
    return _both_ways(places.ranks(), _recall_at(1))


def retrieval_metrics(
    source: torch.Tensor, target: torch.Tensor, *, neighbours: int = 4, chunk_size: int = _BLOCK
) -> dict[str, float]:
    """
    Computes recall@1, recall@5 and mean reciprocal rank by cosine, and recall@1 with a ratio margin.

    The margin divides the cosine of a pair by the mean cosine of both to their nearest neighbours on the other side
    (Artetxe and Schwenk 2019, https://arxiv.org/abs/1811.01136), which lowers the score of sentences that are near to
    all others (hubs). One minus `margin_recall@1_source_to_target` is the error rate of LASER's `xsim`, except that
    all candidates are scored here, not only the nearest ones. Ties count as in [`retrieval_recall`].

    Args:
        source (`torch.Tensor` [N, D]): vectors of the source sentences.
        target (`torch.Tensor` [N, D]): vectors of their translations, in the same order.
        neighbours (`int`, *optional*, defaults to 4): neighbours in the margin; fewer if N is smaller.
        chunk_size (`int`, *optional*): as in [`retrieval_recall`].

    Returns:
        `dict`: `recall@1`, `recall@5`, `mrr` and `margin_recall@1`, each the mean of both directions, and each with
        `_source_to_target` and `_target_to_source`; all in [0, 1].

    Raises:
        ValueError: if the shapes differ, or there is no row.
    """
    return metrics_of_ranks(retrieval_ranks(source, target, neighbours=neighbours, chunk_size=chunk_size))


def retrieval_ranks(
    source: torch.Tensor, target: torch.Tensor, *, neighbours: int = 4, chunk_size: int = _BLOCK
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """
    Computes the rank, from 1, of each sentence's translation among all sentences of the other language.

    Args:
        source (`torch.Tensor` [N, D]), target (`torch.Tensor` [N, D]), neighbours, chunk_size: as in
            [`retrieval_metrics`].

    Returns:
        `dict`: for `cosine` and `margin`, the ranks from source to target and from target to source, `int` [N] each.
        Candidates that tie with the translation rank before it.
    """
    source, target = _unit_pairs(source, target)
    own = _own_cosines(source, target, chunk_size)
    by_cosine, nearest = _Places(own), _Nearest(source, target, neighbours)
    for sides, cosines in _blocks(source, target, chunk_size):
        by_cosine.count(sides, cosines)
        nearest.keep(sides, cosines)
    near_source, near_target = (mean / 2 for mean in nearest.means())
    by_margin = _Places(own / (near_source + near_target))
    for (rows, columns), cosines in _blocks(source, target, chunk_size):
        by_margin.count((rows, columns), cosines.div_(near_source[rows, None] + near_target[columns]))
    return {"cosine": by_cosine.ranks(), "margin": by_margin.ranks()}


def metrics_of_ranks(ranks: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> dict[str, float]:
    """
    Computes the metrics of [`retrieval_metrics`] from the ranks of [`retrieval_ranks`].

    Args:
        ranks (`dict`): ranks by `cosine` and by `margin`.
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


def neighbourhoods(left: torch.Tensor, right: torch.Tensor, neighbours: int) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Computes the mean cosine of each vector to its nearest vectors of the other side.

    Args:
        left (`torch.Tensor` [L, D]), right (`torch.Tensor` [R, D]): unit vectors.
        neighbours (`int`): number of nearest vectors; all if there are fewer.

    Returns:
        `tuple`: of the left `torch.Tensor` [L], and of the right `torch.Tensor` [R].
    """
    nearest = _Nearest(left, right, neighbours)
    for sides, cosines in _blocks(left, right, _BLOCK):
        nearest.keep(sides, cosines)
    return nearest.means()


def nearest_neighbours(
    left: torch.Tensor, right: torch.Tensor, neighbours: int
) -> tuple[tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """
    Finds the nearest vectors of the other side, of each vector of both sides. The search is exact.

    Args:
        left (`torch.Tensor` [L, D]), right (`torch.Tensor` [R, D]): unit vectors.
        neighbours (`int`): number k of nearest vectors; all if there are fewer.

    Returns:
        `tuple`: of the left, and of the right: the cosines, highest first, and the rows of the other side, `int`,
        `torch.Tensor` [L, k] or [R, k].
    """
    nearest = _Nearest(left, right, neighbours)
    for sides, cosines in _blocks(left, right, _BLOCK):
        nearest.keep(sides, cosines)
    of_left, of_right = zip(nearest.best, nearest.rows, strict=True)
    return of_left, of_right


def _unit_pairs(source, target) -> tuple[torch.Tensor, torch.Tensor]:
    source, target = torch.as_tensor(source), torch.as_tensor(target)
    if source.ndim != 2 or source.shape != target.shape or len(source) == 0:
        raise ValueError(
            f"Expected two [N, D] tensors of one shape, got {list(source.shape)} and {list(target.shape)}."
        )
    source = F.normalize(source.to(torch.promote_types(source.dtype, torch.float32)), dim=-1)
    return source, F.normalize(target.to(source.dtype), dim=-1)


def _blocks(left: torch.Tensor, right: torch.Tensor, size: int) -> Iterator[Block]:
    """Yields blocks [A, B] of the cosines of left and right vectors with their indices; covers each pair once."""
    for row in range(0, len(left), size):
        for column in range(0, len(right), size):
            rows, columns = slice(row, row + size), slice(column, column + size)
            yield (rows, columns), left[rows] @ right[columns].T


def _own_cosines(source: torch.Tensor, target: torch.Tensor, size: int) -> torch.Tensor:
    """Cosine of each sentence with its translation [N], computed by the same matrix product as all other cosines."""
    pairs = zip(source.split(size), target.split(size), strict=True)
    # Without a copy, the diagonal would keep its whole block in memory.
    return torch.cat([(left @ right.T).diagonal().clone() for left, right in pairs])


class _Places:
    """Counts block by block the candidates that score less than a sentence's translation, in both directions."""

    def __init__(self, own: torch.Tensor):
        # Scores of equal vectors differ in the last digits, depending on their place in the matrix product.
        self.below = own - 8 * torch.finfo(own.dtype).eps  # [N]
        self.less = own.new_zeros(2, len(own), dtype=torch.int32)

    def count(self, sides: tuple[slice, slice], scores: torch.Tensor):
        for less, side, queries in zip(self.less, sides, (scores, scores.T), strict=True):
            less[side] += (queries < self.below[side, None]).sum(1, dtype=torch.int32)

    def ranks(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Ranks from 1 of both sides, `int` [N] each; ties rank before the translation."""
        forward, backward = len(self.below) - self.less
        return forward, backward


class _Nearest:
    """Collects block by block the highest cosines of each vector with the other side, and where they are."""

    def __init__(self, left: torch.Tensor, right: torch.Tensor, neighbours: int):
        sides = ((left, right), (right, left))
        self.best = [own.new_full((len(own), min(neighbours, len(other))), -torch.inf) for own, other in sides]
        self.rows = [torch.zeros_like(best, dtype=torch.int64) for best in self.best]

    def keep(self, sides: tuple[slice, slice], cosines: torch.Tensor):
        blocks = (cosines, cosines.T.contiguous())
        for best, rows, side, other, queries in zip(self.best, self.rows, sides, sides[::-1], blocks, strict=True):
            found, places = queries.topk(min(best.shape[1], queries.shape[1]))
            found, places = torch.cat([best[side], found], 1), torch.cat([rows[side], places + other.start], 1)
            best[side], order = found.topk(best.shape[1])
            rows[side] = places.gather(1, order)

    def means(self) -> tuple[torch.Tensor, torch.Tensor]:
        left, right = (best.mean(1) for best in self.best)
        return left, right


def _recall_at(places: int) -> Callable[[torch.Tensor], float]:
    # In float64, because a share of a hundred thousand rows needs more digits than float32 has.
    return lambda ranks: (ranks <= places).double().mean().item()


def _both_ways(ranks: tuple[torch.Tensor, torch.Tensor], measure: Callable[[torch.Tensor], float]) -> dict[str, float]:
    forward, backward = map(measure, ranks)
    return {"source_to_target": forward, "target_to_source": backward, "mean": (forward + backward) / 2}
