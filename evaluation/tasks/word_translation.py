"""Word translation: precision of the nearest words of the other language."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sensia.evaluation.intervals import bootstrap_mean
from sensia.evaluation.retrieval import neighbourhoods
from sensia.evaluation.tasks.word_vectors import word_vectors
from sensia.evaluation.word_pairs import WordPair, in_running_text

_CSLS_NEIGHBOURS = 10
# Number of scores in memory at a time: 64 MB in float32.
_SCORES_AT_ONCE = 2**24


def measure_word_translation(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[WordPair],
    *,
    max_words: int | None = 3000,
    shared_tokens: bool = False,
    seed: int = 0,
) -> dict[str, Any]:
    """
    Measures the precision of word translation from English, among all target words of a word list.

    A word is correct at k if one of its translations is among the k nearest words; words that tie with a translation
    rank before it. Scores are the cosine and CSLS (Conneau et al. 2018, https://arxiv.org/abs/1710.04087), 2 cos(x, y)
    - r(x) - r(y), where r is the mean cosine to the 10 nearest words of the other language.

    Args:
        model (`PreTrainedModel`): a causal language model, read by [`word_vectors`].
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer.
        pairs (`Sequence[WordPair]`): of [`read_lexicon`].
        max_words (`int`, *optional*, defaults to 3000): number of English words, drawn at random from the list; the
            candidates are their translations. `None` means all.
        shared_tokens (`bool`, *optional*, defaults to `False`): keep translations that share a token with their word.
            They share its vector whether the model is aligned or not, so with them an English model translates loan
            words. Which translations these are depends on the tokenizer.
        seed (`int`, *optional*, defaults to 0): seed of the random choice.

    Returns:
        `dict`: `metrics`, for each kind of vector `{kind}_precision@1`, `@5` and `{kind}_csls_precision@1`, `@5`;
        `intervals`, 95 % bootstrap over the English words; `chance`; `words` and `candidates`, their numbers;
        `sharing_tokens`, the number of pairs left out because they share a token.

    Raises:
        ValueError: if there is no pair, or none is left.
    """
    used = list(pairs) if shared_tokens else [pair for pair in pairs if not _share_a_token(pair, tokenizer)]
    translations = _draw(used, max_words, seed)
    sources, targets = list(translations), sorted({word for words in translations.values() for word in words})
    place = {word: column for column, word in enumerate(targets)}
    gold = [[place[word] for word in words] for words in translations.values()]
    left, right = word_vectors(model, tokenizer, sources), word_vectors(model, tokenizer, targets)
    metrics, intervals, chance = {}, {}, {}
    for kind, queries in left.items():
        for name, csls in ((f"{kind}_precision", False), (f"{kind}_csls_precision", True)):
            ranks = translation_ranks(queries, right[kind], gold, csls=csls)
            for places in (1, 5):
                hits = (ranks <= places).double().tolist()
                metrics[f"{name}@{places}"] = sum(hits) / len(hits)
                intervals[f"{name}@{places}"] = bootstrap_mean(hits)
                chance[f"{name}@{places}"] = _chance(gold, len(targets), places)
    return {
        "metrics": metrics,
        "intervals": intervals,
        "chance": chance,
        "words": len(sources),
        "candidates": len(targets),
        "sharing_tokens": len(pairs) - len(used),
    }


def translation_ranks(
    queries: torch.Tensor, candidates: torch.Tensor, gold: Sequence[Sequence[int]], *, csls: bool = False
) -> torch.Tensor:
    """
    Computes the rank of each query's best translation among the words that are not its translations.

    Args:
        queries (`torch.Tensor` [Q, D]), candidates (`torch.Tensor` [C, D]): unit vectors.
        gold (`Sequence`): for each query, the indices of its translations among the candidates; at least one.
        csls (`bool`, *optional*, defaults to `False`): use CSLS instead of the cosine.

    Returns:
        `torch.Tensor` of `int` [Q]: ranks from 1. Words that tie with the best translation rank before it.
    """
    near_queries, near_candidates = torch.zeros(len(queries)), torch.zeros(len(candidates))
    if csls:
        near_queries, near_candidates = neighbourhoods(queries, candidates, _CSLS_NEIGHBOURS)  # [Q], [C]
    ranks, start = [], 0
    for chunk in queries.split(max(_SCORES_AT_ONCE // len(candidates), 1)):
        rows = slice(start, start + len(chunk))
        scores = 2 * (chunk @ candidates.T) - near_queries[rows, None] - near_candidates  # [B, C]
        is_gold = torch.zeros(scores.shape, dtype=torch.bool)
        for row, columns in enumerate(gold[rows]):
            is_gold[row, columns] = True
        best = scores.masked_fill(~is_gold, -torch.inf).amax(1, keepdim=True)  # [B, 1]
        ranks.append(1 + (~(scores < best) & ~is_gold).sum(1))
        start += len(chunk)
    return torch.cat(ranks)


def _share_a_token(pair: WordPair, tokenizer: PreTrainedTokenizerBase) -> bool:
    source, target = (tokenizer.tokenize(in_running_text(word)) for word in (pair.source, pair.target))
    return not set(source).isdisjoint(target)


def _draw(pairs: Sequence[WordPair], max_words: int | None, seed: int) -> dict[str, list[str]]:
    """Translations by English word, in the order of the list."""
    if not pairs:
        raise ValueError("There is no pair of words to translate, or every word shares a token with its translation.")
    found: dict[str, list[str]] = {}
    for pair in pairs:
        found.setdefault(pair.source, []).append(pair.target)
    if max_words is None or len(found) <= max_words:
        return found
    chosen = np.random.default_rng(seed).choice(len(found), max_words, replace=False)
    words = list(found)
    return {words[place]: found[words[place]] for place in sorted(chosen.tolist())}


def _chance(gold: Sequence[Sequence[int]], candidates: int, places: int) -> float:
    """Expected share of words with a translation among `places` random candidates."""
    missed = np.ones(len(gold))
    counts = np.array([len(set(columns)) for columns in gold])
    for drawn in range(min(places, candidates)):
        missed *= np.clip(candidates - counts - drawn, 0, None) / (candidates - drawn)
    return float(1 - missed.mean())
