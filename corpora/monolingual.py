"""Text of one language as rows that only a language model learns from."""

from typing import Any

import datasets
from transformers import PreTrainedTokenizerBase

from sensia.corpora.cleaning import CleaningReport

FEATURES = datasets.Features(
    {
        "source_ids": datasets.List(datasets.Value("int32")),
        "target_ids": datasets.List(datasets.Value("int32")),
        "row": datasets.Value("int64"),
    }
)


def encode_texts(
    dataset: datasets.Dataset, tokenizer: PreTrainedTokenizerBase, *, max_length: int, of_source: bool = False
) -> tuple[datasets.Dataset, CleaningReport]:
    """
    Tokenize texts, close each with eos and cut the long ones into windows.

    Args:
        dataset (`datasets.Dataset`): the column `text`, as `read_texts` gives it.
        tokenizer (`PreTrainedTokenizerBase`): tokenizer with an eos token.
        max_length (`int`): longest window in tokens. The last window of a text ends in eos; a window of one token,
            which nothing can be predicted from, is left out.
        of_source (`bool`, *optional*, defaults to `False`): whether it is text of the source language.

    Returns:
        `tuple`: the windows as columns `source_ids` and `target_ids`, of which the side of the other language is
        empty, and `row` (number of the text, from 0); and the `CleaningReport` of the texts, which drops blank ones.

    Raises:
        `ValueError`: if the tokenizer has no eos token, `max_length` makes no sense, or every text is blank.
    """
    if tokenizer.eos_token_id is None:
        raise ValueError("the tokenizer has no eos token, which has to close every text")
    if max_length < 2:
        raise ValueError(f"max_length must be at least 2 (one token and eos), got {max_length}")
    rows = dataset.map(
        _windows,
        batched=True,
        with_indices=True,
        fn_kwargs={"tokenizer": tokenizer, "max_length": max_length, "of_source": of_source},
        remove_columns=dataset.column_names,
        features=FEATURES,
        desc="Tokenizing texts",
    )
    kept = len(set(rows["row"][:]))
    blank = len(dataset) - kept
    report = CleaningReport(len(dataset), kept, {"empty": blank} if blank else {})
    if kept == 0:
        raise ValueError(f"no text is left: all {len(dataset):,} are blank; look whether the column holds text")
    return rows, report


def _windows(
    batch: dict[str, list[Any]],
    indices: list[int],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    of_source: bool,
) -> dict[str, list[Any]]:
    stripped = [text.strip() for text in batch["text"]]
    encoded = tokenizer(stripped, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
    windows = [
        (row, [*ids, tokenizer.eos_token_id][start : start + max_length])
        for row, ids in zip(indices, encoded, strict=True)
        for start in range(0, len(ids), max_length)
    ]
    side, other = ("source_ids", "target_ids") if of_source else ("target_ids", "source_ids")
    return {
        side: [window for _, window in windows],
        other: [[] for _ in windows],
        "row": [row for row, _ in windows],
    }
