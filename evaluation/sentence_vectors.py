"""Sentence vectors of Backpacks and dense models, for retrieval and probes."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from modeling_sensia import BackpackConfig
from modeling_sensia.sentence_rows import TOKENS_PER_BATCH, closed_rows, padded, vectors_of_rows


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
    pooling_temperature: float | None = None,
    tokens_per_batch: int = TOKENS_PER_BATCH,
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
        pooling_temperature (`float`, *optional*): temperature of the mixture in `sense`; the model's own by default.
        tokens_per_batch (`int`, *optional*, defaults to 1024): largest number of tokens in a batch, with padding.
        progress (`bool`, *optional*, defaults to `False`): show a progress bar.

    Returns:
        `dict`: `torch.Tensor` of `float32` [N, D] for each kind, on the CPU, in the order of the texts.

    Raises:
        ValueError: if there is no text, or the tokenizer has no end-of-text token.
    """
    rows = closed_rows(tokenizer, texts, model.config.max_position_embeddings)
    if is_backpack(model) and pooling_temperature is None:
        pooling_temperature = model.config.pooling_temperature

    def encode(batch: list[list[int]]) -> dict[str, torch.Tensor]:
        return _encode(model, batch, layer, pooling_temperature)

    was_training = model.training
    model.eval()
    vectors = vectors_of_rows(encode, rows, tokens_per_batch, progress)
    model.train(was_training)
    return vectors


def _encode(model, rows: list[list[int]], layer: int, pooling_temperature: float | None) -> dict[str, torch.Tensor]:
    ids, mask = (tensor.to(model.device) for tensor in padded(rows).values())  # [B, L]
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
    return vectors
