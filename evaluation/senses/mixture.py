"""Statistics of the sense mixture: entropy, similarity of the senses of a token, and ablations.

Shapes: B rows, L positions, K senses, D the hidden size, V tokens. C is the contextualization, S the senses, and
P[k, t] = sum_j C[k, t, j] S[k, j] the contribution of sense k at position t.
"""

import math
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sensia.corpora.batching import pad_rows
from sensia.corpora.letter_case import lowered
from sensia.evaluation.intervals import bootstrap_ratio

OUTSIDE = "outside words"
_TEXTS_AT_ONCE = 256


@dataclass(frozen=True)
class CollapseThresholds:
    """
    Thresholds beyond which a mixture counts as collapsed.

    Args:
        low_entropy, high_entropy (`float`, *optional*, defaults to 0.05 and 0.99): entropy, as shares of ln K.
        cosine (`float`, *optional*, defaults to 0.95): mean cosine between the senses of a token.
        sense_share (`float`, *optional*, defaults to 0.9): mean weight of one sense.
    """

    low_entropy: float = 0.05
    high_entropy: float = 0.99
    cosine: float = 0.95
    sense_share: float = 0.9


@dataclass
class _Batch:
    """Rows of text after an end-of-text token; `words` has one entry per position, None where there is no text."""

    ids: Tensor
    mask: Tensor
    targets: Tensor
    words: list[list[str | None]]
    size: int


def count_words(texts: Iterable[str]) -> Counter[str]:
    """
    Counts the words of texts, which are read once. A word is a run of letters and digits; case is ignored.
    """
    return Counter(word for text in texts for word in re.findall(r"\w+", lowered(text)))


@torch.inference_mode()
def measure_mixture(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Iterable[str],
    *,
    pooling_temperature: float = 0.7,
    counts: Mapping[str, int] | None = None,
    tags: Mapping[str, str] | None = None,
    thresholds: CollapseThresholds | None = None,
    tokens_per_batch: int = 4096,
) -> dict[str, Any]:
    """
    Measures the mixture's entropy and the similarity of senses, over every token of texts of one language.

    The entropy at t is that of p[k, t] = softmax over k of ||P[k, t]|| / temperature, in nats. Each text is read after
    an end-of-text token, which is not counted. A text longer than the model's positions is split into windows.

    Args:
        model ([`BackpackForCausalLM`]): evaluated without dropout.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer, a fast one.
        texts (`Iterable[str]`): the texts, read once.
        pooling_temperature (`float`, *optional*, defaults to 0.7): temperature of the mixture.
        counts (`Mapping[str, int]`, *optional*): from [`count_words`]; the frequency band of a token is given by the
            rank of its word.
        tags (`Mapping[str, str]`, *optional*): part of speech of each word, from [`parts_of_speech`]; a token has the
            tag of its word.
        thresholds ([`CollapseThresholds`], *optional*): thresholds of the alarms.
        tokens_per_batch (`int`, *optional*, defaults to 4096): padded tokens that go through the model at once.

    Returns:
        `dict`: `entropy`, `tokens`, `senses` (K), `maximum_entropy` (ln K); `entropy_by_frequency` and
        `entropy_by_tag` (largest first), each group with its `entropy` and `tokens`; `off_diagonal_cosine`, the mean
        over tokens of the mean cosine between two of the token's senses (None for K = 1); `sense_shares`, the mean p
        of each sense; `alarms`, the messages of [`find_collapse`].

    Raises:
        ValueError: if there is no token, the temperature is not positive, or the tokenizer is not a fast one.
    """
    if pooling_temperature <= 0:
        raise ValueError(f"The pooling temperature must be positive, got {pooling_temperature}.")
    bands = _frequency_bands(counts or {})
    groups: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0])
    groups |= {("frequency", band): [0.0, 0] for band in bands.values()}  # fixes their order
    shares, cosine = torch.zeros(model.config.num_senses, dtype=torch.float64), 0.0
    was_training = model.training
    model.eval()
    for batch in _batches(model, tokenizer, texts, tokens_per_batch):
        entropy, batch_shares, batch_cosine = _measure_batch(model, batch, pooling_temperature)
        shares, cosine = shares + batch_shares, cosine + batch_cosine
        words = (word for row in batch.words for word in row if word is not None)
        for word, value in zip(words, entropy, strict=True):
            for group in _groups_of(word, bands, tags or {}):
                groups[group][0] += value
                groups[group][1] += 1
    model.train(was_training)
    if ("all", "all") not in groups:
        raise ValueError("The mixture needs at least one token; every text was empty.")
    overall = _means(groups, "all")["all"]
    measures: dict[str, Any] = {
        **overall,
        "senses": len(shares),
        "maximum_entropy": math.log(len(shares)),
        "entropy_by_frequency": _means(groups, "frequency"),
        "entropy_by_tag": _largest_first(_means(groups, "tag")),
        "off_diagonal_cosine": cosine / overall["tokens"] if len(shares) > 1 else None,
        "sense_shares": (shares / overall["tokens"]).tolist(),
    }
    return {**measures, "alarms": find_collapse(measures, thresholds or CollapseThresholds())}


