"""Turning text pairs into token pairs, and counting what is dropped on the way."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import datasets
from transformers import PreTrainedTokenizerBase

from sensia.corpora.fields import PROMPT_COLUMNS
from sensia.corpora.reading import AnyDataset
from sensia.corpora.repair import repair

# Part of the key under which `datasets` caches the result: raise it when the rules below change.
RULES_VERSION = 4
KEPT = ""
#: A process of its own is started for so many pairs: they take some three seconds.
_ROWS_OF_A_PROCESS = 20_000
#: What to do about pairs that were dropped for a reason.
_ADVICE = {
    "empty": "look whether both columns hold text",
    "not_text": "look whether both columns hold text",
    "too_long": "raise max_length",
    "length_ratio": "raise max_length_ratio",
    "low_score": "lower min_score",
    "copied": "look whether both columns are of the right languages",
}


@dataclass
class CleaningReport:
    """
    Numbers of pairs that were read, kept, and dropped for each reason.

    Args:
        total (`int`, *optional*, defaults to 0): pairs seen.
        kept (`int`, *optional*, defaults to 0): pairs kept.
        dropped (`dict[str, int]`, *optional*): pairs dropped by reason: `empty`, `not_text`, `too_long`,
            `length_ratio`, `copied`, `low_score`, `duplicate`. Reasons that did not occur are absent.
        repaired (`dict[str, int]`, *optional*): pairs kept or not in which something was taken out: `html`,
            `control_characters`.
    """

    total: int = 0
    kept: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    repaired: dict[str, int] = field(default_factory=dict)

    def count(self, reasons: list[str], repairs: Sequence[str] = ()) -> None:
        """
        Add pairs to the report.

        Args:
            reasons (`list[str]`): for each pair why it was dropped, or the empty text if it was kept.
            repairs (`Sequence[str]`, *optional*): for each pair what was repaired, with spaces between.
        """
        for kind, number in sorted(Counter(kind for each in repairs for kind in each.split()).items()):
            self.repaired[kind] = self.repaired.get(kind, 0) + number
        for reason, number in sorted(Counter(reasons).items()):
            self.total += number
            if reason == KEPT:
                self.kept += number
            else:
                self.dropped[reason] = self.dropped.get(reason, 0) + number

    def add(self, other: "CleaningReport") -> None:
        """
        Add the counts of another report.

        Args:
            other (`CleaningReport`): what was counted elsewhere.
        """
        self.total += other.total
        self.kept += other.kept
        for mine, theirs in ((self.dropped, other.dropped), (self.repaired, other.repaired)):
            for reason, number in theirs.items():
                mine[reason] = mine.get(reason, 0) + number

    def advice(self) -> str:
        """`str`: what to do about the most frequent reason for dropping; empty if nothing was dropped."""
        reasons = sorted(self.dropped, key=self.dropped.__getitem__)
        return _ADVICE.get(reasons[-1], "") if reasons else ""

    def __str__(self) -> str:
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in sorted(self.dropped.items()))
        repairs = ", ".join(f"{kind} {number:,}" for kind, number in sorted(self.repaired.items()))
        told = f"kept {self.kept:,} of {self.total:,} pairs" + (f"; dropped: {reasons}" if reasons else "")
        return told + (f"; repaired: {repairs}" if repairs else "")


def clean_pairs(
    dataset: AnyDataset,
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_length: int,
    max_length_ratio: float | None = None,
    keep_copies: bool = True,
    min_score: float | None = None,
    num_proc: int | None = None,
) -> tuple[AnyDataset, CleaningReport]:
    """
    Tokenize both sides of every pair, close each with eos, and drop the pairs that cannot be learned from.

    Dropped are pairs with a side that is empty or not text, a side of more than `max_length` tokens (cutting it would
    leave a translation of something else), sides of too different lengths and, unless streamed, repetitions of an
    earlier pair. Entities of HTML, control characters and surrounding white space are taken out first; see [`repair`].
    No special token but eos is added, and one that a text spells is text. With prompts, a side is prompt, line end,
    response and eos; prompt and response are tokenized apart, so that where the response begins does not depend on it.
    Prompts that are empty on both sides are none.

    Args:
        dataset (`datasets.Dataset` or `datasets.IterableDataset`): pairs as `read_pairs` gives them.
        tokenizer (`PreTrainedTokenizerBase`): tokenizer of the model, with an eos token.
        max_length (`int`): longest side in tokens, eos included.
        max_length_ratio (`float`, *optional*): largest ratio of the longer side's tokens to the shorter one's, without
            eos. Not checked if not given.
        keep_copies (`bool`, *optional*, defaults to `True`): keep pairs whose sides are the same text.
        min_score (`float`, *optional*): drop pairs whose column `score` is less, or no number.
        num_proc (`int`, *optional*): processes that tokenize a data set that is not streamed; if not given, one for
            each core, and one in all where there is little text.

    Returns:
        `tuple`: the pairs as columns `source_ids` and `target_ids` (lists of int), `source_bytes` and
        `target_bytes` (UTF-8 bytes of the texts) and `row` (number of the row that the pair was read from, from 0),
        with `prompt_tokens` (so many of `target_ids` are prompt) where the data has prompts, and `origin` and `doc`
        kept where present; and the `CleaningReport`. For a streamed data set the report is empty at first and grows
        as rows pass, once more with every pass, and only in the process that reads them (data loader workers keep
        their own).

    Raises:
        `ValueError`: if the tokenizer has no eos token, a limit makes no sense, columns are missing, or no pair is
            kept (not for a streamed data set, whose rows are not known yet).
    """
    _check_arguments(dataset, tokenizer, max_length, max_length_ratio)
    if min_score is not None and "score" not in (dataset.column_names or []):
        raise ValueError(f"min_score {min_score} needs a column `score`; the data has {dataset.column_names}")
    limits = {"max_length": max_length, "max_length_ratio": max_length_ratio, "keep_copies": keep_copies}
    rules = {**limits, "min_score": min_score, "version": RULES_VERSION}
    extras = [name for name in ("origin", "doc") if name in dataset.column_names]
    options = {"tokenizer": tokenizer, "rules": rules, "extras": extras}
    prompts = set(PROMPT_COLUMNS) <= set(dataset.column_names)
    report = CleaningReport()
    if isinstance(dataset, datasets.IterableDataset):
        return _clean_stream(dataset, options, _features(extras, prompts), report), report
    encoded = dataset.map(
        encode_pairs,
        batched=True,
        with_indices=True,
        fn_kwargs=options,
        remove_columns=dataset.column_names,
        features=_features([*extras, "reason", "repairs"], prompts),
        num_proc=_processes(len(dataset), num_proc),
        desc="Tokenizing pairs",
    )
    reasons = _mark_duplicates(encoded)
    report.count(reasons, encoded["repairs"][:])
    if report.kept == 0:
        raise ValueError(f"no pair is left after cleaning with max_length={max_length}: {report}; {report.advice()}")
    kept = [index for index, reason in enumerate(reasons) if reason == KEPT]
    return encoded.remove_columns(["reason", "repairs"]).select(kept), report


def _processes(rows: int, asked: int | None) -> int | None:
    """Processes for `Dataset.map`, each with rows enough to be worth its start; None to stay in this one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = min(asked or cores, rows // _ROWS_OF_A_PROCESS)
    return processes if processes > 1 else None


def encode_pairs(
    batch: dict[str, list[Any]],
    indices: list[int],
    tokenizer: PreTrainedTokenizerBase,
    rules: dict[str, Any],
    extras: list[str],
) -> dict[str, list[Any]]:
    """
    Tokenize a batch of pairs and say for each whether it stays.

    Args:
        batch (`dict[str, list]`): columns `source` and `target`, those in `extras`, and optionally `source_prompt`,
            `target_prompt` and `row`.
        indices (`list[int]`): places of the pairs in the data set; their rows, where there is no `row`.
        tokenizer (`PreTrainedTokenizerBase`): tokenizer with an eos token.
        rules (`dict[str, Any]`): `max_length`, `max_length_ratio`, `keep_copies` and `min_score`.
        extras (`list[str]`): columns to carry along.

    Returns:
        `dict[str, list]`: `source_ids`, `target_ids`, `source_bytes`, `target_bytes`, `row`, `prompt_tokens` if there
            are prompts, `reason` (empty text for a pair that stays), `repairs` (what was repaired, with spaces
            between) and the extras.
    """
    batch, repairs = _repair(batch)
    sources, targets = _tokenize(batch["source"], tokenizer), _tokenize(batch["target"], tokenizer)
    heads = _read_prompts(batch)
    source_heads, target_heads = (_tokenize_heads(side, tokenizer) for side in zip(*heads, strict=True))
    texts = zip(*(batch[name] for name in ("source", "target", *PROMPT_COLUMNS) if name in batch), strict=True)
    reasons = [
        _reason(pair, (len(source), len(target)), head, (len(source_head), len(target_head)), rules)
        for pair, source, target, head, source_head, target_head in zip(
            texts, sources, targets, heads, source_heads, target_heads, strict=True
        )
    ]
    if rules.get("min_score") is not None:
        scores = zip(reasons, batch["score"], strict=True)
        reasons = [reason or _score_reason(score, rules["min_score"]) for reason, score in scores]
    eos = tokenizer.eos_token_id
    encoded: dict[str, list[Any]] = {
        "source_ids": [[*head, *ids, eos] for head, ids in zip(source_heads, sources, strict=True)],
        "target_ids": [[*head, *ids, eos] for head, ids in zip(target_heads, targets, strict=True)],
        "source_bytes": [_bytes(head, text) for (head, _), text in zip(heads, batch["source"], strict=True)],
        "target_bytes": [_bytes(head, text) for (_, head), text in zip(heads, batch["target"], strict=True)],
        "row": batch.get("row", indices),
        "reason": reasons,
        "repairs": repairs,
        **{name: batch[name] for name in extras},
    }
    return encoded | ({"prompt_tokens": [len(head) for head in target_heads]} if PROMPT_COLUMNS[0] in batch else {})


def _repair(batch: dict[str, list[Any]]) -> tuple[dict[str, list[Any]], list[str]]:
    """The batch with its texts repaired, and what was repaired of each pair."""
    found: list[set[str]] = [set() for _ in batch["source"]]
    repaired = dict(batch)
    for name in ("source", "target", *PROMPT_COLUMNS):
        if name in batch:
            pairs = [repair(text or "") for text in batch[name]]
            repaired[name] = [None if old is None else new for old, (new, _) in zip(batch[name], pairs, strict=True)]
            for kinds, (_, more) in zip(found, pairs, strict=True):
                kinds.update(more)
    return repaired, [" ".join(sorted(kinds)) for kinds in found]


def _bytes(head: str, text: str | None) -> int:
    return len((head + (text or "").strip()).encode())


def _read_prompts(batch: dict[str, list[Any]]) -> list[tuple[str, str]]:
    """Both prompts of each pair, each with the line end that parts it from the response; empty where there is none."""
    if PROMPT_COLUMNS[0] not in batch:
        return [("", "")] * len(batch["source"])
    sides = ([(text or "").strip() for text in batch[name]] for name in PROMPT_COLUMNS)
    pairs = list(zip(*sides, strict=True))
    return [(f"{source}\n" if source else "", f"{target}\n" if target else "") for source, target in pairs]


def _tokenize_heads(heads: tuple[str, ...], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    if not any(heads):
        return [[]] * len(heads)
    return tokenizer(list(heads), add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]


def _reason(texts, lengths: tuple[int, int], heads: tuple[str, str], head_lengths, rules: dict[str, Any]) -> str:
    if None in texts:
        return "not_text"
    # A prompt on one side only is a side that is missing.
    if min(lengths) == 0 or bool(heads[0]) != bool(heads[1]):
        return "empty"
    if not rules["keep_copies"] and texts[0].strip() == texts[1].strip():
        return "copied"
    return _length_reason(lengths[0] + head_lengths[0], lengths[1] + head_lengths[1], rules)


def _score_reason(score: str | None, least: float) -> str:
    try:
        return KEPT if float(score or "nan") >= least else "low_score"
    except ValueError:
        return "low_score"


def _tokenize(texts: list[str | None], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    stripped = [(text or "").strip() for text in texts]
    return tokenizer(stripped, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]


def _length_reason(source: int, target: int, rules: dict[str, Any]) -> str:
    if max(source, target) + 1 > rules["max_length"]:
        return "too_long"
    ratio = rules["max_length_ratio"]
    if ratio is not None and max(source, target) > ratio * min(source, target):
        return "length_ratio"
    return KEPT


def _clean_stream(
    dataset: datasets.IterableDataset, options: dict[str, Any], features: datasets.Features, report: CleaningReport
) -> datasets.IterableDataset:
    def encode_and_count(batch: dict[str, list[Any]], indices: list[int]) -> dict[str, list[Any]]:
        encoded = encode_pairs(batch, indices, **options)
        reasons = encoded.pop("reason")
        report.count(reasons, encoded.pop("repairs"))
        kept = [index for index, reason in enumerate(reasons) if reason == KEPT]
        return {name: [values[index] for index in kept] for name, values in encoded.items()}

    return dataset.map(
        encode_and_count, batched=True, with_indices=True, remove_columns=dataset.column_names, features=features
    )


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


def _features(texts: list[str], prompts: bool) -> datasets.Features:
    ids = {name: datasets.List(datasets.Value("int32")) for name in ("source_ids", "target_ids")}
    texts_and_reason = {name: datasets.Value("string") for name in texts}
    counts = {name: datasets.Value("int32") for name in ("source_bytes", "target_bytes")}
    counts |= {"row": datasets.Value("int64")}
    counts |= {"prompt_tokens": datasets.Value("int32")} if prompts else {}
    return datasets.Features({**ids, **counts, **texts_and_reason})


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
