"""What an adaptation starts from: its arguments, the base model, and pairs ready to train on."""

from dataclasses import dataclass, field
from pathlib import Path

from datasets import Dataset, IterableDataset
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from corpora import CleaningReport, clean_pairs, find_language, read_pairs
from modeling_sensia import BackpackForCausalLM


@dataclass
class AdaptArguments:
    """What to adapt, to what, and on which text; see each field's help."""

    model: str = field(metadata={"help": "English Backpack to start from: Hub id or folder."})
    train_data: str = field(
        metadata={"help": "Bitext: Hub data set id, or .jsonl, .jsonl.gz, .parquet, .csv or .tsv file."}
    )
    target_language: str = field(metadata={"help": "Language to adapt to: ISO 639-1, ISO 639-3 or FLORES code."})
    tokenizer: str | None = field(
        default=None, metadata={"help": "Tokenizer of the model, where it does not lie beside it: Hub id or folder."}
    )
    source_language: str = field(default="en", metadata={"help": "Language of the base model."})
    eval_data: list[str] = field(
        default_factory=list, metadata={"help": "NAME=FILE of held-out bitext to measure on, before and after."}
    )
    eval_pairs: int = field(default=300, metadata={"help": "Pairs of each set that evaluation while training uses."})
    data: str = field(default=".", metadata={"help": "Folder that the files are relative to."})
    source_column: str | None = field(default=None, metadata={"help": "Column of the source side, if not its code."})
    target_column: str | None = field(default=None, metadata={"help": "Column of the target side, if not its code."})
    data_config: str | None = field(default=None, metadata={"help": "Configuration of the Hub data set."})
    data_split: str | None = field(default=None, metadata={"help": "Split of the Hub data set; train[:1000] works."})
    data_license: str | None = field(
        default=None, metadata={"help": "Licence of the training bitext, where no sources.json lies beside it."}
    )
    attn_implementation: str | None = field(
        default=None,
        metadata={"help": "Attention of the trunk: sdpa or eager, which is faster on short sentences without a GPU."},
    )
    streaming: bool = field(default=False, metadata={"help": "Read the training bitext as it is needed."})
    shuffle_buffer: int = field(default=10_000, metadata={"help": "Pairs that a stream is shuffled within."})
    max_length: int = field(
        default=256, metadata={"help": "Longest side of a training pair in tokens; longer pairs are dropped."}
    )
    prompts: list[str] = field(default_factory=list, metadata={"help": "Beginnings to continue at the end."})
    model_name: str | None = field(default=None, metadata={"help": "Name of the result."})
    model_license: str | None = field(default=None, metadata={"help": "Licence of the result, as a Hub licence id."})

    def __post_init__(self):
        self.source, self.target = find_language(self.source_language), find_language(self.target_language)
        for entry in self.eval_data:
            if not all(entry.partition("=")):
                raise ValueError(f"`eval_data` entries are NAME=FILE, got {entry!r}.")
        if self.model_name is None:
            self.model_name = f"{Path(self.model).name}-{self.target.iso1 or self.target.iso3}"

    def locate(self, name: str) -> str:
        """
        A data file's path, or the name itself where it is a Hub id.

        Args:
            name (`str`): as given in `train_data` or `eval_data`.
        """
        path = Path(self.data, name)
        return str(path) if path.exists() else name

    def read(self, name: str, **options) -> Dataset | IterableDataset:
        """Reads bitext by [`corpora.read_pairs`] with the languages and columns of this run."""
        return read_pairs(
            self.locate(name),
            source_language=self.source_language,
            target_language=self.target_language,
            source_column=self.source_column,
            target_column=self.target_column,
            **options,
        )


@dataclass
class PairSet:
    """
    Bitext ready for a model.

    Args:
        name (`str`): what tables call it.
        path (`str`): file or Hub id.
        pairs (`datasets.Dataset` or `IterableDataset`): from [`corpora.clean_pairs`].
        report (`CleaningReport`): what was dropped.
        fertility (`dict`): tokens per word of each side; empty for a stream, and for a side without spaces.
    """

    name: str
    path: str
    pairs: Dataset | IterableDataset
    report: CleaningReport
    fertility: dict[str, float] = field(default_factory=dict)


def load_base(
    name: str, *, tokenizer_name: str | None = None, attn_implementation: str | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """
    Loads the Backpack to adapt and its tokenizer.

    Args:
        name (`str`): Hub id or folder, in our layout or the public one.
        tokenizer_name (`str`, *optional*, defaults to `name`): Hub id or folder of the tokenizer.
        attn_implementation (`str`, *optional*): attention of the trunk, as transformers names them.

    Raises:
        ValueError: if it is not a Backpack, the tokenizer has no end-of-text token, or more tokens than the model.
    """
    model = BackpackForCausalLM.from_pretrained(name, dtype="float32", attn_implementation=attn_implementation)
    tokenizer_name = tokenizer_name or name
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_name)
    if tokenizer.eos_token_id is None:
        raise ValueError(f"The tokenizer {tokenizer_name} has no end-of-text token to close sentences with.")
    if len(tokenizer) > model.config.vocab_size:
        raise ValueError(
            f"The tokenizer {tokenizer_name} has {len(tokenizer):,} tokens, the model {name} only "
            f"{model.config.vocab_size:,}: they do not belong together."
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer


def load_train_pairs(args: AdaptArguments, tokenizer: PreTrainedTokenizerBase, max_length: int, seed: int) -> PairSet:
    """
    Reads, cleans and, where streamed, shuffles the training bitext.

    Args:
        args ([`AdaptArguments`]): names the data.
        tokenizer (`PreTrainedTokenizerBase`): the base model's.
        max_length (`int`): longest side in tokens.
        seed (`int`): of a stream's shuffling.
    """
    options = {"split": args.data_split, "config_name": args.data_config}
    dataset = args.read(args.train_data, streaming=args.streaming, **options)
    if args.streaming:
        dataset = dataset.shuffle(seed=seed, buffer_size=args.shuffle_buffer)
    pairs, report = clean_pairs(dataset, tokenizer, max_length=max_length)
    return PairSet("train", args.locate(args.train_data), pairs, report)


def load_eval_pairs(args: AdaptArguments, tokenizer: PreTrainedTokenizerBase, max_length: int) -> list[PairSet]:
    """
    Reads and cleans the held-out bitext, in the order given.

    Args:
        args ([`AdaptArguments`]): names the data.
        tokenizer (`PreTrainedTokenizerBase`): the base model's.
        max_length (`int`): longest side in tokens.
    """
    sets = []
    for entry in args.eval_data:
        name, _, path = entry.partition("=")
        dataset = args.read(path)
        pairs, report = clean_pairs(dataset, tokenizer, max_length=max_length)
        sets.append(PairSet(name, args.locate(path), pairs, report, _fertility(dataset, tokenizer)))
    return sets


def _fertility(dataset: Dataset, tokenizer: PreTrainedTokenizerBase) -> dict[str, float]:
    """Tokens per word. A side whose words are longer than 20 letters on average is written without spaces."""
    fertility = {}
    for side in ("source", "target"):
        texts = [text for text in dataset[side] if text]
        words, letters = sum(len(text.split()) for text in texts), sum(map(len, texts))
        if words and letters / words <= 20:
            tokens = sum(map(len, tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]))
            fertility[side] = tokens / words
    return fertility
