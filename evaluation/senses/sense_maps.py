"""Data of the plots of senses: cosines between sense indices of two languages, and words on a plane."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from transformers import PreTrainedTokenizerBase

from modeling_sensia import BackpackForCausalLM
from sensia.corpora.letter_case import lowered
from sensia.evaluation.senses.pair_statistics import Senses, aligned_arrays, summarize, unit
from sensia.evaluation.word_pairs import WordPair, independent_pairs, word_senses


def sense_similarity(source: Senses, target: Senses, *, shuffles: int = 200, seed: int = 0) -> dict[str, Any]:
    """
    Measures the cosine of sense k of a word with sense k of its translation, against other senses.

    Senses are scaled to unit length and centred: for each k, the mean over the words of a language is subtracted. The
    estimate is the mean cosine between senses of the same index.

    Args:
        source (array or `torch.Tensor` [N, K, D]): senses of the source words.
        target (array or `torch.Tensor` [N, K, D]): senses of their translations, in the same order.
        shuffles (`int`, *optional*, defaults to 200): random permutations of the target senses, each used for all
            words, that make the baseline.
        seed (`int`, *optional*, defaults to 0): seed of shuffles and bootstrap.

    Returns:
        `dict`: `cosines` [K][K], means over pairs, a row for each source sense; and over its diagonal `estimate`,
        `ci_low`, `ci_high`, `baseline`, `gap`, `p_value` and `pairs` as in [`geometry.sense_topology`].

    Raises:
        ValueError: if the shapes do not match or values are not finite.
    """
    left, right = (unit(side - side.mean(0)) for side in map(unit, aligned_arrays(source, target, shuffles)))
    cosines = np.einsum("nkd,nld->nkl", left, right)  # [N, K, K]
    means, rng = cosines.mean(0), np.random.default_rng(seed)
    numbers = np.arange(len(means))
    null = [means[numbers, rng.permutation(numbers)].mean() for _ in range(shuffles)]
    own = cosines[:, numbers, numbers].mean(1)  # [N]
    return {"cosines": means.tolist(), **summarize(own, np.array(null), rng)}


def pair_count(pair: WordPair, source_counts: Mapping[str, int], target_counts: Mapping[str, int]) -> int:
    """
    Returns the count in text of the rarer word of a pair.

    Args:
        pair ([`WordPair`]): the pair.
        source_counts, target_counts (`Mapping[str, int]`): counts from [`mixture.count_words`]; case is ignored.
    """
    return min(source_counts.get(lowered(pair.source), 0), target_counts.get(lowered(pair.target), 0))


def choose_pairs(
    pairs: Sequence[WordPair],
    tokenizer: PreTrainedTokenizerBase,
    counts: tuple[Mapping[str, int], Mapping[str, int]],
    words: Sequence[str] = (),
    most: int = 40,
) -> list[WordPair]:
    """
    Chooses the pairs of a map: those of given English words, or the most frequent ones.

    Args:
        pairs (`Sequence[WordPair]`): word pairs, best translation first; [`word_pairs.independent_pairs`] says which
            can be chosen.
        tokenizer (`PreTrainedTokenizerBase`): the tokenizer.
        counts (`tuple`): counts of English and target words, as for [`pair_count`].
        words (`Sequence[str]`, *optional*): the English words; words without a pair are skipped.
        most (`int`, *optional*, defaults to 40): number of the most frequent pairs.
    """
    kept, _ = independent_pairs(pairs, tokenizer)
    if words:
        return [pair for pair in kept if pair.source in words]
    return sorted(kept, key=lambda pair: -pair_count(pair, *counts))[:most]


def map_words(
    model: BackpackForCausalLM, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[WordPair]
) -> dict[str, Any]:
    """
    Projects the sums of the senses of words and translations on a plane.

    Sums are scaled to unit length and centred in each language; the plane is that of the first two principal
    components of both languages together. Words that are near on the plane may be far apart in the D dimensions.

    Args:
        model ([`BackpackForCausalLM`]): the model.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer.
        pairs (`Sequence[WordPair]`): at least 3 word pairs.

    Returns:
        `dict`: `words`, each with `source`, `target` and their coordinates `source_at` and `target_at`; and
        `explained`, the share of the variance along each axis.

    Raises:
        ValueError: if there are fewer than 3 pairs.
    """
    if len(pairs) < 3:
        raise ValueError(f"A map of words needs at least 3 pairs, got {len(pairs)}.")
    words = [[pair.source for pair in pairs], [pair.target for pair in pairs]]
    sums = [unit(word_senses(model, tokenizer, side).sum(1).numpy()) for side in words]  # [N, D] each
    pca = PCA(2, svd_solver="full")
    places = pca.fit_transform(np.concatenate([side - side.mean(0) for side in sums])).astype(float)  # [2 N, 2]
    rows = zip(*words, places[: len(pairs)].tolist(), places[len(pairs) :].tolist(), strict=True)
    names = ("source", "target", "source_at", "target_at")
    return {
        "words": [dict(zip(names, row, strict=True)) for row in rows],
        "explained": pca.explained_variance_ratio_.tolist(),
    }
