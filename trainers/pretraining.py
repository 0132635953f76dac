"""Pretraining: its arguments, a tokenizer trained on its text, its blocks of tokens and its trainer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch.optim import Optimizer
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from sensia.trainers.muon import MuonAdamW
from sensia.trainers.saving_trainer import SavingTrainer
from sensia.trainers.setting_ranges import check_counts, check_names, check_positive, check_shares

END_OF_TEXT = "<|endoftext|>"


@dataclass
class PretrainArguments:
    """Arguments of pretraining: the model and the text; see each field's help."""

    data: str = field(default=".", metadata={"help": "Folder that the text files are relative to."})
    texts: list[str] = field(default_factory=list, metadata={"help": "Files or Hub ids of text."})
    text_weights: list[float] = field(
        default_factory=list,
        metadata={
            "help": "How often an epoch reads each source: one positive number for each of `texts`, and one for all "
            "`pairs` together if there are any. 2 reads a source twice, 0.5 reads every second block. If not given, "
            "each source is read once."
        },
    )
    pairs: list[str] = field(default_factory=list, metadata={"help": "Bitext whose English side is used as text."})
    origins: list[str] = field(
        default_factory=list, metadata={"help": "Corpora of that bitext to use. If not given, all."}
    )
    held_out: list[str] = field(
        default_factory=list, metadata={"help": "Bitext whose sentences are never trained on."}
    )
    dev_texts: list[str] = field(
        default_factory=list,
        metadata={"help": "Files of text on which perplexity is measured at the end, each by itself."},
    )
    model: str | None = field(
        default=None,
        metadata={
            "help": "Backpack to go on from: Hub id or folder. Its weights, sizes and tokenizer are used. Of the "
            "settings of the model below, only num_positions (the block length) counts."
        },
    )
    trunk: str | None = field(
        default=None,
        metadata={
            "help": "Pretrained decoder to wrap with new senses: Hub id or folder. Its weights, sizes and tokenizer "
            "are used. Of the settings of the model below, num_senses, num_positions (the block length) and dropout "
            "count."
        },
    )
    hidden_size: int = field(default=768, metadata={"help": "Width D of the model."})
    num_layers: int = field(default=12, metadata={"help": "Layers of the trunk."})
    num_heads: int = field(default=12, metadata={"help": "Attention heads of the trunk."})
    num_senses: int = field(
        default=16,
        metadata={
            "help": "Sense vectors K of each token. 0 pretrains the trunk alone, as a dense model to compare with."
        },
    )
    sense_intermediate_scale: int = field(
        default=4,
        metadata={"help": "Width of the sense network's last hidden layer, as a multiple of hidden_size."},
    )
    num_positions: int = field(default=512, metadata={"help": "Longest text in tokens; also the block length."})
    vocabulary_size: int = field(default=50264, metadata={"help": "Tokens of the tokenizer that is trained."})
    dropout: float = field(default=0.0, metadata={"help": "Dropout everywhere; 0 is right for less than an epoch."})
    decay_share: float = field(
        default=0.2,
        metadata={
            "help": "Last share of the steps, in which the rate of lr_scheduler_type warmup_stable_decay falls."
        },
    )
    muon: bool = field(
        default=False,
        metadata={"help": "Muon instead of AdamW for the matrices inside the layers. AdamW updates the rest."},
    )

    def __post_init__(self):
        if self.model and self.trunk:
            raise ValueError(
                f"`model` goes on from a Backpack and `trunk` begins a new one: give one of them, got {self.model!r} "
                f"and {self.trunk!r}."
            )
        if not self.texts and not self.pairs:
            raise ValueError("`texts` or `pairs` must name at least one file of text to pretrain on.")
        sources = len(self.texts) + bool(self.pairs)
        if self.text_weights and len(self.text_weights) != sources:
            raise ValueError(
                f"`text_weights` must hold one number for each of {sources} sources (`texts`, and `pairs` as one), "
                f"got {len(self.text_weights)}."
            )
        check_positive(self, "text_weights")
        check_names(self, "texts", "pairs", "held_out")
        check_counts(self, "hidden_size", "num_layers", "num_heads")
        check_counts(self, "num_positions", least=2)
        check_shares(self, "dropout")
        if not (self.trunk or self.model):
            check_counts(self, "vocabulary_size", least=257)
            if self.hidden_size % self.num_heads:
                raise ValueError(
                    f"`hidden_size` must be a multiple of `num_heads` {self.num_heads}, got {self.hidden_size}."
                )
        if self.num_senses < (1 if self.trunk else 0):
            raise ValueError(
                "`num_senses` must be at least 1, or 0 for a dense model that has no pretrained `trunk`, got "
                f"{self.num_senses}."
            )


