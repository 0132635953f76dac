"""Context-free word vectors, from the embeddings of any model and from the senses of a Backpack."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch.nn import functional as F
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sensia.corpora.batching import pad_rows
from sensia.evaluation.sentence_vectors import is_backpack
from sensia.evaluation.word_pairs import in_running_text, word_senses


def word_vectors(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, words: Sequence[str]
) -> dict[str, torch.Tensor]:
    """
    Computes word vectors of length 1, by kind; for a word of several tokens the mean over its tokens is used.

    Args:
        model (`PreTrainedModel`): a causal language model.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer.
        words (`Sequence[str]`): N words, encoded as in running text.

    Returns:
        `dict`: `embedding` [N, D]; from a Backpack also `sense_sum` [N, D], the sum of the senses, and `sense`
        [N, K D], the concatenation of the K senses, each of length 1; its cosine is the mean over k of the cosines of
        sense k.
    """
    vectors = {"embedding": F.normalize(_embeddings(model, tokenizer, words), dim=-1)}
    if is_backpack(model):
        senses = word_senses(cast(Any, model), tokenizer, words)  # [N, K, D]
        vectors["sense_sum"] = F.normalize(senses.sum(1), dim=-1)
        vectors["sense"] = F.normalize(F.normalize(senses, dim=-1).flatten(1), dim=-1)  # [N, K D]
    return vectors


@torch.inference_mode()
def _embeddings(model, tokenizer, words: Sequence[str], batch_size: int = 1024) -> torch.Tensor:
    rows = tokenizer([in_running_text(word) for word in words], add_special_tokens=False)["input_ids"]
    embed, parts = model.get_input_embeddings(), []
    for start in range(0, len(rows), batch_size):
        ids, mask = (tensor.to(model.device) for tensor in pad_rows(rows[start : start + batch_size], fill=0))
        weights = mask / mask.sum(1, keepdim=True)  # [B, L]
        parts.append(torch.einsum("bld,bl->bd", embed(ids).float(), weights).cpu())  # [B, D]
    return torch.cat(parts)
