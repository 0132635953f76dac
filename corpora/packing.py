"""Turning documents into blocks of tokens for language model training."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm
from transformers import PreTrainedTokenizerBase

TEXTS_PER_CHUNK = 1000


def pack_texts(
    texts: Iterable[str], tokenizer: PreTrainedTokenizerBase, block_size: int, path: str | Path
) -> NDArray[np.unsignedinteger]:
    """
    Concatenate documents, each followed by the end-of-text token, and cut the row of tokens into blocks on disk.

    Texts are read and written a thousand at a time, so memory does not grow with their number.

    Args:
        texts (`Iterable[str]`): documents; blank ones are skipped.
        tokenizer (`PreTrainedTokenizerBase`): tokenizer with an end-of-text token.
        block_size (`int`): tokens in a block. What is left after the last whole block is dropped.
        path (`str` or `Path`): `.npy` file that the blocks are written to; it appears when it is whole.

    Returns:
        `numpy.ndarray`: token ids [blocks, block_size], mapped from the file; uint16 if every id of the vocabulary
        fits, else uint32.

    Raises:
        `ValueError`: if the tokenizer has no end-of-text token, or the texts do not fill one block.
    """
    if tokenizer.eos_token_id is None:
        raise ValueError("the tokenizer has no eos token, which has to separate the documents")
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got {block_size}")
    path = Path(path)
    row, partial = path.with_name(f"{path.name}.row"), path.with_name(f"{path.name}.partial")
    largest_id = max(tokenizer.get_vocab().values())
    dtype = np.dtype(np.uint16 if largest_id <= np.iinfo(np.uint16).max else np.uint32)
    try:
        with row.open("wb") as file:
            for ids in _chunk_ids(texts, tokenizer):
                np.array(ids, dtype).tofile(file)
        tokens = row.stat().st_size // dtype.itemsize
        blocks = tokens // block_size
        if blocks == 0:
            raise ValueError(f"the texts have {tokens} tokens, less than one block of {block_size}")
        with partial.open("wb") as file:
            np.save(file, np.memmap(row, dtype, "r", shape=(blocks, block_size)))
        partial.replace(path)
    finally:
        row.unlink(missing_ok=True)
        partial.unlink(missing_ok=True)
    return np.load(path, mmap_mode="r")


def _chunk_ids(texts: Iterable[str], tokenizer: PreTrainedTokenizerBase) -> Iterator[list[int]]:
    documents = (text for text in tqdm(texts, desc="Packing", unit=" texts") if text.strip())
    while chunk := list(islice(documents, TEXTS_PER_CHUNK)):
        encoded = tokenizer(chunk, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
        yield [token for ids in encoded for token in (*ids, tokenizer.eos_token_id)]