class PretrainingTrainer(SavingTrainer):
    """The stock Trainer with whole checkpoints and, where `muon` is true, [`MuonAdamW`] as its optimizer."""

    def __init__(self, *args, muon: bool = False, decay_share: float = 0.2, **kwargs):
        super().__init__(*args, **kwargs)
        self.muon, self.decay_share = muon, decay_share

    def create_optimizer(self, model=None) -> Optimizer:
        if not self.muon:
            return super().create_optimizer(model)
        if self.optimizer is None:
            args = self.args
            self.optimizer = MuonAdamW(
                self.model if model is None else model,  # type: ignore[arg-type]
                lr=args.learning_rate,
                weight_decay=args.weight_decay,
                betas=(args.adam_beta1, args.adam_beta2),
                eps=args.adam_epsilon,
                fused=args.device.type == "cuda",
            )
        return self.optimizer

    def tokens_seen(self, block_length: int) -> int:
        """Tokens that the steps so far have learned from: those of all processes and all accumulated batches."""
        args = self.args
        rows = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
        return self.state.global_step * rows * block_length


def train_tokenizer(texts: Iterable[str], vocabulary_size: int) -> PreTrainedTokenizerFast:
    """
    Trains a byte-level BPE tokenizer in the manner of GPT-2's: any text can be written, no token is unknown.

    Args:
        texts (`Iterable[str]`): text to learn merges from.
        vocabulary_size (`int`): number of tokens, the 256 bytes and the end-of-text token included.

    Returns:
        `PreTrainedTokenizerFast`: with one special token, which begins, ends and pads.
    """
    if vocabulary_size < 257:
        raise ValueError(
            f"`vocabulary_size` must hold the 256 bytes and the end-of-text token, got {vocabulary_size}."
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        clean_up_tokenization_spaces=False,
    )


class MixedBlocks(Dataset):
    """
    Blocks of token ids of several sources as one dataset for language modelling; every token but a block's first is
    predicted.

    Args:
        sources (`Sequence` of `np.ndarray` of `int` [N, L]): from [`sensia.corpora.pack_texts`]; may be memory-mapped.
        weights (`Sequence` of `float`, *optional*): how often an epoch reads each source; all once if not given. A
            weight below 1 takes blocks at even distances.
    """

    def __init__(self, sources: Sequence[np.ndarray], weights: Sequence[float] | None = None):
        self.sources = list(sources)
        self.weights = list(weights or [1.0] * len(self.sources))
        sizes = [max(1, round(weight * len(blocks))) for blocks, weight in zip(sources, self.weights, strict=True)]
        self.ends = np.cumsum(sizes)

    def __len__(self) -> int:
        return int(self.ends[-1])

    @property
    def num_tokens(self) -> int:
        """`int`: tokens of all sources, each once."""
        return sum(int(blocks.size) for blocks in self.sources)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        number = int(np.searchsorted(self.ends, index, side="right"))
        blocks, place = self.sources[number], index - (int(self.ends[number - 1]) if number else 0)
        row = int(place / min(1.0, self.weights[number])) % len(blocks)
        ids = torch.from_numpy(blocks[row].astype(np.int64))  # [L]
        return {"input_ids": ids, "labels": ids}