def _measure_batch(model: PreTrainedModel, batch: _Batch, temperature: float) -> tuple[list[float], Tensor, float]:
    """Entropy of each text token, and the sums over tokens of the mixtures [K] and of the cosines between senses."""
    _, senses, contributions = _contributions(model, batch)
    counted = torch.tensor([[word is not None for word in row] for row in batch.words], device=senses.device)  # [B, L]
    norms = contributions.norm(dim=-1).transpose(1, 2)[counted]  # [N, K]
    log_mixture = F.log_softmax(norms / temperature, dim=-1)
    entropy = -(log_mixture.exp() * log_mixture).sum(-1)  # [N]
    shares = log_mixture.exp().double().sum(0).cpu()
    return entropy.tolist(), shares, _pairwise_cosine(senses)[counted].double().sum().item()


def find_collapse(measures: Mapping[str, Any], thresholds: CollapseThresholds) -> list[str]:
    """
    Finds signs of collapse in the result of [`measure_mixture`].

    Returns:
        `list[str]`: one message for each threshold that is passed; none for a model with one sense.
    """
    if measures["senses"] == 1:
        return []
    share, limit = measures["entropy"] / measures["maximum_entropy"], thresholds
    cosine, largest = measures["off_diagonal_cosine"], max(measures["sense_shares"])
    entropy = f"The mixture's entropy is {share:.1%} of ln K"
    found = {
        f"{entropy}, under {limit.low_entropy:.0%}: each token uses one sense.": share < limit.low_entropy,
        f"{entropy}, over {limit.high_entropy:.0%}: no sense is preferred anywhere.": share > limit.high_entropy,
        f"Two senses of a token have a mean cosine of {cosine:.3f}, over {limit.cosine}: the senses are copies of one "
        "another.": cosine > limit.cosine,
        f"Sense {measures['sense_shares'].index(largest)} takes {largest:.1%} of the mixture, over "
        f"{limit.sense_share:.0%}: the others are idle.": largest > limit.sense_share,
    }
    return [message for message, holds in found.items() if holds]


