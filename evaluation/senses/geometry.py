"""
Cross-lingual geometry of senses: similarity between the senses of a word and those of its translation.

Every statistic takes the senses [N, K, D] of N aligned word pairs. Beside its estimate it gives a chance level: the
same statistic after shuffling the pairs. All words share a common arrangement of senses, so an estimate has no meaning
without this level. The `gap` between the two shows what a word and its translation have in common. Intervals are
percentile bootstraps over pairs at 95 %, with fitted parameters held fixed.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import rankdata
from sklearn.decomposition import PCA
from transformers import PreTrainedTokenizerBase

from modeling_sensia import BackpackForCausalLM
from sensia.evaluation.senses.pair_statistics import Senses, aligned_arrays, cut_parts, summarize, unit
from sensia.evaluation.senses.sense_maps import pair_count, sense_similarity
from sensia.evaluation.word_pairs import WordPair, independent_pairs, word_senses

BINS = 40  # of rho, from -1 to 1
BANDS = 4  # of word frequency, equally many pairs in each
CHUNK = 2048  # words whose cosines are ranked at a time; bounds the memory only
NEGATIVES = 4  # unrelated words that the critic sets against each translation
WEIGHT_DECAY = 0.1  # of the critic; suits some thousand pairs


def sense_topology(source: Senses, target: Senses, *, shuffles: int = 200, seed: int = 0) -> dict[str, Any]:
    """
    Compares the cosines between the senses of a word with those of its translation.

    For every pair, computes Spearman's rho (ties get average ranks) between the upper triangles of the two [K, K]
    matrices of cosines between senses. The estimate is the mean rho over pairs.

    Args:
        source (array or `torch.Tensor` [N, K, D]): senses of the source words, K at least 3.
        target (array or `torch.Tensor` [N, K, D]): senses of their translations, in the same order.
        shuffles (`int`, *optional*, defaults to 200): random pairings that make the baseline.
        seed (`int`, *optional*, defaults to 0): seed of shuffles and bootstrap.

    Returns:
        `dict`: `estimate`, `ci_low`, `ci_high`, `baseline` (mean over shuffles), `gap` (estimate - baseline),
        `p_value` (one-sided, (1 + shuffles at least as high) / (1 + shuffles)), `pairs` counted, and
        `undefined_pairs`, those left out because all cosines of one word are equal.

    Raises:
        ValueError: if the shapes do not match, there are fewer than 3 senses, values are not finite, or fewer than 2
            pairs have a defined rho.
    """
    left, right = map(_centered_ranks, aligned_arrays(source, target, shuffles, senses=3))
    size, defined = len(left), np.flatnonzero(left.any(1) & right.any(1))
    if len(defined) < 2:
        raise ValueError(f"Only {len(defined)} of {size} pairs have senses at different cosines, 2 are needed.")
    left, right = left[defined], right[defined]  # [N, K (K - 1) / 2]
    rng = np.random.default_rng(seed)
    rhos = (left * right).sum(1)  # [N]
    shuffled = np.stack([(left * right[rng.permutation(len(right))]).sum(1) for _ in range(shuffles)])  # [shuffles, N]
    result = summarize(rhos, shuffled.mean(1), rng)
    return {**result, "undefined_pairs": size - len(defined), "histogram": _histogram(rhos, shuffled)}


def _histogram(rhos: np.ndarray, shuffled: np.ndarray) -> dict[str, Any]:
    edges = np.arange(-BINS // 2, BINS // 2 + 1) / (BINS // 2)
    # With few senses, many values of rho lie on a bin edge; rounding makes their bin deterministic.
    pairs, chance = (np.histogram(values.round(9), edges)[0] for values in (rhos, shuffled))
    return {"edges": edges.tolist(), "pairs": pairs.tolist(), "shuffled": (chance / len(shuffled)).tolist()}


def _centered_ranks(senses: np.ndarray) -> np.ndarray:
    """Ranks of each word's sense cosines, centred and of length 1 (0 if all are equal): rho is their dot product."""
    upper = np.triu_indices(senses.shape[1], 1)
    rows = []
    for start in range(0, len(senses), CHUNK):
        units = unit(senses[start : start + CHUNK])
        cosines = (units @ units.transpose(0, 2, 1))[:, upper[0], upper[1]]  # [chunk, K (K - 1) / 2]
        ranks = rankdata(cosines, axis=1)
        rows.append(unit(ranks - ranks.mean(1, keepdims=True)))
    return np.concatenate(rows)


