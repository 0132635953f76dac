"""Turning documents into blocks of tokens for language model training."""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm
from transformers import PreTrainedTokenizerBase

TEXTS_PER_CHUNK = 1000


def pack_texts(
    texts: Iterable[str], tokenizer: PreTrainedTokenizerBase, block_size: int
) -> NDArray[np.unsignedinteger]:
    """
    Concatenate documents, each followed by the end-of-text token, and cut the row of tokens into blocks.

    Args:
        texts (`Iterable[str]`): documents; blank ones are skipped.
        tokenizer (`PreTrainedTokenizerBase`): tokenizer with an end-of-text token.
        block_size (`int`): tokens in a block. What is left after the last whole block is dropped.

    Returns:
        `numpy.ndarray`: token ids, shape [blocks, block_size]; uint16 if every id of the vocabulary fits, else uint32.

    Raises:
        `ValueError`: if the tokenizer has no end-of-text token, or the texts do not fill one block.
    """
    if tokenizer.eos_token_id is None:
        raise ValueError("the tokenizer has no eos token, which has to separate the documents")
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got {block_size}")
    largest_id = max(tokenizer.get_vocab().values())
    dtype: type[np.unsignedinteger] = np.uint16 if largest_id <= np.iinfo(np.uint16).max else np.uint32
    pieces = [np.array(ids, dtype=dtype) for ids in _chunk_ids(texts, tokenizer)]
    tokens = np.concatenate(pieces) if pieces else np.empty(0, dtype=dtype)
    blocks = len(tokens) // block_size
    if blocks == 0:
        raise ValueError(f"the texts have {len(tokens)} tokens, less than one block of {block_size}")
    return tokens[: blocks * block_size].reshape(blocks, block_size)  # [blocks, block_size]


def _chunk_ids(texts: Iterable[str], tokenizer: PreTrainedTokenizerBase) -> Iterator[list[int]]:
    documents = (text for text in tqdm(texts, desc="Packing", unit=" texts") if text.strip())
    while chunk := list(islice(documents, TEXTS_PER_CHUNK)):
        encoded = tokenizer(chunk, add_special_tokens=False, verbose=False)["input_ids"]
        yield [token for ids in encoded for token in (*ids, tokenizer.eos_token_id)]
