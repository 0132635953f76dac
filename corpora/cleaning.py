"""Turning text pairs into token pairs, and counting what is dropped on the way."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import datasets
from transformers import PreTrainedTokenizerBase

from corpora.reading import AnyDataset

# Part of the key under which `datasets` caches the result: raise it when the rules below change.
RULES_VERSION = 2
KEPT = ""


@dataclass
class CleaningReport:
    """
    How many pairs went in, stayed and were dropped, by reason.

    Args:
        total (`int`, *optional*, defaults to 0): pairs seen.
        kept (`int`, *optional*, defaults to 0): pairs kept.
        dropped (`dict[str, int]`, *optional*): pairs dropped by reason: `empty`, `not_text`, `too_long`,
            `length_ratio`, `duplicate`. Reasons that did not occur are absent.
    """

    total: int = 0
    kept: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def count(self, reasons: list[str]) -> None:
        """
        Add pairs to the report.

        Args:
            reasons (`list[str]`): for each pair why it was dropped, or the empty text if it was kept.
        """
        for reason, number in sorted(Counter(reasons).items()):
            self.total += number
            if reason == KEPT:
                self.kept += number
            else:
                self.dropped[reason] = self.dropped.get(reason, 0) + number

    def __str__(self) -> str:
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in sorted(self.dropped.items()))
        return f"kept {self.kept:,} of {self.total:,} pairs" + (f"; dropped: {reasons}" if reasons else "")


def clean_pairs(
    dataset: AnyDataset,
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_length: int,
    max_length_ratio: float | None = None,
) -> tuple[AnyDataset, CleaningReport]:
    """
    Tokenize both sides of every pair, close each with eos, and drop the pairs that cannot be learned from.

    Dropped are pairs with a side that is empty or not text, a side of more than `max_length` tokens (cutting it would
    leave a translation of something else), sides of too different lengths and, unless streamed, repetitions of an
    earlier pair. Surrounding white space is removed first. No special token but eos is added.

    Args:
        dataset (`datasets.Dataset` or `datasets.IterableDataset`): pairs as `read_pairs` gives them.
        tokenizer (`PreTrainedTokenizerBase`): tokenizer of the model, with an eos token.
        max_length (`int`): longest side in tokens, eos included.
        max_length_ratio (`float`, *optional*): largest ratio of the longer side's tokens to the shorter one's, without
            eos. Not checked if not given.

    Returns:
        `tuple`: the pairs as columns `source_ids` and `target_ids` (lists of int) and `target_bytes` (UTF-8 bytes of
        the target's text), with `origin` and `doc` kept where present, and the `CleaningReport`. For a streamed data
        set the report is empty at first and grows as rows pass, once more with every pass, and only in the process
        that reads them (data loader workers keep their own).

    Raises:
        `ValueError`: if the tokenizer has no eos token, a limit makes no sense, columns are missing, or no pair is
            kept (not for a streamed data set, whose rows are not known yet).
    """
    _check_arguments(dataset, tokenizer, max_length, max_length_ratio)
    rules = {"max_length": max_length, "max_length_ratio": max_length_ratio, "version": RULES_VERSION}
    extras = [name for name in ("origin", "doc") if name in (dataset.column_names or [])]
    options = {"tokenizer": tokenizer, "rules": rules, "extras": extras}
    report = CleaningReport()
    if isinstance(dataset, datasets.IterableDataset):
        return _clean_stream(dataset, options, report), report
    encoded = dataset.map(
        encode_pairs,
        batched=True,
        fn_kwargs=options,
        remove_columns=dataset.column_names,
        features=_features([*extras, "reason"]),
        desc="Tokenizing pairs",
    )
    reasons = _mark_duplicates(encoded)
    report.count(reasons)
    if report.kept == 0:
        raise ValueError(f"no pair is left after cleaning with max_length={max_length}: {report}")
    kept = [index for index, reason in enumerate(reasons) if reason == KEPT]
    return encoded.remove_columns("reason").select(kept), report


def encode_pairs(
    batch: dict[str, list[Any]], tokenizer: PreTrainedTokenizerBase, rules: dict[str, Any], extras: list[str]
) -> dict[str, list[Any]]:
    """
    Tokenize a batch of pairs and say for each whether it stays.

    Args:
        batch (`dict[str, list]`): columns `source` and `target`, and those in `extras`.
        tokenizer (`PreTrainedTokenizerBase`): tokenizer with an eos token.
        rules (`dict[str, Any]`): `max_length` and `max_length_ratio`.
        extras (`list[str]`): columns to carry along.

    Returns:
        `dict[str, list]`: `source_ids`, `target_ids`, `target_bytes`, `reason` (empty text for a pair that stays) and
            the extras.
    """
    sources = _tokenize(batch["source"], tokenizer)
    targets = _tokenize(batch["target"], tokenizer)
    texts = zip(batch["source"], batch["target"], strict=True)
    reasons = [
        "not_text" if None in pair else _length_reason(len(source), len(target), rules)
        for pair, source, target in zip(texts, sources, targets, strict=True)
    ]
    eos = tokenizer.eos_token_id
    return {
        "source_ids": [[*ids, eos] for ids in sources],
        "target_ids": [[*ids, eos] for ids in targets],
        "target_bytes": [len((text or "").strip().encode()) for text in batch["target"]],
        "reason": reasons,
        **{name: batch[name] for name in extras},
    }


def _tokenize(texts: list[str | None], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    stripped = [(text or "").strip() for text in texts]
    return tokenizer(stripped, add_special_tokens=False, verbose=False)["input_ids"]


def _length_reason(source: int, target: int, rules: dict[str, Any]) -> str:
    if min(source, target) == 0:
        return "empty"
    if max(source, target) + 1 > rules["max_length"]:
        return "too_long"
    ratio = rules["max_length_ratio"]
    if ratio is not None and max(source, target) > ratio * min(source, target):
        return "length_ratio"
    return KEPT


def _clean_stream(
    dataset: datasets.IterableDataset, options: dict[str, Any], report: CleaningReport
) -> datasets.IterableDataset:
    def encode_and_count(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        encoded = encode_pairs(batch, **options)
        reasons = encoded.pop("reason")
        report.count(reasons)
        kept = [index for index, reason in enumerate(reasons) if reason == KEPT]
        return {name: [values[index] for index in kept] for name, values in encoded.items()}

    features = _features(options["extras"])
    return dataset.map(encode_and_count, batched=True, remove_columns=dataset.column_names, features=features)


def _mark_duplicates(encoded: datasets.Dataset) -> list[str]:
    # 16 bytes a pair instead of its tokens: two million pairs fit in memory, and a collision is not to be expected.
    seen: set[bytes] = set()
    reasons: list[str] = []
    for batch in encoded.select_columns(["source_ids", "target_ids", "reason"]).iter(1000):
        for source, target, reason in zip(batch["source_ids"], batch["target_ids"], batch["reason"], strict=True):
            key = hashlib.blake2b(repr((source, target)).encode(), digest_size=16).digest()
            reasons.append("duplicate" if reason == KEPT and key in seen else reason)
            if reason == KEPT:
                seen.add(key)
    return reasons


def _features(texts: list[str]) -> datasets.Features:
    ids = {name: datasets.List(datasets.Value("int32")) for name in ("source_ids", "target_ids")}
    texts_and_reason = {name: datasets.Value("string") for name in texts}
    return datasets.Features({**ids, "target_bytes": datasets.Value("int32"), **texts_and_reason})


def _check_arguments(
    dataset: AnyDataset, tokenizer: PreTrainedTokenizerBase, max_length: int, max_length_ratio: float | None
) -> None:
    if tokenizer.eos_token_id is None:
        raise ValueError("the tokenizer has no eos token, which has to close every sentence")
    if max_length < 2:
        raise ValueError(f"max_length must be at least 2 (one token and eos), got {max_length}")
    if max_length_ratio is not None and max_length_ratio < 1:
        raise ValueError(f"max_length_ratio must be at least 1, got {max_length_ratio}")
    missing = {"source", "target"} - set(dataset.column_names or [])
    if missing:
        raise ValueError(f"the data has no column {sorted(missing)}; columns: {dataset.column_names}")
