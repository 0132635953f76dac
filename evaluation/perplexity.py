"""Perplexity and bits per byte of a causal language model on texts."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional as F
from tqdm.auto import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from modeling_sensia.sentence_rows import batches_by_length
from sensia.corpora.batching import pad_rows
from sensia.evaluation.intervals import bootstrap_ratio

# exp overflows beyond this; an untrained model on one odd text must not end an evaluation.
_MOST_NATS = 700.0


def perplexity(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    tokens_per_batch: int = 4096,
    progress: bool = False,
) -> dict[str, float]:
    """
    Computes perplexity and bits per byte over texts, from the summed negative log-likelihood of every token.

    The end-of-text token is the context of a text's first token; an end-of-text token at the end is not predicted. A
    text longer than the model's positions is split into windows without overlap, each predicted without the previous
    ones. Bits per byte divides by the UTF-8 bytes of the texts, so models with different tokenizers can be compared.

    Args:
        model (`PreTrainedModel`): a causal language model; evaluated in its own dtype, without dropout.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer, with an end-of-text token.
        texts (`Sequence[str]`): the texts; empty ones are ignored.
        tokens_per_batch (`int`, *optional*, defaults to 4096): padded tokens that go through the model at once.
        progress (`bool`, *optional*, defaults to `False`): show a progress bar.

    Returns:
        `dict`: `perplexity`, `bits_per_byte` and `tokens`, the number of predicted tokens.

    Raises:
        ValueError: if there is no token to predict or the tokenizer has no end-of-text token.
    """
    nll, tokens = negative_log_likelihood(model, tokenizer, texts, tokens_per_batch, progress)
    return perplexity_from_sums(nll.sum().item(), int(tokens.sum()), sum(map(_bytes, texts)))


def measure_perplexity(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], *, progress: bool = False
) -> dict[str, Any]:
    """
    Computes perplexity and bits per byte over texts, with bootstrap intervals over the texts.

    Args:
        model, tokenizer, texts, progress: as in [`perplexity`].

    Returns:
        `dict`: `metrics` and `intervals` (95 % bootstrap over the texts), each with `perplexity` and `bits_per_byte`,
        and `tokens`.

    Raises:
        ValueError: as [`perplexity`].
    """
    nll, tokens = negative_log_likelihood(model, tokenizer, texts, progress=progress)
    sizes = [_bytes(text) for text in texts]
    metrics = perplexity_from_sums(nll.sum().item(), int(tokens.sum()), sum(sizes))
    read = tokens > 0  # empty texts are left out: a resample of them alone would have no perplexity
    per_token, per_byte = (
        bootstrap_ratio(nll[read].tolist(), below[read].tolist()) for below in (tokens, torch.tensor(sizes))
    )
    return {
        "metrics": {name: metrics[name] for name in ("perplexity", "bits_per_byte")},
        "intervals": {
            "perplexity": [math.exp(min(end, _MOST_NATS)) for end in per_token],
            "bits_per_byte": [end / math.log(2) for end in per_byte],
        },
        "tokens": metrics["tokens"],
    }


def _bytes(text: str) -> int:
    return len(text.encode("utf-8"))


def perplexity_from_sums(nll: float, tokens: int, size: int) -> dict[str, float]:
    """
    Perplexity and bits per byte from a summed negative log-likelihood.

    Args:
        nll (`float`): sum over tokens, in nats.
        tokens (`int`): number of tokens it was summed over.
        size (`int`): UTF-8 bytes of the texts.

    Returns:
        `dict`: `perplexity`, `bits_per_byte`, `tokens`.
    """
    if tokens == 0 or size == 0:
        raise ValueError("Perplexity needs at least one token; every text was empty.")
    return {
        "perplexity": math.exp(min(nll / tokens, _MOST_NATS)),
        "bits_per_byte": nll / math.log(2) / size,
        "tokens": tokens,
    }


@torch.inference_mode()
def negative_log_likelihood(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    tokens_per_batch: int = 4096,
    progress: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Computes the negative log-likelihood of each text, summed over its tokens, as [`perplexity`] defines it.

    Returns:
        `tuple`: for N texts the sums in nats, [N] in float64, and the numbers of predicted tokens, [N]; zeros for an
        empty text.
    """
    if isinstance(texts, str):
        raise ValueError("`texts` must be a list of texts, got one string.")
    if tokenizer.eos_token_id is None:
        raise ValueError("The tokenizer has no end-of-text token, which is the context of a text's first token.")
    windows = _windows(tokenizer, texts, model.config.max_position_embeddings)
    was_training = model.training
    model.eval()
    totals, counts = torch.zeros(len(texts), dtype=torch.float64), torch.zeros(len(texts), dtype=torch.long)
    with tqdm(total=len(windows), desc="Perplexity", unit="text", disable=not progress) as bar:
        for numbers in batches_by_length([len(ids) for _, ids in windows], tokens_per_batch):
            batch = [windows[number] for number in numbers]
            owners = torch.tensor([text for text, _ in batch])
            rows = [ids for _, ids in batch]
            totals.index_add_(0, owners, _row_nll(model, rows).double().cpu())
            counts.index_add_(0, owners, torch.tensor([len(ids) - 1 for ids in rows]))
            bar.update(len(batch))
    model.train(was_training)
    return totals, counts


_Window = tuple[int, list[int]]  # a text's place and ids, of which the first is context only


def _windows(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], positions: int) -> list[_Window]:
    """Windows of at most `positions` + 1 ids."""
    windows = []
    rows = (
        tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
        if texts
        else []
    )
    for place, row in enumerate(rows):
        ids = [tokenizer.eos_token_id, *row]
        windows += [(place, ids[start : start + positions + 1]) for start in range(0, len(ids) - 1, positions)]
    return windows


def _row_nll(model: PreTrainedModel, rows: list[list[int]]) -> torch.Tensor:
    """Nats of each row, [B]."""
    ids, mask = (each.to(model.device) for each in pad_rows(rows, fill=0))  # [B, L + 1]
    logits = model(input_ids=ids[:, :-1], attention_mask=mask[:, :-1], use_cache=False).logits  # [B, L, V]
    targets = ids[:, 1:].masked_fill(mask[:, 1:] == 0, -100)  # [B, L]
    nll = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=-100, reduction="none")
    return nll.view_as(targets).sum(1)
