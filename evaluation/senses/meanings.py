"""Test of meanings: do the senses of ambiguous words tell their translations apart?

Shapes: n sentences of a word, K senses, D the hidden size, P columns: the observed one, then the shuffles.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sensia.corpora.batching import pad_rows
from sensia.corpora.letter_case import lowered
from sensia.evaluation.senses.ambiguous_words import AmbiguousWord

_FEWEST_SENTENCES = 4  # of a meaning: two in either half


def measure_meanings(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    words: Sequence[AmbiguousWord],
    sources: Sequence[str],
    *,
    pooling_temperature: float = 0.7,
    permutations: int = 200,
    seed: int = 0,
    tokens_per_batch: int = 4096,
) -> dict[str, Any]:
    """
    Tests if the context selects senses of ambiguous words, and if these senses prefer the right translation.

    The label of a sentence is the translation on its target side, which the model does not see. For a word whose last
    token is at position e, two features with K values are computed, each as shares that sum to 1: `received` is the
    contextualization C[k, t, j] of the word's senses, summed over its tokens j and averaged over the positions t from
    e on; `mixture` is p[k, e].

    1. Classification from English: a linear classifier with diagonal variances is fitted on the shares of half of each
       meaning's sentences and scored on the other half, both ways; halves are consecutive, so that neighbouring
       sentences stay together. For comparison, `text` is naive Bayes on the words of the sentence. Chance: labels
       shuffled within each half.
    2. Ranking, with the senses S[k] of the word (mean over its tokens) weighted by the shares: `projection` compares
       sum_k share[k] S[k] W^T on the tokens that only one of the two translations has; `matching` compares sum_k
       share[k] cos(S[k], S'[k]) for the senses S' of each translation. Chance: sense indices shuffled once for each
       word, so that the shares weight other senses (projection) or other pairs of senses (matching).

    Accuracy is the mean over the two meanings, so a decision that ignores the context gets exactly 0.5. The area under
    the ROC curve does not depend on a constant preference.

    Args:
        model ([`BackpackForCausalLM`]), tokenizer: evaluated without dropout.
        words (`Sequence[AmbiguousWord]`): of [`ambiguous_words.find_ambiguous_words`]. A word is left out if a meaning
            has fewer than four readable sentences, or if one translation has all tokens of the other.
        sources (`Sequence[str]`): the English sentences that `words` index.
        pooling_temperature (`float`, *optional*, defaults to 0.7): temperature of p.
        permutations (`int`, *optional*, defaults to 200), seed (`int`, *optional*, defaults to 0): of the shuffles.
        tokens_per_batch (`int`, *optional*, defaults to 4096): largest number of tokens in a batch, with padding.

    Returns:
        `dict`: `words` (each with its sentences and values), `left_out`, `choices` (meaning by annotation id, `1` or
        `2`, that projection of the received shares prefers), and `measures` by name. Each measure has `auc` and
        `accuracy`, both means over words with a 95 % `..._interval` (words resampled), a `..._chance` (mean over
        shuffles), `..._chance_interval` (95 % of the shuffles) and `..._p_value` (one-sided).

    Raises:
        ValueError: if no word is left.
    """
    was_training = model.training
    model.eval()
    observed = _observe(model, tokenizer, words, sources, pooling_temperature, tokens_per_batch)
    random = np.random.default_rng(seed)
    values: dict[str, list[np.ndarray]] = defaultdict(list)
    choices: dict[str, str] = {}
    entries = []
    for word, (rows, labels, shares) in zip(words, observed, strict=True):
        margins = _margins(model, tokenizer, word)
        counts = np.bincount(labels, minlength=2)[::-1].tolist()
        if min(counts) < _FEWEST_SENTENCES or margins is None:
            continue
        results = {"text": _text_value([sources[row] for row in rows], word.word, labels)}
        results |= _sense_values(shares, margins, labels, permutations, random)
        for name, value in results.items():
            values[name].append(value)
        choices |= _choices(word, rows, shares["received"] @ margins["projection"].diagonal())
        shown = {name: {"auc": value[0, 0].item(), "accuracy": value[1, 0].item()} for name, value in results.items()}
        entries.append({"word": word.word, "first": word.first, "second": word.second, "sentences": counts, **shown})
    model.train(was_training)
    if not entries:
        raise ValueError(f"None of the {len(words)} words has enough readable sentences of both meanings.")
    measures = {name: _summary(np.stack(each), random) for name, each in values.items()}
    return {"words": entries, "left_out": len(words) - len(entries), "choices": choices, "measures": measures}


def _choices(word: AmbiguousWord, rows: Sequence[int], scores: np.ndarray) -> dict[str, str]:
    return {word.sentence_id(row): "1" if score > 0 else "2" for row, score in zip(rows, scores, strict=True)}


def _sense_values(shares, margins, labels, permutations: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Values [2, P] of all measures of the senses of one word."""
    senses = np.arange(len(margins["projection"]))
    orders = np.stack([senses, *(random.permutation(senses) for _ in range(permutations))])  # [P, K]
    results = {}
    for name, share in shares.items():
        results[f"{name}_apart"] = _told_apart(share, labels, permutations, random)
        for kind, margin in margins.items():
            scores = share @ margin[senses, orders].T  # [n, P]
            results[f"{name}_{kind}"] = _values(scores, np.repeat(labels[:, None], len(orders), 1))
    return results


@torch.inference_mode()
def _observe(model, tokenizer, words, sources, temperature, tokens_per_batch):
    """Readable rows of each word in order, with their labels (1 for the first translation) and shares [n, K]."""
    wanted = sorted(_readable(model, tokenizer, words, sources), key=lambda each: -len(each[0]))
    found: list[list] = [[] for _ in words]
    while wanted:
        taken = max(tokens_per_batch // len(wanted[0][0]), 1)
        shares = _shares(model, wanted[:taken], temperature)
        for (*_, (place, row, label)), share in zip(wanted[:taken], shares, strict=True):
            found[place].append((row, label, share))
        wanted = wanted[taken:]
    return [_stacked(sorted(each, key=lambda item: item[:2])) for each in found]


def _stacked(sentences):
    """Stacks (row, label, shares) of each sentence to rows, labels [n] and shares [n, K]."""
    names = sentences[0][2] if sentences else ()
    shares = {name: np.stack([share[name] for *_, share in sentences]) for name in names}
    return [row for row, *_ in sentences], np.array([label for _, label, _ in sentences], dtype=int), shares


def _readable(model, tokenizer, words, sources):
    """Token ids, place and length of the word, and index of word, row and label, for sentences with the word once."""
    for place, word in enumerate(words):
        pieces = tokenizer.encode(f" {word.word}", add_special_tokens=False)
        for label, row in ((label, row) for label, rows in zip((1, 0), word.rows, strict=True) for row in rows):
            ids = [tokenizer.eos_token_id, *tokenizer.encode(sources[row], add_special_tokens=False)]
            ids = ids[: model.config.max_position_embeddings]
            starts = [at for at in range(len(ids)) if ids[at : at + len(pieces)] == pieces]
            if len(starts) == 1:
                yield ids, (starts[0], len(pieces)), (place, row, label)


def _shares(model, rows, temperature) -> Iterator[dict[str, np.ndarray]]:
    """`received` and `mixture` shares [K] of the word of each row."""
    ids, mask = pad_rows([ids for ids, *_ in rows], fill=0)
    inputs = {"input_ids": ids.to(model.device), "attention_mask": mask.to(model.device), "return_logits": False}
    outputs = model(**inputs, use_cache=False, output_senses=True, output_contextualization=True)
    for place, (row, (start, length), _) in enumerate(rows):
        weights = outputs.contextualization[place, :, : len(row), : len(row)].double()  # [K, L, L]
        last = start + length - 1
        received = weights[:, last:, start : last + 1].sum(-1).mean(-1)  # [K]
        contributions = weights[:, last, None] @ outputs.senses[place, :, : len(row)].double()  # [K, 1, D]
        mixture = (contributions.squeeze(1).norm(dim=-1) / temperature).softmax(0)  # [K]
        yield {"received": (received / received.sum()).cpu().numpy(), "mixture": mixture.cpu().numpy()}


@torch.inference_mode()
def _margins(model, tokenizer, word: AmbiguousWord) -> dict[str, np.ndarray] | None:
    """Margins [K, K] by which sense l (projection), or senses k and l (matching), prefer the first translation."""
    pieces = [tokenizer.encode(f" {name}", add_special_tokens=False) for name in (word.word, word.first, word.second)]
    own = [[piece for piece in pieces[side] if piece not in pieces[3 - side]] for side in (1, 2)]
    if not all(own):
        return None
    senses, *theirs = (
        model.get_senses(torch.tensor([ids], device=model.device))[0].double().mean(1) for ids in (pieces[0], *own)
    )  # [K, D] each
    heads = [model.lm_head.weight[ids].double().mean(0) for ids in own]  # [D] each
    projection = (senses @ (heads[0] - heads[1])).expand(len(senses), -1)  # [K, K], the same for every k
    first, second = (F.normalize(senses, dim=-1) @ F.normalize(each, dim=-1).T for each in theirs)  # [K, K]
    return {"projection": projection.cpu().numpy(), "matching": (first - second).cpu().numpy()}


def _told_apart(share: np.ndarray, labels: np.ndarray, permutations: int, random: np.random.Generator) -> np.ndarray:
    """Values [2, P] of the classifier over both halves; the first column has the true labels."""
    halves = _halves(labels)
    columns = [_shuffled(labels[half], permutations, random) for half in halves]
    values = []
    for (train, test), (given, asked) in zip((halves, halves[::-1]), (columns, columns[::-1]), strict=True):
        features, positive = share[train], given.mean(0)[:, None]  # [n, K], [P, 1]
        first = given.T @ features / len(given) / positive  # [P, K]
        second = (1 - given).T @ features / len(given) / (1 - positive)
        inside = positive * first**2 + (1 - positive) * second**2
        variance = (features**2).mean(0) - inside  # [P, K]
        direction = (first - second) / np.maximum(variance, 1e-12)
        scores = share[test] @ direction.T - ((first + second) / 2 * direction).sum(1)  # [n, P]
        values.append(_values(scores, asked))
    return np.mean(values, axis=0)


def _text_value(texts: Sequence[str], word: str, labels: np.ndarray) -> np.ndarray:
    """Values [2, 1] of naive Bayes with add-one counts on the words of the sentence, over the same halves."""
    bags = [set(re.findall(r"\w+", lowered(text))) - {word} for text in texts]
    halves, values = _halves(labels), []
    for train, test in (halves, halves[::-1]):
        counts = [Counter(other for row in train if labels[row] == label for other in bags[row]) for label in (0, 1)]
        totals = [2 + (labels[train] == label).sum() for label in (0, 1)]
        odds = {
            other: math.log((counts[1][other] + 1) / totals[1]) - math.log((counts[0][other] + 1) / totals[0])
            for other in counts[0] | counts[1]
        }
        scores = [math.fsum(odds.get(other, 0.0) for other in bags[row]) for row in test]
        values.append(_values(np.array(scores)[:, None], labels[test][:, None]))
    return np.mean(values, axis=0)


def _halves(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the earlier and the later half of each label's sentences."""
    sides = [np.flatnonzero(labels == label) for label in (0, 1)]
    return (
        np.concatenate([side[: len(side) // 2] for side in sides]),
        np.concatenate([side[len(side) // 2 :] for side in sides]),
    )


def _shuffled(labels: np.ndarray, permutations: int, random: np.random.Generator) -> np.ndarray:
    return np.stack([labels, *(random.permutation(labels) for _ in range(permutations))], axis=1)  # [n, P]


def _values(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Area under the ROC curve and balanced accuracy of scores [n, P], each column with its own labels, as [2, P]."""
    ordered = np.take_along_axis(scores, np.argsort(labels, axis=0, kind="stable"), 0)
    negatives = len(labels) - int(labels[:, 0].sum())
    low, high = ordered[:negatives], ordered[negatives:]
    auc = (high[:, None] > low).mean((0, 1)) + 0.5 * (high[:, None] == low).mean((0, 1))
    return np.stack([auc, ((high > 0).mean(0) + (low <= 0).mean(0)) / 2])


def _summary(values: np.ndarray, random: np.random.Generator) -> dict[str, Any]:
    """Means over words of values [words, 2, P], with intervals."""
    summary: dict[str, Any] = {"words": len(values)}
    resampled = random.integers(len(values), size=(1000, len(values)))
    for place, name in enumerate(("auc", "accuracy")):
        observed, shuffled = values[:, place, 0], values[:, place, 1:].mean(0)
        summary[name] = observed.mean()
        summary[f"{name}_interval"] = np.percentile(observed[resampled].mean(1), (2.5, 97.5)).tolist()
        if shuffled.size:
            summary[f"{name}_chance"] = shuffled.mean()
            summary[f"{name}_chance_interval"] = np.percentile(shuffled, (2.5, 97.5)).tolist()
            summary[f"{name}_p_value"] = (1 + (shuffled >= observed.mean()).sum()) / (1 + shuffled.size)
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in summary.items()}
