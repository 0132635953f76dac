"""Sentence pairs of one document joined into longer pairs."""

from collections.abc import Iterator
from typing import Any

import datasets
from transformers import PreTrainedTokenizerBase

from sensia.corpora.fields import PROMPT_COLUMNS
from sensia.corpora.reading import AnyDataset, dataset_of_rows

ROWS_PER_CHUNK = 1000
SIDES = ("source", "target")


def join_documents(dataset: AnyDataset, tokenizer: PreTrainedTokenizerBase, *, max_length: int) -> AnyDataset:
    """
    Join consecutive pairs of one document, with a space between sentences, as long as neither side becomes too long.

    Pairs with a side that is blank or not text, and pairs too long by themselves, are passed on as they are, for
    `clean_pairs` to count; what stands before and after them is not joined.

    Args:
        dataset (`datasets.Dataset` or `datasets.IterableDataset`): pairs as `read_pairs` gives them, with `doc`.
        tokenizer (`PreTrainedTokenizerBase`): tokenizer of the model, which lengths are counted with.
        max_length (`int`): longest side in tokens, eos included.

    Returns:
        `datasets.Dataset` or `datasets.IterableDataset`: longer pairs, with `row`, the number of each one's first row.
        Pairs of different `file` or `origin` are never joined.

    Raises:
        `ValueError`: if the pairs have no `doc`, or have prompts.
    """
    names = list(dataset.column_names or [])
    if "doc" not in names:
        raise ValueError(f"joining documents needs a column 'doc' that names the document of a pair; columns: {names}")
    if PROMPT_COLUMNS[0] in names:
        raise ValueError("instruction pairs (with a column 'prompt') cannot be joined into documents")
    kept = [name for name in names if name != "file"]
    features = datasets.Features({**{name: datasets.Value("string") for name in kept}, "row": datasets.Value("int64")})
    options = {"dataset": dataset, "tokenizer": tokenizer, "max_length": max_length}
    if isinstance(dataset, datasets.IterableDataset):
        return datasets.IterableDataset.from_generator(_joined, features, options)
    return dataset_of_rows(_joined(**options), features)


def _joined(dataset: AnyDataset, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Iterator[dict[str, Any]]:
    open_pair: dict[str, Any] = {}
    lengths: list[int] = []
    document: tuple[Any, ...] = ()
    for row, (pair, own) in enumerate(_measured(dataset, tokenizer)):
        place = (pair.pop("file", None), pair.get("origin"), pair["doc"])
        together = [so_far + more for so_far, more in zip(lengths, own, strict=False)]
        if open_pair and min(own) > 0 and place == document and place[-1] is not None and max(together) < max_length:
            open_pair |= {side: f"{open_pair[side].strip()} {pair[side].strip()}" for side in SIDES}
            lengths = together
            continue
        if open_pair:
            yield open_pair
        open_pair, lengths, document = {**pair, "row": row}, own, place
        if min(own) == 0:
            yield open_pair
            open_pair = {}
    if open_pair:
        yield open_pair


def _measured(dataset: AnyDataset, tokenizer: PreTrainedTokenizerBase) -> Iterator[tuple[dict[str, Any], list[int]]]:
    """Each pair with the tokens that each side has; 0 for a side that is blank or not text."""
    for batch in dataset.iter(ROWS_PER_CHUNK):
        lengths = [_lengths([(text or "").strip() for text in batch[side]], tokenizer) for side in SIDES]
        for number, own in enumerate(zip(*lengths, strict=True)):
            yield {name: values[number] for name, values in batch.items()}, list(own)


def _lengths(texts: list[str], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    # With a space and without, since only the first sentence of a joined pair has none before it.
    both = ([f" {text}" if text else "" for text in texts], texts)
    encoded = (
        tokenizer(each, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
        for each in both
    )
    return [max(map(len, pair)) for pair in zip(*encoded, strict=True)]
