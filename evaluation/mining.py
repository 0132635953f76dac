"""Similarity scores of sentence pairs, and pairs that are mined from the sentences of two languages by them."""

import torch
from torch.nn import functional as F

from sensia.evaluation.retrieval import nearest_neighbours, neighbourhoods

SCORES = ("margin", "cosine")
STRATEGIES = ("max", "intersection")
#: Least mean cosine that a margin score divides by. Only of a handful of sentences are the nearest ones farther away.
_LEAST_MEAN = 0.1


def centred_vectors(vectors: torch.Tensor) -> torch.Tensor:
    """
    Takes the mean of all vectors of one language from each of them.

    What the sentences of a language have in common, such as the language itself, says nothing about which of them
    translates a sentence of another language.

    Args:
        vectors (`torch.Tensor` [N, D]): vectors of sentences of one language.

    Returns:
        `torch.Tensor` [N, D]: of length 1.
    """
    return F.normalize(vectors - vectors.mean(0), dim=-1)


def score_pairs(
    source: torch.Tensor, target: torch.Tensor, *, score: str = "margin", neighbours: int = 4
) -> torch.Tensor:
    """
    Scores pairs by the similarity of their two sides.

    The margin score of x and y is their cosine, divided by the mean of two means: of the cosines of x to its k nearest
    vectors of the other side, and of those of y to its own (the ratio margin of Artetxe and Schwenk 2019,
    https://arxiv.org/abs/1811.01136). It is about 1 for translations, and less for pairs of which one side has a
    better partner among the other pairs.

    Args:
        source (`torch.Tensor` [N, D]), target (`torch.Tensor` [N, D]): unit vectors of the two sides, in one order.
        score (`str`, *optional*, defaults to `"margin"`): `"margin"` or `"cosine"`.
        neighbours (`int`, *optional*, defaults to 4): k; fewer if there are fewer pairs.

    Returns:
        `torch.Tensor` [N]

    Raises:
        ValueError: if the shapes differ, there is no pair or no such score.
    """
    if score not in SCORES:
        raise ValueError(f"`score` must be one of {', '.join(SCORES)}, got {score!r}.")
    if source.ndim != 2 or source.shape != target.shape or len(source) == 0:
        raise ValueError(
            f"Expected two [N, D] tensors of one shape, got {list(source.shape)} and {list(target.shape)}."
        )
    cosines = (source * target).sum(1)
    return cosines if score == "cosine" else _margins(cosines, *neighbourhoods(source, target, neighbours))


def mine_pairs(
    source: torch.Tensor, target: torch.Tensor, *, strategy: str = "max", neighbours: int = 4
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """
    Finds sentences that translate each other among those of two languages.

    Each sentence chooses, of its nearest neighbours in the other language, the one with the highest margin score
    ([`score_pairs`]). With `max`, the chosen pairs are taken from the highest score down, and no sentence is taken
    twice. With `intersection`, a pair is taken if its two sentences chose each other. The search is exact: all
    cosines are computed, in blocks.

    Args:
        source (`torch.Tensor` [N, D]): unit vectors of the sentences of one language.
        target (`torch.Tensor` [M, D]): those of the other language.
        strategy (`str`, *optional*, defaults to `"max"`): `"max"` or `"intersection"`.
        neighbours (`int`, *optional*, defaults to 4): number k of nearest neighbours.

    Returns:
        `tuple` of `torch.Tensor` [P]: rows of the source and rows of the target, `int`, and the scores, highest first.

    Raises:
        ValueError: if a side has no sentence, or there is no such strategy.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"`strategy` must be one of {', '.join(STRATEGIES)}, got {strategy!r}.")
    if min(len(source), len(target)) == 0:
        raise ValueError(f"Both languages need sentences, got {len(source)} and {len(target)}.")
    (near, rows), (near_back, rows_back) = nearest_neighbours(source, target, neighbours)
    means = near.mean(1), near_back.mean(1)
    forward, scores = _choices(near, rows, *means)
    backward, scores_back = _choices(near_back, rows_back, *reversed(means))
    mutual = backward[forward] == torch.arange(len(source), device=source.device)
    chosen = torch.stack([torch.arange(len(source), device=source.device), forward])  # [2, N]
    if strategy == "intersection":
        chosen, scores = chosen[:, mutual], scores[mutual]
    else:
        chosen_back = torch.stack([backward, torch.arange(len(target), device=target.device)])  # [2, M]
        chosen, scores = torch.cat([chosen, chosen_back], 1), torch.cat([scores, scores_back])
    order = scores.argsort(descending=True, stable=True)
    chosen, scores = chosen[:, order], scores[order]
    first = _first_uses(chosen.T.tolist())
    return chosen[0, first], chosen[1, first], scores[first]


def _margins(cosines: torch.Tensor, near_source: torch.Tensor, near_target: torch.Tensor) -> torch.Tensor:
    return cosines / ((near_source + near_target) / 2).clamp_min(_LEAST_MEAN)


def _choices(
    cosines: torch.Tensor, rows: torch.Tensor, own: torch.Tensor, others: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the neighbours [N, k] of each sentence, the row with the highest margin score, and the score."""
    best, place = _margins(cosines, own[:, None], others[rows]).max(1, keepdim=True)
    return rows.gather(1, place)[:, 0], best[:, 0]


def _first_uses(pairs: list[list[int]]) -> list[int]:
    """Numbers of the pairs neither of whose sides stands in an earlier one of them."""
    sources, targets, found = set(), set(), []
    for number, (source, target) in enumerate(pairs):
        if source not in sources and target not in targets:
            sources.add(source)
            targets.add(target)
            found.append(number)
    return found