def procrustes_alignment(
    source: Senses, target: Senses, *, center: bool = True, folds: int = 5, shuffles: int = 200, seed: int = 0
) -> dict[str, Any]:
    """
    Orthogonal Procrustes: fits a rotation from the senses of words to those of their translations, and tests it on
    held-out pairs.

    Senses are scaled to unit length. In each of `folds` rounds the orthogonal R that minimises ||S R - T|| is fitted
    to all parts but one, and the cosine of s R and t is measured on the held-out part: once with one R for all senses
    (the estimate, averaged over senses), and once with one R for each sense. With fewer fitted pairs than D, an R for
    one sense is partly arbitrary. Shuffles permute the pairs of the held-out part, on which R does not depend.

    Args:
        source (array or `torch.Tensor` [N, K, D]): senses of the source words.
        target (array or `torch.Tensor` [N, K, D]): senses of their translations, in the same order.
        center (`bool`, *optional*, defaults to `True`): subtract from every sense its mean over the fitted words.
            Without centring, the mean makes all cosines high, also those of shuffled pairs.
        folds (`int`, *optional*, defaults to 5): parts; every pair is held out once.
        shuffles (`int`, *optional*, defaults to 200): random pairings that make the baseline.
        seed (`int`, *optional*, defaults to 0): seed of parts, shuffles and bootstrap.

    Returns:
        `dict`: `estimate`, `ci_low`, `ci_high`, `baseline`, `gap`, `p_value`, `pairs` as in [`sense_topology`];
        `fitted`, the mean cosine on the pairs that R was fitted to; `per_sense`, K values each of `estimate`,
        `baseline` and `fitted`, with one rotation for each sense; `folds`, `center`.

    Raises:
        ValueError: if the shapes do not match, values are not finite, or a fold would have fewer than 2 pairs.
    """
    # Senses come first, so that one batched matmul serves them all.
    source, target = (unit(s).transpose(1, 0, 2) for s in aligned_arrays(source, target, shuffles))  # [K, N, D]
    rng = np.random.default_rng(seed)
    pairs = source.shape[1]
    cosines = np.empty((2, len(source), pairs))  # [one R / an R for each, K, N]
    fitted, null = np.zeros((2, len(source))), np.zeros((shuffles, 2, len(source)))
    for train, held_out in cut_parts(pairs, folds, rng):
        means = [side[:, train].mean(1, keepdims=True) * center for side in (source, target)]  # [K, 1, D]
        left, right = source - means[0], target - means[1]
        rotations = _rotations(left[:, train], right[:, train])
        seen, new = ((unit(left[:, part] @ rotations), unit(right[:, part])) for part in (train, held_out))
        fitted += np.einsum("rknd,knd->rk", *seen) / len(train) / folds
        cosines[..., held_out] = np.einsum("rknd,knd->rkn", *new)
        null += _shuffled_cosines(*new, shuffles, rng) / pairs
    result = summarize(cosines[0].mean(0), null[:, 0].mean(1), rng)
    own = {"estimate": cosines[1].mean(1), "baseline": null[:, 1].mean(0), "fitted": fitted[1]}
    result |= {"fitted": float(fitted[0].mean()), "folds": folds, "center": center}
    return {**result, "per_sense": {name: values.tolist() for name, values in own.items()}}


