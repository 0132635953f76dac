"""Texts to rows of token ids that are closed by the end-of-text token, batches of them, and their sentence vectors.

Shapes: N texts, B rows of a batch, L positions, D the hidden size.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from tqdm.auto import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

#: The vectors that a sentence has.
VECTORS = ("context", "sense")
#: Tokens of a batch with padding. More are slower on a CPU, where the mixture then leaves its caches, and pad more.
TOKENS_PER_BATCH = 1024


def closed_rows(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], positions: int) -> list[list[int]]:
    """
    Token ids of texts, each with the end-of-text token at the end. Special tokens in a text are text.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): a tokenizer with an end-of-text token.
        texts (`Sequence[str]`): the texts.
        positions (`int`): largest number of tokens of a row; a longer text is truncated before its end-of-text token.

    Raises:
        ValueError: if there is no text, an entry is no text, or the tokenizer has no end-of-text token.
    """
    if isinstance(texts, str) or len(texts) == 0:
        raise ValueError(f"`texts` must be a list of at least one text, got {texts!r}.")
    strangers = [text for text in texts if not isinstance(text, str)]
    if strangers:
        raise ValueError(f"A sentence must be a text, got {strangers[0]!r}.")
    if tokenizer.eos_token_id is None:
        raise ValueError("The tokenizer has no end-of-text token to close sentences with.")
    rows = tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
    return [[*row[: positions - 1], tokenizer.eos_token_id] for row in rows]


def batches_by_length(lengths: Sequence[int], tokens: int, most: int | None = None) -> Iterator[list[int]]:
    """
    Numbers of rows in batches, the longest first, so that the rows of a batch are about equally long.

    Args:
        lengths (`Sequence[int]`): tokens of each row.
        tokens (`int`): largest number of tokens of a batch, with padding; a longer row is a batch by itself.
        most (`int`, *optional*): largest number of rows of a batch.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    start = 0
    while start < len(order):
        rows = max(tokens // lengths[order[start]], 1)
        yield order[start : start + (rows if most is None else min(rows, most))]
        start += rows if most is None else min(rows, most)


def vectors_of_rows(
    encode: Callable[[list[list[int]]], dict[str, Tensor]],
    rows: Sequence[list[int]],
    tokens: int = TOKENS_PER_BATCH,
    progress: bool = False,
) -> dict[str, Tensor]:
    """
    Encodes rows in batches by length.

    Args:
        encode (`Callable`): gives the vectors [B, D] of a batch of rows, by kind.
        rows (`Sequence`): N rows of token ids.
        tokens (`int`, *optional*, defaults to 1024): as in [`batches_by_length`].
        progress (`bool`, *optional*, defaults to `False`): show a progress bar.

    Returns:
        `dict`: for each kind `torch.Tensor` of `float32` [N, D], on the CPU, in the order of the rows.
    """
    parts: list[dict[str, Tensor]] = []
    order: list[int] = []
    with tqdm(total=len(rows), desc="Sentence vectors", unit="text", disable=not progress) as bar:
        for batch in batches_by_length([len(row) for row in rows], tokens):
            parts.append({kind: found.float().cpu() for kind, found in encode([rows[row] for row in batch]).items()})
            order += batch
            bar.update(len(batch))
    places = torch.tensor(order).argsort()
    return {kind: torch.cat([part[kind] for part in parts])[places] for kind in parts[0]}


def padded(rows: Sequence[Sequence[int]]) -> dict[str, Tensor]:
    """Rows padded on the right: `input_ids` and `attention_mask` [B, L]."""
    lengths = torch.tensor([len(row) for row in rows])  # [B]
    mask = torch.arange(int(lengths.max())) < lengths[:, None]  # [B, L]
    ids = torch.zeros(mask.shape, dtype=torch.long)
    ids[mask] = torch.tensor([token for row in rows for token in row])
    return {"input_ids": ids, "attention_mask": mask.long()}


@torch.no_grad()
def encode_texts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    vector: str = "context",
    max_length: int | None = None,
    tokens_per_batch: int = TOKENS_PER_BATCH,
    progress: bool = False,
) -> Tensor:
    """The sentence vectors of texts; [`BackpackForCausalLM.encode`] has the arguments."""
    if vector not in VECTORS:
        raise ValueError(f"`vector` must be one of {', '.join(VECTORS)}, got {vector!r}.")
    positions = model.config.max_position_embeddings
    limit = positions if max_length is None else min(max_length, positions)
    if limit < 2:
        raise ValueError(f"`max_length` must be at least 2, a token and the end-of-text token, got {max_length}.")
    backpack, temperature = model.base_model, model.config.pooling_temperature

    def encode(rows: list[list[int]]) -> dict[str, Tensor]:
        inputs = {name: tensor.to(model.device) for name, tensor in padded(rows).items()}
        outputs = backpack(**inputs, pooling_temperature=temperature, use_cache=False)
        return {vector: outputs[f"{vector}_vectors"]}

    was_training = model.training
    model.eval()
    try:
        rows = closed_rows(tokenizer, texts, limit)
        return vectors_of_rows(encode, rows, tokens_per_batch, progress)[vector]
    finally:
        model.train(was_training)


__all__ = [
    "TOKENS_PER_BATCH",
    "VECTORS",
    "batches_by_length",
    "closed_rows",
    "encode_texts",
    "padded",
    "vectors_of_rows",
]
