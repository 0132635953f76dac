"""Several data sets mixed into one to train on."""

from typing import Any

from datasets import Dataset, Features, IterableDataset, Value, concatenate_datasets, interleave_datasets

from sensia.trainers.pair_sets import PairSet
from sensia.trainers.run_arguments import AdaptArguments


def mix(parts: list[PairSet], args: AdaptArguments, seed: int) -> Dataset | IterableDataset:
    """
    Mixes several data sets into one, by the shares that were asked for.

    Args:
        parts (`list` of [`PairSet`]): bitext, at least two.
        args ([`AdaptArguments`]): says the shares, or how to find them; without any, all of each is read once.
        seed (`int`): of the order in which the data sets take turns.

    Returns:
        `datasets.Dataset` or `IterableDataset`: pairs of token ids; `dataset` is the number of the one they are of.
    """
    prompts = any("prompt_tokens" in (part.pairs.column_names or []) for part in parts)
    labelled: list[Any] = [_label(part.pairs, number, prompts) for number, part in enumerate(parts)]
    shares = _shares(parts, args)
    if shares is None:
        return concatenate_datasets(labelled)
    probabilities = [share / sum(shares) for share in shares]
    return interleave_datasets(labelled, probabilities, seed=seed, stopping_strategy="all_exhausted")


def _shares(parts: list[PairSet], args: AdaptArguments) -> list[float] | None:
    """Returns the share of each data set, or `None` to read all of each once."""
    if args.shares:
        return args.shares
    if args.streaming:
        return [1.0] * len(parts)
    if args.data_temperature is None:
        return None
    return [len(part.pairs) ** (1 / args.data_temperature) for part in parts]


def _label(pairs: Dataset | IterableDataset, number: int, prompts: bool) -> Dataset | IterableDataset:
    """Columns that all data sets can have, with the number of this one."""
    kept = {name: pairs.features[name] for name in ("source_ids", "target_ids", "row")}
    features = Features({**kept, "dataset": Value("int32"), **({"prompt_tokens": Value("int32")} if prompts else {})})
    options = {"columns": list(features), "number": number}
    removed = [name for name in pairs.column_names if name not in features]
    return pairs.map(_numbered, batched=True, fn_kwargs=options, remove_columns=removed, features=features)


def _numbered(batch: dict[str, list], columns: list[str], number: int) -> dict[str, list]:
    rows = len(batch["row"])
    columns_there = {"prompt_tokens": [0] * rows, **batch, "dataset": [number] * rows}
    return {name: columns_there[name] for name in columns}
