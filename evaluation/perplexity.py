"""Perplexity and bits per byte of a causal language model on texts."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch.nn import functional as F
from tqdm.auto import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from corpora.batching import pad_rows


def perplexity(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    tokens_per_batch: int = 4096,
    progress: bool = False,
) -> dict[str, float]:
    """
    Perplexity and bits per byte over texts, from the summed negative log-likelihood of every token.

    The end-of-text token is the context of a text's first token; a closing one is not predicted. A text longer than
    the model's positions goes in windows that do not overlap, each read without the ones before it. Bits per byte
    divides by the UTF-8 bytes of the texts, so models with different tokenizers compare.

    Args:
        model (`PreTrainedModel`): a causal language model; evaluated in its own dtype, without dropout.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer, with an end-of-text token.
        texts (`Sequence[str]`): the texts; empty ones count for nothing.
        tokens_per_batch (`int`, *optional*, defaults to 4096): padded tokens that go through the model at once.
        progress (`bool`, *optional*, defaults to `False`): show a progress bar.

    Returns:
        `dict`: `perplexity`, `bits_per_byte` and `tokens`, the number of predicted tokens.

    Raises:
        ValueError: if there is no token to predict or the tokenizer has no end-of-text token.
    """
    if isinstance(texts, str):
        raise ValueError("`texts` must be a list of texts, got one string.")
    nll, tokens = negative_log_likelihood(model, tokenizer, texts, tokens_per_batch, progress)
    return perplexity_from_sums(nll, tokens, sum(len(text.encode("utf-8")) for text in texts))


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
    # exp overflows beyond this; an untrained model on one odd text must not end an evaluation.
    return {
        "perplexity": math.exp(min(nll / tokens, 700.0)),
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
) -> tuple[float, int]:
    """
    The summed negative log-likelihood of texts, as [`perplexity`] defines it.

    Returns:
        `tuple`: the sum in nats, and the number of tokens predicted.
    """
    if tokenizer.eos_token_id is None:
        raise ValueError("The tokenizer has no end-of-text token, which is the context of a text's first token.")
    windows = _windows(tokenizer, texts, model.config.max_position_embeddings)
    was_training = model.training
    model.eval()
    total, count = torch.zeros((), dtype=torch.float64), 0
    with tqdm(total=len(windows), desc="Perplexity", unit="text", disable=not progress) as bar:
        for batch in _batches(windows, tokens_per_batch):
            total += _batch_nll(model, batch).double().cpu()
            count += sum(len(window) - 1 for window in batch)
            bar.update(len(batch))
    model.train(was_training)
    return total.item(), count


def _windows(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], positions: int) -> list[list[int]]:
    """Runs of at most `positions` + 1 ids; the first id of each is context only. Longest first."""
    windows = []
    for ids in tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"] if texts else []:
        ids = [tokenizer.eos_token_id, *ids]
        windows += [ids[start : start + positions + 1] for start in range(0, len(ids) - 1, positions)]
    return sorted(windows, key=len, reverse=True)


def _batches(windows: list[list[int]], tokens_per_batch: int) -> Iterator[list[list[int]]]:
    start = 0
    while start < len(windows):
        rows = max(tokens_per_batch // len(windows[start]), 1)
        yield windows[start : start + rows]
        start += rows


def _batch_nll(model: PreTrainedModel, windows: list[list[int]]) -> torch.Tensor:
    ids, mask = (rows.to(model.device) for rows in pad_rows(windows, fill=0))  # [B, L + 1]
    logits = model(input_ids=ids[:, :-1], attention_mask=mask[:, :-1], use_cache=False).logits  # [B, L, V]
    targets = ids[:, 1:].masked_fill(mask[:, 1:] == 0, -100)  # [B, L]
    return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=-100, reduction="sum")