@torch.inference_mode()
def ablate_mixture(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Iterable[str],
    *,
    top: Sequence[int] = (1, 2, 4),
    tokens_per_batch: int = 4096,
) -> dict[str, Any]:
    """
    Measures the loss in nats per token when the mixture o[t] = sum_k P[k, t] is replaced and nothing else changes.

    The variants of o, from which the language model head computes logits o W^T:

    - `top_k`: only the k senses with the largest p at each position, which are those with the largest ||P|| at any
      temperature. Their contributions are added unchanged.
    - `equal_norms`: every contribution scaled to the mean norm at its position, so that p is uniform.
    - `shared_contextualization`: each C[k] replaced by the mean of C over senses, whose rows sum to 1 as well. So all
      senses of a token have the same weight, and the mean attention to each token does not change.
    - `even_contextualization`: each row C[k, t] replaced by equal weights on the positions up to t.

    The mean over senses instead of the sum is not a variant, because it is o / K, the same mixture with scaled logits.
    A shorter or longer o flattens or sharpens all predictions. So each variant is also given as `..._norm_matched`,
    scaled at each position to the length of the original o.

    Args:
        model ([`BackpackForCausalLM`]), tokenizer, tokens_per_batch: as for [`measure_mixture`].
        texts (`Iterable[str]`): the texts, predicted as [`perplexity`] defines it.
        top (`Sequence[int]`, *optional*, defaults to `(1, 2, 4)`): numbers of senses kept; numbers above K are
            skipped.

    Returns:
        `dict`: `tokens`, and `variants` by name, `untouched` first, each with `cross_entropy` (nats per token),
        `bits_per_byte`, `change` (nats per token over the untouched model) and `interval` (of the change, 95 %
        bootstrap over texts).

    Raises:
        ValueError: if there is no token to predict, or a number of senses is not positive.
    """
    if min(top, default=1) < 1:
        raise ValueError(f"`top` must be numbers of senses from 1 on, got {list(top)}.")
    nats: dict[str, list[float]] = defaultdict(list)  # of each row
    tokens: list[int] = []  # of each row
    size = 0
    was_training = model.training
    model.eval()
    for batch in _batches(model, tokenizer, texts, tokens_per_batch):
        contextualization, senses, contributions = _contributions(model, batch)
        predicted = batch.targets != -100  # [B, L]
        targets, full = batch.targets[predicted], contributions.sum(1)[predicted]  # [N], [N, D]
        counts = predicted.sum(1).tolist()
        nats["untouched"] += _nll(model, full, targets, counts)
        for name, mixture in _variants(contextualization, senses, contributions, batch.mask, top):
            kept = mixture[predicted]  # [N, D]
            nats[name] += _nll(model, kept, targets, counts)
            matched = F.normalize(kept, dim=-1) * full.norm(dim=-1, keepdim=True)
            nats[f"{name}_norm_matched"] += _nll(model, matched, targets, counts)
        tokens, size = tokens + counts, size + batch.size
    model.train(was_training)
    total = sum(tokens)
    if total == 0:
        raise ValueError("The ablation needs at least one token to predict; every text was empty.")
    variants: dict[str, dict[str, Any]] = {}
    for name, rows in nats.items():
        added = [ours - theirs for ours, theirs in zip(rows, nats["untouched"], strict=True)]
        variants[name] = {
            "cross_entropy": sum(rows) / total,
            "bits_per_byte": sum(rows) / math.log(2) / size,
            "change": sum(added) / total,
            "interval": bootstrap_ratio(added, tokens),
        }
    return {"tokens": total, "variants": variants}


def _variants(
    contextualization: Tensor, senses: Tensor, contributions: Tensor, mask: Tensor, top: Sequence[int]
) -> Iterator[tuple[str, Tensor]]:
    """Names of the variants and their mixtures [B, L, D]."""
    norms = contributions.norm(dim=-1, keepdim=True)  # [B, K, L, 1]
    for number in top:
        if number <= norms.shape[1]:
            keep = torch.zeros_like(norms).scatter(1, norms.topk(number, dim=1).indices, 1.0)
            yield f"top_{number}", (contributions * keep).sum(1)
    yield "equal_norms", (F.normalize(contributions, dim=-1) * norms.mean(1, keepdim=True)).sum(1)
    summed = senses.sum(1)  # [B, L, D]
    yield "shared_contextualization", contextualization.mean(1) @ summed
    allowed = torch.ones_like(contextualization[:, 0]).tril() * mask[:, None]  # [B, L, L]
    yield "even_contextualization", allowed / allowed.sum(-1, keepdim=True) @ summed


def _nll(model: PreTrainedModel, mixture: Tensor, targets: Tensor, counts: list[int]) -> list[float]:
    """Nats of each row, from mixtures [N, D] and next tokens [N] of the rows one after another."""
    logits = model.lm_head(mixture.to(model.lm_head.weight.dtype))  # [N, V]
    nats = F.cross_entropy(logits.float(), targets, reduction="none").double()  # [N]
    return [part.sum().item() for part in nats.split(counts)]


