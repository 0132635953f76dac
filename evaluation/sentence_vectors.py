"""Sentence vectors of Backpacks and dense models, for retrieval and probes."""

from collections.abc import Sequence

import torch
from tqdm.auto import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from modeling_sensia import BackpackConfig
from sensia.corpora.batching import pad_rows


def is_backpack(model: PreTrainedModel) -> bool:
    """
    Tells if a model is a Backpack.

    Args:
        model (`PreTrainedModel`): a causal language model of any class.
    """
    return model.config.model_type == BackpackConfig.model_type


@torch.inference_mode()
def sentence_vectors(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    layer: int = -1,
    pooling_temperature: float = 0.7,
    tokens_per_batch: int = 4096,
    progress: bool = False,
) -> dict[str, torch.Tensor]:
    """
    Computes sentence vectors of the kinds `context`, `mean` and, for a Backpack, `sense`.

    The end-of-text token is appended to each sentence, as in training. A sentence longer than the model's positions is
    truncated before that token. `context` is a Backpack's context vector, or a dense model's hidden state at the last
    token; `sense` is the sense vector; `mean` is the mean hidden state over all tokens.

    Args:
        model (`PreTrainedModel`): a causal language model; evaluated without dropout.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer, with an end-of-text token.
        texts (`Sequence[str]`): N sentences.
        layer (`int`, *optional*, defaults to -1): index into the model's `hidden_states`, used for `mean` and for
            `context` of a dense model; the last entry of a Backpack is its mixture.
        pooling_temperature (`float`, *optional*, defaults to 0.7): temperature of the mixture in `sense`.
        tokens_per_batch (`int`, *optional*, defaults to 4096): largest number of tokens in a batch, with padding.
        progress (`bool`, *optional*, defaults to `False`): show a progress bar.

    Returns:
        `dict`: `torch.Tensor` of `float32` [N, D] for each kind, on the CPU, in the order of the texts.

    Raises:
        ValueError: if there is no text, or the tokenizer has no end-of-text token.
    """
    if isinstance(texts, str) or len(texts) == 0:
        raise ValueError(f"`texts` must be a list of at least one text, got {texts!r}.")
    rows = closed_rows(tokenizer, texts, model.config.max_position_embeddings)
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]), reverse=True)
    was_training = model.training
    model.eval()
    parts: list[dict[str, torch.Tensor]] = []
    done = 0
    with tqdm(total=len(rows), desc="Sentence vectors", unit="text", disable=not progress) as bar:
        while done < len(order):
            chosen = order[done : done + max(tokens_per_batch // len(rows[order[done]]), 1)]
            parts.append(_encode(model, [rows[row] for row in chosen], layer, pooling_temperature))
            done += len(chosen)
            bar.update(len(chosen))
    model.train(was_training)
    places = torch.tensor(order).argsort()
    return {kind: torch.cat([part[kind] for part in parts])[places] for kind in parts[0]}


def closed_rows(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], positions: int) -> list[list[int]]:
    """
    Token ids of texts, each with the end-of-text token at the end.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): a tokenizer with an end-of-text token.
        texts (`Sequence[str]`): the texts.
        positions (`int`): largest number of tokens of a row; a longer text is truncated before its end-of-text token.

    Raises:
        ValueError: if the tokenizer has no end-of-text token.
    """
    if tokenizer.eos_token_id is None:
        raise ValueError("The tokenizer has no end-of-text token to close sentences with.")
    rows = tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
    return [[*row[: positions - 1], tokenizer.eos_token_id] for row in rows]


def _encode(model, rows: list[list[int]], layer: int, pooling_temperature: float) -> dict[str, torch.Tensor]:
    ids, mask = (tensor.to(model.device) for tensor in pad_rows(rows, fill=0))  # [B, L]
    options = {"pooling_temperature": pooling_temperature, "return_logits": False} if is_backpack(model) else {}
    if not options:
        # The head's work on positions that nobody asked for.
        options["logits_to_keep"] = 1
    outputs = model(input_ids=ids, attention_mask=mask, output_hidden_states=True, use_cache=False, **options)
    number = len(outputs.hidden_states)
    if not -number <= layer < number:
        raise ValueError(
            f"`layer` must be one of the {number} hidden states, from {-number} to {number - 1}, got {layer}."
        )
    states = outputs.hidden_states[layer].float()  # [B, L, D]
    weights = (mask / mask.sum(1, keepdim=True))[:, :, None]  # [B, L, 1]
    vectors = {"mean": (states * weights).sum(1)}  # [B, D]
    if is_backpack(model):
        vectors |= {"context": outputs.context_vectors.float(), "sense": outputs.sense_vectors.float()}
    else:
        vectors["context"] = states[torch.arange(len(rows)), mask.sum(1) - 1]  # [B, D]
    return {kind: vector.cpu() for kind, vector in vectors.items()}