def _rotations(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Rotation fitted to all senses together, repeated K times, and rotation of each sense: [2, K, D, D]."""
    cross = source.transpose(0, 2, 1) @ target  # [K, D, D]
    shared = np.broadcast_to(_nearest_rotation(cross.sum(0)), cross.shape)
    return np.stack([shared, _nearest_rotation(cross)])


def _nearest_rotation(cross: np.ndarray) -> np.ndarray:
    u, _, v = np.linalg.svd(cross)
    return u @ v


def _shuffled_cosines(rotated: np.ndarray, target: np.ndarray, shuffles: int, rng: np.random.Generator) -> np.ndarray:
    """Sums over pairs of the cosines after shuffling the pairs: [shuffles, 2, K]."""
    orders = [rng.permutation(target.shape[1]) for _ in range(shuffles)]
    return np.array([np.einsum("rknd,knd->rk", rotated, target[:, order]) for order in orders])


def mutual_information(
    source: Senses, target: Senses, *, components: int = 16, folds: int = 5, shuffles: int = 200, seed: int = 0
) -> dict[str, Any]:
    r"""
    Estimates a lower bound of the dependence between the senses of a word and those of its translation.

    Let p(s, t) be the distribution of pairs, and p(s) p(t) that of unrelated words. A critic f, a classifier of the
    two, gives a lower bound of their Jensen-Shannon divergence, in nats:

        JSD >= ln 2 + 1/2 E_p(s,t) [ln sigmoid(f(s, t))] + 1/2 E_p(s)p(t) [ln sigmoid(-f(s, t))]

    The divergence is 0 for independence and at most ln 2. On held-out pairs the bound is below 0 if the critic does
    not generalise. The critic is f = a^T W b + c: a and b are the first principal components of the two words' senses
    (of unit length, side by side), fitted on the training pairs; W and c minimise minus the bound plus 0.05 ||W||^2,
    with 4 random words for p(s) p(t). The critic is scored on the part of the pairs on which it was not trained.
    Shuffles permute the pairs inside each part, then train and score a new critic, which gives the bound without
    dependence.

    Args:
        source (array or `torch.Tensor` [N, K, D]): senses of the source words.
        target (array or `torch.Tensor` [N, K, D]): senses of their translations, in the same order.
        components (`int`, *optional*, defaults to 16): principal components of each side.
        folds (`int`, *optional*, defaults to 5): parts; every pair is held out once.
        shuffles (`int`, *optional*, defaults to 200): random pairings that make the baseline.
        seed (`int`, *optional*, defaults to 0): seed of all random choices.

    Returns:
        `dict`: `estimate`, `ci_low`, `ci_high`, `baseline`, `gap` (all in nats), `p_value` and `pairs` as in
        [`sense_topology`]; `fitted`, the bound on the pairs the critic was trained on; `ceiling`, ln 2; `folds`.

    Raises:
        ValueError: if the shapes do not match, values are not finite, a fold would have fewer than 2 pairs, or there
            are fewer values or training pairs than components.
    """
    sides = [unit(senses).reshape(len(senses), -1) for senses in aligned_arrays(source, target, shuffles)]
    rng = np.random.default_rng(seed)
    pairs = len(sides[0])
    bounds, fitted, null = np.empty(pairs), 0.0, np.zeros(shuffles)
    for train, held_out in cut_parts(pairs, folds, rng):
        left, right = (_principal_components(side, train, components, seed) for side in sides)  # [N, components]
        seen, new = (left[train], right[train]), (left[held_out], right[held_out])
        critic = _fit_critic(*seen, rng)
        bounds[held_out] = _bounds(critic, *new, rng)
        fitted += _bounds(critic, *seen, rng).mean() / folds
        for shuffle in range(shuffles):
            critic = _fit_critic(left[train], right[rng.permutation(train)], rng)
            null[shuffle] += _bounds(critic, left[held_out], right[rng.permutation(held_out)], rng).sum()
    result = summarize(bounds, null / pairs, rng)
    return {**result, "fitted": float(fitted), "ceiling": math.log(2), "folds": folds}


def _principal_components(values: np.ndarray, train: np.ndarray, components: int, seed: int) -> np.ndarray:
    most = min(len(train), values.shape[1])
    if not 1 <= components <= most:
        raise ValueError(
            f"`components` must be from 1 to {most}, the training pairs or values of a word, got {components}."
        )
    pca = PCA(components, random_state=seed).fit(values[train])
    # One scale for all components: weak ones stay small, so that weight decay regularises them more.
    scale = math.sqrt(pca.explained_variance_.mean())
    return pca.transform(values).astype(np.float64) / max(scale, 1e-12)


def _critic_candidates(target: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Candidates of each word, its translation first, then random words: [1 + negatives, n, components]."""
    shifts = rng.choice(np.arange(1, len(target)), size=min(NEGATIVES, len(target) - 1), replace=False)
    return np.stack([target, *(np.roll(target, shift, axis=0) for shift in shifts)])


def _fit_critic(source: np.ndarray, target: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Fits W and c of the bilinear critic by logistic regression, with weight one half for each class."""
    candidates = _critic_candidates(target, rng)
    size, width = source.shape
    signs = np.r_[1.0, -np.ones(len(candidates) - 1)][:, None]
    weights = np.r_[0.5, np.full(len(candidates) - 1, 0.5 / (len(candidates) - 1))][:, None] / size

    def loss_and_gradient(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        matrix, offset = parameters[:-1].reshape(width, width), parameters[-1]
        margins = signs * (np.einsum("nd,rnd->rn", source @ matrix, candidates) + offset)
        loss = (weights * np.logaddexp(0, -margins)).sum() + WEIGHT_DECAY / 2 * (matrix**2).sum()
        slopes = -weights * signs * expit(-margins)  # [1 + negatives, n]
        gradient = source.T @ np.einsum("rn,rnd->nd", slopes, candidates) + WEIGHT_DECAY * matrix
        return loss, np.r_[gradient.ravel(), slopes.sum()]

    found = minimize(loss_and_gradient, np.zeros(width**2 + 1), jac=True, method="L-BFGS-B").x
    return found[:-1].reshape(width, width), float(found[-1])


def _bounds(
    critic: tuple[np.ndarray, float], source: np.ndarray, target: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Contribution of each pair to the Jensen-Shannon bound, in nats; the mean is the bound."""
    matrix, offset = critic
    scores = np.einsum("nd,rnd->rn", source @ matrix, _critic_candidates(target, rng)) + offset
    return math.log(2) - (np.logaddexp(0, -scores[0]) + np.logaddexp(0, scores[1:]).mean(0)) / 2


def compare_geometry(
    model: BackpackForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[WordPair],
    *,
    source_model: BackpackForCausalLM | None = None,
    source_tokenizer: PreTrainedTokenizerBase | None = None,
    counts: tuple[Mapping[str, int], Mapping[str, int]] | None = None,
    folds: int = 5,
    shuffles: int = 200,
    seed: int = 0,
    batch_size: int = 256,
) -> dict[str, Any]:
    """
    Computes all statistics of this module for words and their translations, with one model or two.

    Long words tend to have long translations, and the senses of a word of many tokens are a mean over more tokens.
    Shuffling does not keep the number of tokens, so a small part of the gaps comes from it.

    Args:
        model ([`BackpackForCausalLM`]): the adapted model; it reads the target words.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer.
        pairs (`Sequence[WordPair]`): word pairs, best translation first; [`independent_pairs`] says which stay.
        source_model ([`BackpackForCausalLM`], *optional*, defaults to `model`): the model that reads the English
            words, with as many senses of the same size.
        source_tokenizer (`PreTrainedTokenizerBase`, *optional*, defaults to `tokenizer`): its tokenizer.
        counts (`tuple`, *optional*): counts of English and target words, from [`mixture.count_words`]; the frequency
            of a pair is that of its rarer word.
        folds, shuffles, seed (`int`, *optional*): as in the statistics.
        batch_size (`int`, *optional*, defaults to 256): words in a batch.

    Returns:
        `dict`: `sense_topology`, `procrustes` (not centred), `procrustes_centered` and `mutual_information`, each a
        dict of its own; `pairs`, `dropped` (counts by reason), `senses` (K), `hidden_size` (D), `folds`, `shuffles`,
        `seed`. All values can be written as JSON.

    Raises:
        ValueError: if the two models' senses differ in shape, or too few pairs are left.
    """
    source_tokenizer = source_tokenizer or tokenizer
    kept, dropped = independent_pairs(pairs, tokenizer, source_tokenizer)
    if not kept:
        raise ValueError(f"No word pair is left of {len(pairs)}; dropped: {dropped}.")
    source = word_senses(source_model or model, source_tokenizer, [pair.source for pair in kept], batch_size)
    target = word_senses(model, tokenizer, [pair.target for pair in kept], batch_size)
    chance: dict[str, Any] = {"shuffles": shuffles, "seed": seed}
    return {
        "pairs": len(kept),
        "dropped": dropped,
        "senses": source.shape[1],
        "hidden_size": source.shape[2],
        "folds": folds,
        **chance,
        **_topology_and_rotations(source, target, folds=folds, **chance),
        "mutual_information": mutual_information(source, target, folds=folds, **chance),
        "sense_similarity": sense_similarity(source, target, **chance),
        **({"by_frequency": _by_frequency(kept, counts, source, target, folds=folds, **chance)} if counts else {}),
    }


def _topology_and_rotations(source: Senses, target: Senses, *, folds: int, **chance: Any) -> dict[str, Any]:
    return {
        "sense_topology": sense_topology(source, target, **chance),
        "procrustes": procrustes_alignment(source, target, center=False, folds=folds, **chance),
        "procrustes_centered": procrustes_alignment(source, target, folds=folds, **chance),
    }


def _by_frequency(pairs, counts, source, target, **options: Any) -> list[dict[str, Any]]:
    """Statistics of each frequency band. Bands have equal size, so that rotations are fitted to equally many pairs."""
    frequency = np.array([pair_count(pair, *counts) for pair in pairs])
    bands = np.array_split(np.argsort(frequency, kind="stable"), BANDS)
    return [
        {
            "counts": frequency[band[[0, -1]]].tolist(),
            **_topology_and_rotations(source[band], target[band], **options),
        }
        for band in bands
    ]
