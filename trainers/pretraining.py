"""What pretraining needs before the first step: its arguments, a tokenizer trained on its text, and packed blocks."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from .setting_ranges import check_counts, check_names, check_shares

END_OF_TEXT = "<|endoftext|>"


@dataclass
class PretrainArguments:
    """What to pretrain, and on which text; see each field's help."""

    data: str = field(default=".", metadata={"help": "Folder that the text files are relative to."})
    texts: list[str] = field(default_factory=list, metadata={"help": "Files or Hub ids of text."})
    pairs: list[str] = field(default_factory=list, metadata={"help": "Bitext whose English side is used as text."})
    origins: list[str] = field(default_factory=list, metadata={"help": "Corpora of that bitext to use; none for all."})
    held_out: list[str] = field(
        default_factory=list, metadata={"help": "Bitext whose sentences are never trained on."}
    )
    dev_texts: str | None = field(default=None, metadata={"help": "Text to measure perplexity on at the end."})
    trunk: str | None = field(
        default=None,
        metadata={
            "help": "Pretrained decoder, as a path or Hub id, to wrap with fresh senses. Its weights, sizes and "
            "tokenizer are used; of what follows, num_senses, num_positions (the block length) and dropout count."
        },
    )
    hidden_size: int = field(default=768, metadata={"help": "Width D of the model."})
    num_layers: int = field(default=12, metadata={"help": "Layers of the trunk."})
    num_heads: int = field(default=12, metadata={"help": "Attention heads of the trunk."})
    num_senses: int = field(
        default=16,
        metadata={"help": "Sense vectors K per token; 0 pretrains the trunk alone, a dense model to compare with."},
    )
    num_positions: int = field(default=512, metadata={"help": "Longest text in tokens; also the block length."})
    vocabulary_size: int = field(default=50264, metadata={"help": "Tokens of the tokenizer that is trained."})
    dropout: float = field(default=0.0, metadata={"help": "Dropout everywhere; 0 is right for less than an epoch."})

    def __post_init__(self):
        check_names(self, "texts", "pairs", "held_out")
        check_counts(self, "hidden_size", "num_layers", "num_heads")
        check_counts(self, "num_positions", least=2)
        check_shares(self, "dropout")
        if not self.trunk:
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


class PackedBlocks(Dataset):
    """
    Blocks of token ids as a dataset for language modelling, every token predicted but each block's first.

    Args:
        blocks (`np.ndarray` of `int` [N, L]): from [`corpora.pack_texts`]; may be memory-mapped.
    """

    def __init__(self, blocks: np.ndarray):
        self.blocks = blocks

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        ids = torch.from_numpy(self.blocks[index].astype(np.int64))  # [L]
        return {"input_ids": ids, "labels": ids}