def _contributions(model: PreTrainedModel, batch: _Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Contextualization [B, K, L, L], senses and contributions [B, K, L, D], in at least float32."""
    inputs = {"input_ids": batch.ids, "attention_mask": batch.mask, "return_logits": False, "use_cache": False}
    outputs = model(**inputs, output_senses=True, output_contextualization=True)
    precise = torch.promote_types(outputs.senses.dtype, torch.float32)
    contextualization, senses = outputs.contextualization.to(precise), outputs.senses.to(precise)
    return contextualization, senses, contextualization @ senses


def _pairwise_cosine(senses: Tensor) -> Tensor:
    """Mean cosine between two different senses of each token [B, L]; 0 for a single sense."""
    number = senses.shape[1]
    units = F.normalize(senses, dim=-1)
    both = units.sum(1).square().sum(-1) - units.square().sum(-1).sum(1)
    return both / max(number * (number - 1), 1)


def _frequency_bands(counts: Mapping[str, int]) -> dict[str, str]:
    names = ("1 to 100", "101 to 1,000", "1,001 to 10,000", "over 10,000")
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return {word: names[bisect_left((100, 1_000, 10_000), rank)] for rank, word in enumerate(ranked, 1)}


def _groups_of(word: str, bands: Mapping[str, str], tags: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    yield "all", "all"
    if bands:
        yield "frequency", OUTSIDE if word == OUTSIDE else bands.get(word, "not counted")
    if tags:
        yield "tag", OUTSIDE if word == OUTSIDE else tags.get(word, "untagged")


def _means(groups: Mapping[tuple[str, str], list[float]], wanted: str) -> dict[str, dict[str, float]]:
    chosen = {name: sums for (kind, name), sums in groups.items() if kind == wanted and sums[1] > 0}
    return {name: {"entropy": total / tokens, "tokens": tokens} for name, (total, tokens) in chosen.items()}


def _largest_first(means: Mapping[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    return dict(sorted(means.items(), key=lambda item: (-item[1]["tokens"], item[0])))


def _batches(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Iterable[str], tokens_per_batch: int
) -> Iterator[_Batch]:
    """Batches of rows of similar length; only a few hundred texts are in memory at a time."""
    if isinstance(texts, str):
        raise ValueError("`texts` must be a list of texts, got one string.")
    if not tokenizer.is_fast or tokenizer.eos_token_id is None:
        raise ValueError("The mixture needs a fast tokenizer, which gives word boundaries, with an end-of-text token.")
    stream = iter(texts)
    while chunk := list(islice(stream, _TEXTS_AT_ONCE)):
        rows = sorted(_rows(tokenizer, chunk, model.config.max_position_embeddings), key=lambda row: -len(row[0]))
        while rows:
            taken = max(tokens_per_batch // len(rows[0][0]), 1)
            ids, targets, words, sizes = zip(*rows[:taken], strict=True)
            rows = rows[taken:]
            padded, mask = pad_rows(ids, fill=0)
            wanted = pad_rows(targets, fill=-100)[0]
            spread = [[*row, *[None] * (padded.shape[1] - len(row))] for row in words]
            device = model.device
            yield _Batch(padded.to(device), mask.to(device), wanted.to(device), spread, sum(sizes))


def _rows(tokenizer, texts: list[str], positions: int) -> Iterator[tuple[list[int], list[int], list[str | None], int]]:
    """Ids, what each is to predict (-100 at the text's end), the word each belongs to, and the text's bytes, once."""
    encoded = tokenizer(
        texts, add_special_tokens=False, return_offsets_mapping=True, split_special_tokens=True, verbose=False
    )
    for text, tokens, offsets in zip(texts, encoded["input_ids"], encoded["offset_mapping"], strict=True):
        owners = [OUTSIDE] * len(text)
        for match in re.finditer(r"\w+", text):
            owners[match.start() : match.end()] = [lowered(match.group())] * len(match.group())
        # The first character of a token may be the space before its word; the last one belongs to the word.
        words = [None, *(owners[end - 1] if end > begin else OUTSIDE for begin, end in offsets)]
        ids, targets = [tokenizer.eos_token_id, *tokens], [*tokens, -100]
        for start in range(0, len(ids) if tokens else 0, positions):
            run = slice(start, start + positions)
            yield ids[run], targets[run], words[run], len(text.encode("utf-8")) if start == 0 else 0
