"""Byte-level BPE tokenizers without the tokens that a text never uses."""

from collections.abc import Iterable, Mapping
from typing import Any

from tokenizers import pre_tokenizers
from transformers import PreTrainedTokenizerBase

from sensia.corpora.tokenizer_files import bpe_description, with_description


def prune_tokenizer(
    tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]
) -> tuple[PreTrainedTokenizerBase, list[int]]:
    """
    Leaves out the tokens that texts never use. The texts are cut as before; any other text can still be written, since
    the 256 tokens of single bytes stay, and so do special tokens.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): a byte-level BPE tokenizer.
        texts (`Iterable[str]`): text of the language or languages to keep.

    Returns:
        `tuple`: the smaller tokenizer, and for each of its ids the id in the old one.

    Raises:
        ValueError: if the tokenizer is of another kind.
    """
    description = bpe_description(tokenizer)
    vocabulary: dict[str, int] = description["model"]["vocab"]
    tokens = {number: token for token, number in vocabulary.items()}
    kept = {tokens[number] for number in _used(tokenizer, texts) if number in tokens}
    kept |= vocabulary.keys() & set(pre_tokenizers.ByteLevel.alphabet())
    kept |= _parts_of(kept, description["model"]["merges"])
    added: list[dict[str, Any]] = description["added_tokens"]
    old_ids = sorted({vocabulary[token] for token in kept} | {each["id"] for each in added})
    places = {number: place for place, number in enumerate(old_ids)}
    description["model"]["vocab"] = {token: places[number] for token, number in vocabulary.items() if number in places}
    description["model"]["merges"] = [merge for merge in description["model"]["merges"] if "".join(merge) in kept]
    description["added_tokens"] = [{**each, "id": places[each["id"]]} for each in added]
    _renumber_post_processor(description.get("post_processor"), places)
    # How texts are padded belongs to the last call, and names an old id.
    description["padding"] = None
    return with_description(tokenizer, description), old_ids


def _used(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> set[int]:
    used = set[int]()
    for text in texts:
        used.update(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
    return used


def _parts_of(tokens: set[str], merges: list[list[str]]) -> set[str]:
    """Tokens that these are merged from, step by step: without them the merges could not be made."""
    found, before = set(tokens), 0
    # One pass from the last to the first finds most: a merge comes after those that make its parts. In an extended
    # tokenizer, a late merge can make a token that an early one has as a part.
    while len(found) > before:
        before = len(found)
        for first, second in reversed(merges):
            if first + second in found:
                found.update((first, second))
    return found


def _renumber_post_processor(processor: dict[str, Any] | None, places: Mapping[int, int]):
    """Writes new ids where a post-processor, which puts special tokens around a text, names old ones."""
    for part in (processor or {}).get("processors") or [processor or {}]:
        for special in (part.get("special_tokens") or {}).values():  # TemplateProcessing
            special["ids"] = [places[number] for number in special["ids"]]
        for name in ("sep", "cls"):  # RobertaProcessing and BertProcessing: a token and its id
            if name in part:
                part[name] = [part[name][0], places[part[name][1]]]
