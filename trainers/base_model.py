"""The model that an adaptation begins with: the base model, with the tokenizer that the settings ask for."""

import os
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from accelerate.state import PartialState

from modeling_sensia import BackpackForCausalLM
from modeling_sensia.loading import load_base
from sensia.corpora import Language, find_language, read_texts
from sensia.trainers.checkpoints import newest_checkpoint
from sensia.trainers.data_sources import DataSource, TextSource
from sensia.trainers.run_arguments import AdaptArguments
from sensia.trainers.sensia_config import SensiaConfig
from sensia.trainers.target_tokenizer import Retokenized, TargetText, load_retokenized, retokenize
from sensia.trainers.training_data import training_part

#: Folder in `output_dir` of a base model with another tokenizer.
BASE_FOLDER = "base"
#: Pairs of each data set that a tokenizer is learned from.
_MOST_PAIRS = 200_000


def load_start(args: AdaptArguments, config: SensiaConfig, model_class: type = BackpackForCausalLM) -> Retokenized:
    """
    Loads the base model. With `target_tokenizer`, the first process gives it the new tokenizer and keeps it in
    `output_dir`; all load it from there, and so does a run that goes on.

    Args:
        args ([`AdaptArguments`]), config ([`SensiaConfig`]): the settings.
        model_class (`type`, *optional*, defaults to [`BackpackForCausalLM`]): class that loads the model.

    Raises:
        ValueError: if the model, its tokenizer or the data do not fit what is asked for, or what a checkpoint has.
    """
    options: dict[str, Any] = {
        "attn_implementation": args.attn_implementation,
        "dropout": args.dropout,
        "from_scratch": args.from_scratch,
    }
    if args.target_tokenizer == "none":
        loaded = load_base(args.model, tokenizer_name=args.tokenizer, model_class=model_class, **options)
        return Retokenized(*loaded, new_ids=[])
    if model_class is not BackpackForCausalLM:
        raise ValueError(f"`target_tokenizer` is for Backpacks: leave it out, got {args.target_tokenizer}.")
    with PartialState().main_process_first():
        return load_retokenized(
            Path(str(config.output_dir), BASE_FOLDER),
            args,
            _made_from(args, config.seed),
            lambda: _retokenized(args, config.seed),
            options,
            newest_checkpoint(str(config.output_dir)),
        )


def read_target_texts(args: AdaptArguments) -> list[TargetText]:
    """
    Text of each target language: its training bitext, at most 200,000 pairs of each data set, and its `text_data`.

    Args:
        args ([`AdaptArguments`]): names the data.
    """
    return [TargetText(each.name, *_read_sides(args, each), _texts(args, each)) for each in args.targets]


def read_sides(args: AdaptArguments) -> tuple[list[str], list[str]]:
    """
    Sources and targets of the training bitext of all target languages, at most 200,000 pairs of each data set.

    Args:
        args ([`AdaptArguments`]): names the data.
    """
    sources, targets = zip(*(_read_sides(args, each) for each in args.targets), strict=True)
    return [*chain.from_iterable(sources)], [*chain.from_iterable(targets)]


def _read_sides(args: AdaptArguments, language: Language) -> tuple[list[str], list[str]]:
    sources, targets = list[str](), list[str]()
    for source in args.train_sources:
        if args.languages_of(source)[1] != language:
            continue
        part = training_part(source, args)
        rows = args.read(source, streaming=args.streaming, on_bad_rows=args.on_bad_rows, **part.options())
        for row in islice(rows, _MOST_PAIRS):
            if isinstance(row["source"], str) and isinstance(row["target"], str):
                sources.append(row["source"])
                targets.append(row["target"])
    return sources, targets


def _retokenized(args: AdaptArguments, seed: int) -> Retokenized:
    model, tokenizer = load_base(args.model, tokenizer_name=args.tokenizer)
    return retokenize(model, tokenizer, args, read_target_texts(args), _texts(args, args.source), seed)


def _texts(args: AdaptArguments, language: Language) -> Iterator[str]:
    """Texts of `text_data` of a language; those that name none are of the target language."""
    for source in args.text_sources:
        if find_language(source.language or args.target_language[0]) == language:
            path = args.locate(source.path)
            yield from read_texts(path, column=source.column, split=source.split, config_name=source.config)["text"]


def _made_from(args: AdaptArguments, seed: int) -> dict[str, Any]:
    """All that a retokenized model depends on beside its settings; changed files show by their size."""
    sources: list[DataSource | TextSource] = [*args.train_sources, *args.text_sources]
    paths = [args.locate(each.path) for each in sources]
    sizes = [os.path.getsize(path) if os.path.isfile(path) else None for path in paths]
    parts = [[each.config, each.split] for each in sources] + [[args.data_config, args.data_split]]
    data = {"data": paths, "sizes": sizes, "parts": parts}
    return {"model": args.model, "tokenizer": args.tokenizer, **data, "seed": seed}
