"""The arguments of an adaptation."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from datasets import Dataset, IterableDataset
from peft import PeftModel
from transformers import PreTrainedModel

from sensia.corpora import Language, find_language, read_pairs
from sensia.corpora.data_folder import locate
from sensia.corpora.file_rows import ON_BAD_ROWS
from sensia.corpora.locations import without_second_sides
from sensia.model_cards.results import is_absolute
from sensia.trainers.data_sources import (
    TSV_QUOTING,
    DataSource,
    InstructionSource,
    TextSource,
    for_each_target,
    read_eval_source,
    read_instruction_source,
    read_text_source,
    read_train_source,
)
from sensia.trainers.lora import AdapterArguments, with_adapter
from sensia.trainers.mixture_settings import MixtureSettings
from sensia.trainers.prompts import prompts_of
from sensia.trainers.result_settings import ResultSettings
from sensia.trainers.setting_ranges import (
    check_counts,
    check_languages,
    check_line_names,
    check_names,
    check_shares,
)
from sensia.trainers.target_tokenizer import TARGET_TOKENIZERS, TokenizerSettings


@dataclass
class AdaptArguments(ResultSettings, MixtureSettings, AdapterArguments, TokenizerSettings):
    """Arguments of an adaptation: the model, the language and the text; see each field's help."""

    model: str = field(metadata={"help": "English Backpack to start from: Hub id or folder."})
    train_data: list[Any] = field(
        metadata={
            "help": "Bitext, one or several: Hub data set ids, files or folders (docs/bitext.md has the formats), or "
            "mappings with path, config, split, columns, languages, weight and license. Several are concatenated, "
            "and several streams are read in equal shares. Weights or a temperature give other shares."
        }
    )
    target_language: list[str] = field(
        metadata={
            "help": "Language to adapt to, or several: ISO 639-1, ISO 639-3, BCP 47 or FLORES codes. {target} in an "
            "entry of train_data or eval_data stands for the code. With several languages, the entry is read once "
            "for each code, and data_temperature can balance them. In output_dir, model_name, hub_model_id and "
            "run_name, {target} stands for all codes, as in id-sw."
        }
    )
    tokenizer: str | None = field(
        default=None,
        metadata={"help": "Tokenizer of the model, if it is not in the folder of the model: Hub id or folder."},
    )
    source_language: str = field(default="en", metadata={"help": "Language of the base model."})
    eval_data: list[Any] = field(
        default_factory=list,
        metadata={
            "help": "Held-out bitext to measure on, before and after training. Either NAME=SOURCE, where SOURCE is a "
            "file, or a Hub data set as org/name, org/name:split or org/name:configuration:split. Or a mapping with "
            "name and path, and config, split, columns, languages or license where needed. Without a split, one is "
            "taken whose name says that it is held out (test, validation, dev and the like). train is read only if "
            "it is named."
        },
    )
    eval_overlap: int = field(
        default=5,
        metadata={
            "help": "Rows of an evaluation set that may also be training rows. With more, the run stops before "
            "training, because figures on rows that were trained on are too good. Raise it to measure anyway, for "
            "example on short texts that recur by chance. The log and the card give the number."
        },
    )
    eval_pairs: int = field(default=300, metadata={"help": "Pairs of each set that evaluation while training uses."})
    data: str = field(default=".", metadata={"help": "Folder that the files are relative to."})
    source_column: str | None = field(
        default=None,
        metadata={
            "help": "Column of the source side, or its number in a table without names. If not given, found by its "
            "language."
        },
    )
    target_column: str | None = field(default=None, metadata={"help": "The same for the target side."})
    tsv_quoting: str = field(default="auto", metadata=TSV_QUOTING)
    on_bad_rows: str | None = field(
        default=None,
        metadata={
            "help": "What to do about rows of the training bitext that cannot be used: stop ends the run at the first "
            "one, with file, line and field; drop leaves them out and counts them. If not given, rows that cannot be "
            "read end the run, and rows with a side that is empty or not text are dropped. See docs/bitext.md.",
            "choices": ON_BAD_ROWS,
        },
    )
    keep_copies: bool = field(
        default=False, metadata={"help": "Also train on pairs whose two sides are the same text."}
    )
    min_score: float | None = field(
        default=None,
        metadata={"help": "Drop training pairs whose column `score` (as of NLLB and CCMatrix) is less than this."},
    )
    max_length_ratio: float | None = field(
        default=None,
        metadata={
            "help": "Drop training pairs of which one side has more than so many times the tokens of the other, "
            "because they are often no translations. At least 1. 3 is usual for languages that the tokenizer writes "
            "equally well."
        },
    )
    data_config: str | None = field(
        default=None, metadata={"help": "Configuration of the Hub data set. If not given, found by the languages."}
    )
    data_split: str | None = field(default=None, metadata={"help": "Split of the Hub data set; train[:1000] works."})
    data_license: str | None = field(
        default=None,
        metadata={"help": "Licence of the training bitext, if no sources.json beside it states one."},
    )
    attn_implementation: str | None = field(
        default=None,
        metadata={"help": "Attention of the trunk: sdpa or eager. eager is faster on short sentences without a GPU."},
    )
    max_train_pairs: int | None = field(
        default=None,
        metadata={"help": "Most training pairs of each data set, drawn at random by the seed. Not for streams."},
    )
    dataset_num_proc: int | None = field(
        default=None,
        metadata={
            "help": "Number of processes that tokenize the training bitext. If not given: one for each core, or one "
            "in all where there is little text. The prepared bitext is kept in the cache of datasets for the next "
            "start."
        },
    )
    from_scratch: bool = field(
        default=False,
        metadata={
            "help": "Keep only the architecture of the base model, not its weights: the baseline without English."
        },
    )
    join_documents: bool = field(
        default=False,
        metadata={"help": "Join consecutive pairs of one document (column doc), as many as max_length allows."},
    )
    text_data: list[Any] = field(
        default_factory=list,
        metadata={
            "help": "Plain text to train on beside the pairs; text_rate says how much. A name is text of the target "
            "language. A mapping has path, and language, column, config, split or license where needed. Text of the "
            "source language, such as the base model was pretrained on, keeps what the model knows of it."
        },
    )
    instruction_data: list[Any] = field(
        default_factory=list,
        metadata={
            "help": "Instruction pairs for the language model loss on the answers; they count as texts in text_rate. "
            "Names, or mappings with path, config, split or license; columns are messages, or instruction, input and "
            "output, or prompt and completion. The model gets a chat template. See docs/instructions.md."
        },
    )
    dropout: float | None = field(
        default=None, metadata={"help": "Dropout of trunk and senses while training, if not the base model's own."}
    )
    streaming: bool = field(default=False, metadata={"help": "Read the training bitext while it is used."})
    shuffle_buffer: int = field(default=10_000, metadata={"help": "Pairs of a stream that are shuffled together."})
    max_length: int = field(
        default=256, metadata={"help": "Longest side of a training pair in tokens; longer pairs are dropped."}
    )
    prompts: list[Any] = field(
        default_factory=list,
        metadata={
            "help": "Beginnings of texts, which the model continues at the end of the run: texts, or a mapping from "
            "the code of a language to its texts. Of a mapping, those of the target languages are taken."
        },
    )

    def __post_init__(self):
        # A YAML file may name a single one without a list.
        for name in (
            "train_data",
            "target_language",
            "text_data",
            "instruction_data",
            "eval_data",
            "prompts",
            "data_weights",
            "lora_target_modules",
        ):
            given = getattr(self, name)
            setattr(self, name, [given] if isinstance(given, str | int | float | dict) else given)
        check_languages(self, "source_language", "target_language")
        self.source = find_language(self.source_language)
        self.targets = [find_language(code) for code in self.target_language]
        self._check_targets()
        self._check_shares()
        self._check_texts()
        names = [str(each.name) for each in self.eval_sources]
        if len(set(names)) < len(names):
            raise ValueError(f"The names of `eval_data` must differ, got {', '.join(names)}.")
        self.prompts = prompts_of(self.prompts, self.targets)
        check_names(self, "prompts")
        check_counts(self, "eval_pairs", "shuffle_buffer", "dataset_num_proc")
        check_counts(self, "max_length", least=2)
        if self.max_length_ratio is not None and self.max_length_ratio < 1:
            raise ValueError(f"`max_length_ratio` must be at least 1, got {self.max_length_ratio}.")
        check_shares(self, "dropout")
        if self.eval_overlap < 0:
            raise ValueError(f"`eval_overlap` must be 0 or more rows, got {self.eval_overlap}.")
        self.check_adapter()
        if self.target_tokenizer not in TARGET_TOKENIZERS:
            raise ValueError(
                f"`target_tokenizer` must be one of {', '.join(TARGET_TOKENIZERS)}, got {self.target_tokenizer!r}."
            )
        self.check_tokenizer_settings()
        self.check_licence()
        self.model = os.path.expanduser(self.model)
        if self.model_name is None:
            codes = "-".join(each.iso1 or each.iso3 for each in self.targets)
            self.model_name = f"{Path(self.model).resolve().name}-{codes}"
        check_line_names(self, "model_name", "model_license_name")
        if is_absolute(self.model_name):
            raise ValueError(f"`model_name` must be a name, got the path {self.model_name}.")

    def _check_targets(self):
        if not self.targets:
            raise ValueError("`target_language` names no language.")
        for number, target in enumerate(self.targets):
            if target == self.source or target in self.targets[:number]:
                raise ValueError(
                    f"`target_language` must be other languages than {self.source_language}, each once; got "
                    f"{', '.join(self.target_language)}."
                )

    def _check_texts(self):
        _ = self.instruction_sources  # a key that is wrong is told now
        for each in self.text_sources:
            if each.language is None and len(self.targets) > 1:
                raise ValueError(f"`text_data`, entry {each.path!r}: give its `language`, for there are several.")
            if each.language is not None and find_language(each.language) not in (self.source, *self.targets):
                raise ValueError(
                    f"`text_data`, entry {each.path!r}: `language` must be {self.source_language} or "
                    f"{' or '.join(self.target_language)}, got {each.language}."
                )

    def _check_shares(self):
        if self.max_train_pairs is not None and (self.streaming or self.max_train_pairs < 2):
            raise ValueError(
                "`max_train_pairs` must be at least 2, and a stream's pairs cannot be drawn from, got "
                f"{self.max_train_pairs} with `streaming` {self.streaming}."
            )
        if not self.train_data:
            raise ValueError("`train_data` names no data set.")
        self.check_mixture([each.weight for each in self.train_sources], self.streaming)

    def with_adapter(self, model: PreTrainedModel) -> PreTrainedModel | PeftModel:
        """The base model, as it is or, with `use_peft`, under an adapter; see [`with_adapter`]."""
        return with_adapter(model, self, self.model)

    def locate(self, name: str) -> str:
        """
        A data file's path, or the name itself where it is a Hub id.

        Args:
            name (`str`): as given in `train_data` or `eval_data`.
        """
        return locate(self.data, name)

    @property
    def train_sources(self) -> list[DataSource]:
        """
        `list` of [`DataSource`]: entries of `train_data`, one for each target language where an entry has `{target}`.
        Two that are the sides of one bitext are one.
        """
        sources = self._of_languages("train_data", map(read_train_source, self.train_data))
        return without_second_sides(sources, lambda each: self.locate(each.path), self.languages_of)

    @property
    def eval_sources(self) -> list[DataSource]:
        """`list` of [`DataSource`]: entries of `eval_data`, one for each target language where it has `{target}`."""
        return self._of_languages("eval_data", map(read_eval_source, self.eval_data))

    def _of_languages(self, setting: str, sources: Iterable[DataSource]) -> list[DataSource]:
        try:
            return [
                each
                for source in sources
                for each in for_each_target(source, self.source_language, self.target_language)
            ]
        except ValueError as error:
            raise ValueError(str(error) if str(error).startswith("`") else f"`{setting}`, entry {error}") from None

    def languages_of(self, source: DataSource) -> tuple[Language, Language]:
        """`tuple` of two [`Language`]: of the source and of the target side of a data set."""
        first, second = source.languages or (self.source_language, self.target_language[0])
        return find_language(first), find_language(second)

    @property
    def text_sources(self) -> list[TextSource]:
        """`list` of [`TextSource`]: entries of `text_data`."""
        return [read_text_source(entry) for entry in self.text_data]

    @property
    def instruction_sources(self) -> list[InstructionSource]:
        """`list` of [`InstructionSource`]: entries of `instruction_data`."""
        return [read_instruction_source(entry) for entry in self.instruction_data]

    @property
    def shares(self) -> list[float]:
        """`list` of `float`: weights of the training data, in its order; empty where none are given."""
        return self.data_weights or [each.weight for each in self.train_sources if each.weight is not None]

    def read(self, source: DataSource, **options) -> Dataset | IterableDataset:
        """Reads bitext by [`sensia.corpora.read_pairs`], with languages and columns of the source or of this run."""
        columns = source.columns or (self.source_column, self.target_column)
        languages = source.languages or (self.source_language, self.target_language[0])
        read = partial(
            read_pairs,
            self.locate(source.path),
            source_language=languages[0],
            target_language=languages[1],
            tsv_quoting=self.tsv_quoting,
            **options,
        )
        return read(source_column=columns[0], target_column=columns[1])

    def read_held_out(self, source: DataSource, **options) -> Dataset | IterableDataset:
        """The same of evaluation data: `source_column` and `target_column` hold for it only where it has them."""
        try:
            return self.read(source, **options)
        except ValueError:
            if source.columns or not (self.source_column or self.target_column):
                raise
        return replace(self, source_column=None, target_column=None).read(source, **options)
