"""Similarity scores of sentence pairs, and pairs that are mined from the sentences of two languages by them."""

from collections.abc import Sequence

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
    _check_strategy(strategy)
    if min(len(source), len(target)) == 0:
        raise ValueError(f"Both languages need sentences, got {len(source)} and {len(target)}.")
    (near, rows), (near_back, rows_back) = nearest_neighbours(source, target, neighbours)
    means = near.mean(1), near_back.mean(1)
    return _take(_choices(near, rows, *means), _choices(near_back, rows_back, *reversed(means)), strategy)


def mine_documents(
    source: torch.Tensor,
    target: torch.Tensor,
    documents: Sequence[tuple[torch.Tensor, torch.Tensor]],
    *,
    strategy: str = "max",
    neighbours: int = 4,
    others: int = 1000,
    seed: int = 0,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """
    Finds sentences that translate each other within pairs of documents.

    As [`mine_pairs`] within each pair of documents, but for the neighbours: a document of a few sentences has too few
    to divide a cosine by. They are the nearest sentences of the document and of a sample of all the others. The time
    grows with the sentences, and not with their square.

    Args:
        source (`torch.Tensor` [N, D]): unit vectors of the sentences of one language.
        target (`torch.Tensor` [M, D]): those of the other language.
        documents (`Sequence` of two `torch.Tensor`): rows of the source and rows of the target of each pair.
        strategy (`str`, *optional*, defaults to `"max"`): `"max"` or `"intersection"`.
        neighbours (`int`, *optional*, defaults to 4): number k of nearest neighbours.
        others (`int`, *optional*, defaults to 1000): sentences of the sample, of each language.
        seed (`int`, *optional*, defaults to 0): of the sample.

    Returns:
        `tuple` of `torch.Tensor` [P]: rows of the source and rows of the target, `int`, and the scores, highest first.

    Raises:
        ValueError: if there is no pair of documents with sentences, or no such strategy.
    """
    _check_strategy(strategy)
    generator = torch.Generator().manual_seed(seed)
    samples = [torch.randperm(len(side), generator=generator)[:others] for side in (source, target)]
    found = []
    for rows, columns in documents:
        if min(len(rows), len(columns)) == 0:
            continue
        cosines = source[rows] @ target[columns].T  # [n, m]
        near_source = _nearest_mean(cosines, source[rows], target, columns, samples[1], neighbours)  # [n]
        near_target = _nearest_mean(cosines.T, target[columns], source, rows, samples[0], neighbours)  # [m]
        margins = _margins(cosines, near_source[:, None], near_target)
        (best, forward), (best_back, backward) = margins.max(1), margins.max(0)
        pairs = _take((forward, best), (backward, best_back), strategy)
        found.append((rows[pairs[0].cpu()], columns[pairs[1].cpu()], pairs[2]))
    if not found:
        raise ValueError("There is no pair of documents with sentences in both languages.")
    of_source, of_target, scores = (torch.cat(each) for each in zip(*found, strict=True))
    order = scores.argsort(descending=True, stable=True).cpu()
    return of_source[order], of_target[order], scores.cpu()[order]


def _nearest_mean(
    cosines: torch.Tensor,
    vectors: torch.Tensor,
    others: torch.Tensor,
    own: torch.Tensor,
    sample: torch.Tensor,
    neighbours: int,
) -> torch.Tensor:
    """Mean cosine [n] to the nearest of the document's sentences, of which `cosines` [n, m] are, and of the sample."""
    beside = sample[~torch.isin(sample, own)]
    near = torch.cat([cosines, vectors @ others[beside].T], 1)
    return near.topk(min(neighbours, near.shape[1]), dim=1).values.mean(1)


def _take(
    choices: tuple[torch.Tensor, torch.Tensor], choices_back: tuple[torch.Tensor, torch.Tensor], strategy: str
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pairs [P] of the partners that N sources and M targets chose, and their scores, highest first."""
    (forward, scores), (backward, scores_back) = choices, choices_back
    source = torch.arange(len(forward), device=forward.device)
    mutual = backward[forward] == source
    chosen = torch.stack([source, forward])  # [2, N]
    if strategy == "intersection":
        chosen, scores = chosen[:, mutual], scores[mutual]
    else:
        chosen_back = torch.stack([backward, torch.arange(len(backward), device=backward.device)])  # [2, M]
        chosen, scores = torch.cat([chosen, chosen_back], 1), torch.cat([scores, scores_back])
    order = scores.argsort(descending=True, stable=True)
    chosen, scores = chosen[:, order], scores[order]
    first = _first_uses(chosen.T.tolist())
    return chosen[0, first], chosen[1, first], scores[first]


def _check_strategy(strategy: str):
    if strategy not in STRATEGIES:
        raise ValueError(f"`strategy` must be one of {', '.join(STRATEGIES)}, got {strategy!r}.")


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
