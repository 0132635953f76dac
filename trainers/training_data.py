"""Pairs and texts ready to train on."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

from datasets import Dataset, IterableDataset, concatenate_datasets
from transformers import PreTrainedTokenizerBase

from sensia.corpora import (
    CleaningReport,
    DataPart,
    clean_pairs,
    encode_instructions,
    encode_texts,
    find_language,
    held_out_part,
    join_documents,
    read_instructions,
    read_texts,
    row_keys,
    shared_rows,
)
from sensia.corpora.fingerprint import state_of_files
from sensia.corpora.held_out import is_held_out
from sensia.corpora.hub_pairs import pair_part
from sensia.corpora.locations import is_local
from sensia.corpora.pivot import join_by_source
from sensia.corpora.tokenizer_use import tokenizer_use
from sensia.trainers.data_mixing import mix
from sensia.trainers.data_order import with_prompt_tokens
from sensia.trainers.data_sources import DataSource, InstructionSource, TextSource
from sensia.trainers.pair_sets import PairSet, TrainingData, first_rows
from sensia.trainers.prepared_pairs import PreparedPairs, cached_pairs
from sensia.trainers.run_arguments import AdaptArguments

#: Settings that the prepared training bitext depends on.
_PREPARING = (
    "source_language",
    "target_language",
    "source_column",
    "target_column",
    "tsv_quoting",
    "on_bad_rows",
    "keep_copies",
    "min_score",
    "max_length_ratio",
    "max_train_pairs",
    "join_documents",
)

#: Bitext of fewer bytes is prepared in a second or two.
_WORTH_KEEPING = 1_000_000


def load_train_pairs(
    args: AdaptArguments, tokenizer: PreTrainedTokenizerBase, max_length: int, seed: int
) -> TrainingData:
    """
    Reads, joins, cleans and mixes the training bitext, shuffles it where streamed, and reads the texts beside it.

    Args:
        args ([`AdaptArguments`]): names the data.
        tokenizer (`PreTrainedTokenizerBase`): the base model's.
        max_length (`int`): longest side in tokens.
        seed (`int`): of drawing, mixing, and a stream's shuffling.

    Raises:
        ValueError: if a data set cannot be read, or has nothing to learn from.
    """
    parts = [_load_part(source, args, tokenizer, max_length, seed) for source in args.train_sources]
    pairs = parts[0].pairs if len(parts) == 1 else mix(parts, args, seed)
    if isinstance(pairs, IterableDataset):
        pairs = pairs.shuffle(seed=seed, buffer_size=args.shuffle_buffer)
    texts = [_load_texts(source, args, tokenizer, max_length) for source in args.text_sources]
    texts += [_load_instructions(source, args, tokenizer, max_length) for source in args.instruction_sources]
    return TrainingData(pairs, [*parts, *texts], _join_texts([each.pairs for each in texts]) if texts else None)


def _load_part(
    source: DataSource, args: AdaptArguments, tokenizer: PreTrainedTokenizerBase, max_length: int, seed: int
) -> PairSet:
    part = training_part(source, args)
    path, alone = args.locate(source.path), len(args.train_sources) == 1
    prepare = partial(_prepare, source, part, args, tokenizer, max_length, seed)
    if not args.streaming:
        prepare = partial(_cached, prepare, source, part, args, tokenizer, max_length, seed)
    pairs, report, keys = prepare()
    name = source.name or ("train" if alone else source.shown)
    return PairSet(
        name,
        path,
        pairs,
        report,
        "bitext",
        part=None if is_local(path) else part,
        keys=keys,
        licence=source.license,
        languages=args.languages_of(source),
    )


def _cached(prepare, source: DataSource, part: DataPart, args: AdaptArguments, tokenizer, max_length: int, seed: int):
    """The same bitext as it was prepared before; that of the Hub is cached by `datasets` itself."""
    path = args.locate(source.path)
    state = state_of_files(path) if is_local(path) else None
    if state is None or sum(size for _, size, _ in state) < _WORTH_KEEPING:
        return prepare()
    settings = {name: getattr(args, name) for name in _PREPARING}
    drawn = None if args.max_train_pairs is None else seed
    made_from = (state, source, part.options(), sorted(settings.items()), max_length, drawn, bool(args.eval_data))
    return cached_pairs(tokenizer, made_from, prepare)


def _prepare(
    source: DataSource,
    part: DataPart,
    args: AdaptArguments,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    seed: int,
) -> PreparedPairs:
    rows = args.read(source, streaming=args.streaming, on_bad_rows=args.on_bad_rows, **part.options())
    try:
        dataset = join_documents(rows, tokenizer, max_length=max_length) if args.join_documents else rows
        pairs, report = clean_pairs(
            dataset,
            tokenizer,
            max_length=max_length,
            max_length_ratio=args.max_length_ratio,
            keep_copies=args.keep_copies,
            min_score=args.min_score,
            num_proc=args.dataset_num_proc,
        )
    except ValueError as error:
        raise ValueError(f"{source.path}: {error}") from error
    if isinstance(pairs, IterableDataset):
        pairs = _in_one_shard(pairs)
    elif args.max_train_pairs is not None and args.max_train_pairs < len(pairs):
        dropped = {**report.dropped, "not_drawn": len(pairs) - args.max_train_pairs}
        report = replace(report, kept=args.max_train_pairs, dropped=dropped)
        pairs = pairs.shuffle(seed=seed).select(range(args.max_train_pairs))
    return PreparedPairs(pairs, report, _training_keys(rows, pairs, args))


def training_part(source: DataSource, args: AdaptArguments) -> DataPart:
    """
    The part to train on. A held-out split is taken only if it is named, even if there is no other.

    Args:
        source ([`DataSource`]): an entry of `train_data`.
        args ([`AdaptArguments`]): names the data.

    Raises:
        `ValueError`: if the only split of a Hub data set is held out by its name.
    """
    path = args.locate(source.path)
    named: dict[str, Any] = {
        "config_name": source.config or args.data_config,
        "split": source.split or args.data_split,
    }
    if is_local(path):
        return DataPart(path, **named)
    part = pair_part(path, args.languages_of(source), **named)
    if not named["split"] and is_held_out(str(part.split)):
        raise ValueError(
            f"`train_data` {path}: its only split, {part.split}, is held out by its name. To train on it all the "
            f"same, name it, as in `split: {part.split}`"
        )
    return part


def _training_keys(rows: Dataset | IterableDataset, pairs: Dataset | IterableDataset, args: AdaptArguments):
    """Keys of the rows that are trained on, where there is evaluation data to compare them with."""
    if not args.eval_data:
        return None
    if isinstance(rows, IterableDataset):
        return row_keys(rows.take(args.shuffle_buffer))
    # A joined pair is several rows.
    return row_keys(rows if args.join_documents else _rows_kept(rows, pairs))


def _rows_kept(rows: Dataset, pairs: Dataset) -> Dataset:
    return rows if len(pairs) == len(rows) else rows.select(pairs["row"])


def _in_one_shard(stream: IterableDataset) -> IterableDataset:
    # Shuffling would change the order of a stream's files as well, and its rows would be counted in that order.
    return IterableDataset.from_generator(_rows_of, stream.features, {"stream": stream})


def _rows_of(stream: IterableDataset) -> Iterator[dict[str, Any]]:
    yield from stream


def _join_texts(texts: list[Dataset]) -> Dataset:
    """Texts, and instruction pairs, which have a prompt."""
    if not any("prompt_tokens" in each.column_names for each in texts):
        return concatenate_datasets(texts)
    return concatenate_datasets([with_prompt_tokens(each) for each in texts])


def _load_texts(
    source: TextSource, args: AdaptArguments, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> PairSet:
    path = args.locate(source.path)
    of_source = source.language is not None and find_language(source.language) == args.source
    try:
        rows = read_texts(path, column=source.column, split=source.split, config_name=source.config)
        texts, report = encode_texts(rows, tokenizer, max_length=max_length, of_source=of_source)
    except ValueError as error:
        raise ValueError(f"{source.path}: {error}") from error
    part = None if is_local(path) else DataPart(path, source.config, source.split or "train")
    return PairSet(Path(source.path).name, path, texts, report, "text", part=part, licence=source.license)


def _load_instructions(
    source: InstructionSource, args: AdaptArguments, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> PairSet:
    path = args.locate(source.path)
    try:
        conversations = read_instructions(path, split=source.split, config_name=source.config)
        rows, report = encode_instructions(conversations, tokenizer, max_length=max_length)
    except ValueError as error:
        raise ValueError(f"{source.path}: {error}") from error
    part = None if is_local(path) else DataPart(path, source.config, source.split or "train")
    return PairSet(Path(source.path).name, path, rows, report, "instructions", part=part, licence=source.license)


def load_eval_pairs(args: AdaptArguments, tokenizer: PreTrainedTokenizerBase, max_length: int) -> list[PairSet]:
    """
    Reads and cleans the held-out bitext, in the order given. Of a Hub data set a held-out split is read, found by its
    name or asked for; see [`sensia.corpora.held_out_part`].

    Args:
        args ([`AdaptArguments`]): names the data.
        tokenizer (`PreTrainedTokenizerBase`): the base model's.
        max_length (`int`): longest side in tokens.

    Raises:
        ValueError: if no split of a Hub data set is held out by its name, or the one asked for is not there.
        OSError: if data is missing or cannot be reached.
    """
    return [_load_held_out(source, args, tokenizer, max_length) for source in args.eval_sources]


def pair_targets(evals: list[PairSet]) -> list[PairSet]:
    """
    Evaluation data between two target languages that no training pair is of.

    Args:
        evals (`list` of [`PairSet`]): of [`load_eval_pairs`].

    Returns:
        `list` of [`PairSet`]: for each two sets of different target languages that have at least half of their source
        sentences in common, the pairs of their target sides.
    """
    joined = []
    for first, second in combinations(evals, 2):
        if first.languages is None or second.languages is None or first.languages[1] == second.languages[1]:
            continue
        pairs = join_by_source(first.pairs, second.pairs)
        if len(pairs) * 2 < min(len(first.pairs), len(second.pairs)):
            continue
        languages = (first.languages[1], second.languages[1])
        name = f"{first.name} with {second.name}"
        report = CleaningReport(total=len(pairs), kept=len(pairs))
        changed = {"name": name, "pairs": pairs, "report": report, "languages": languages, "joined_with": second}
        joined.append(replace(first, **changed, fertility={}))
    return joined


def _load_held_out(
    source: DataSource, args: AdaptArguments, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> PairSet:
    # The configuration of the training data is that of evaluation data beside it, unless another is named.
    trained = {each.path: each.config or args.data_config for each in args.train_sources}
    configuration = source.config or trained.get(source.path.partition(":")[0])
    part = held_out_part(
        args.locate(source.path),
        config_name=configuration,
        split=source.split,
        preferred=source.name,
        languages=args.languages_of(source),
    )
    dataset = args.read_held_out(replace(source, path=part.source), **part.options())
    pairs, report = clean_pairs(dataset, tokenizer, max_length=max_length)
    return PairSet(
        str(source.name),
        part.source,
        pairs,
        report,
        "evaluation",
        licence=source.license,
        languages=args.languages_of(source),
        fertility=_fertility(dataset, tokenizer),
        part=None if is_local(part.source) else part,
        keys=row_keys(_rows_kept(dataset, pairs)),
    )


def find_trained_on(evals: list[PairSet], train: TrainingData, allowed: int):
    """
    Finds evaluation rows that are also training rows, and keeps them in `trained_on`.

    Args:
        evals (`list` of [`PairSet`]): of [`load_eval_pairs`].
        train ([`TrainingData`]): of [`load_train_pairs`].
        allowed (`int`): how many of them a set may have.

    Raises:
        ValueError: if a set has more.
    """
    trained = [part.keys for part in train.parts if part.keys is not None]
    for each in evals:
        found = shared_rows(each.keys, trained) if each.keys is not None else []
        each.trained_on = [int(each.pairs[place]["row"]) for place in found]
        if len(found) > allowed:
            raise ValueError(
                f"`eval_data` {each.name}: {len(found):,} of {each.report.kept:,} pairs {first_rows(each.trained_on)} "
                "are also in the training data, so that its figures would tell little of other text. Measure on a "
                f"file or split that is held out, as in {each.name}=org/data:test, or set `eval_overlap` to "
                f"{len(found)}: the card then says so."
            )


def _fertility(dataset: Dataset, tokenizer: PreTrainedTokenizerBase) -> dict[str, float]:
    """Tokens per word of each side that has spaces between its words."""
    uses = {side: tokenizer_use(tokenizer, dataset[side]) for side in ("source", "target")}
    return {side: use["tokens_per_word"] for side, use in uses.items() if "tokens_per_word" in use}
