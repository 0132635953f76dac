"""Sizes, models and batches that the sections of gpu.py share.

The data need no package but torch and transformers; without pyarrow, which reads the embedded bitext, sentences are
drawn at random with about its lengths and repetitions.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from modeling_sensia import BackpackConfig, BackpackForCausalLM
from sensia.trainers.collator import ParallelCollator

ROOT = Path(__file__).parents[1]
ASSETS = ROOT / "examples" / "assets"
SEED, MAX_LENGTH = 0, 128

Pair = dict[str, list[int]]


@dataclass(frozen=True)
class Sizes:
    """Sizes of the models and the measurements; the defaults are the paper's."""

    layers: int = 12
    width: int = 768
    heads: int = 12
    senses: int = 16
    vocabulary: int = 50264
    positions: int = 512
    pairs: int = 64  # of a step
    batches: int = 8  # of a turn
    rounds: int = 3
    negatives: int = 1024  # of a contrastive batch
    checked_pairs: int = 16  # compared with float64
    decoded_rows: tuple[int, ...] = (1, 8, 64)
    new_tokens: int = 32


TINY = Sizes(
    layers=2,
    width=64,
    heads=4,
    senses=4,
    vocabulary=8200,
    positions=256,
    pairs=4,
    batches=2,
    rounds=1,
    negatives=8,
    checked_pairs=4,
    decoded_rows=(1, 2),
    new_tokens=4,
)


@dataclass(eq=False)
class Setup:
    """
    Device and size of the checks.

    Args:
        dry_run (`bool`): on the CPU.
        ends (`float`): the `time.monotonic` after which nothing is started.
        sizes ([`Sizes`], *optional*): of models and measurements.
    """

    dry_run: bool
    ends: float
    sizes: Sizes = field(default_factory=Sizes)

    @property
    def device(self) -> torch.device:
        """`torch.device`: the GPU, or for a dry run the CPU."""
        return torch.device("cpu" if self.dry_run else "cuda")

    @property
    def seconds_left(self) -> float:
        """`float`: of the time budget."""
        return max(self.ends - time.monotonic(), 0.0)

    @property
    def half(self) -> torch.dtype:
        """`torch.dtype`: the two-byte numbers that this device multiplies fast."""
        cuda = self.device.type == "cuda"
        return torch.float16 if cuda and torch.cuda.get_device_capability()[0] < 8 else torch.bfloat16

    @property
    def compile_backend(self) -> str:
        """`str`: what compiles graphs; a dry run stops after capturing them."""
        return "eager" if self.dry_run else "inductor"

    @property
    def pad(self) -> int:
        """`int`: the id of pads, which no sentence holds."""
        return self.sizes.vocabulary - 1

    @cached_property
    def tokenizer(self):
        """The embedded model's, whose ids all models here have."""
        return AutoTokenizer.from_pretrained(ASSETS / "backpack-en-mini")

    @cached_property
    def all_pairs(self) -> list[Pair]:
        """`list`: as many pairs of sentences as the largest measurement takes."""
        count = max(self.sizes.batches * self.sizes.pairs, self.sizes.negatives)
        try:
            return embedded_pairs(self.tokenizer, count)
        except ModuleNotFoundError:
            return drawn_pairs(count, len(self.tokenizer))

    @cached_property
    def checked_pairs(self) -> list[Pair]:
        """`list`: the few pairs that are compared with float64, of all lengths."""
        return self.all_pairs[: self.sizes.checked_pairs]

    @property
    def trunk_config(self) -> GPT2Config:
        """`GPT2Config`: the trunk's, without dropout, as SENSIA trains it."""
        return GPT2Config(
            vocab_size=self.sizes.vocabulary,
            n_positions=self.sizes.positions,
            n_embd=self.sizes.width,
            n_layer=self.sizes.layers,
            n_head=self.sizes.heads,
            scale_attn_by_inverse_layer_idx=True,
            bos_token_id=0,
            eos_token_id=None,
            pad_token_id=self.pad,
            use_cache=False,
            **dict.fromkeys(("embd_pdrop", "attn_pdrop", "resid_pdrop"), 0.0),
        )

    def backpack(self, sense_dropout: float = 0.0) -> BackpackForCausalLM:
        """A Backpack with random weights in float32 whose mixtures are not uniform."""
        torch.manual_seed(SEED)
        config = BackpackConfig(
            trunk_config=self.trunk_config, num_senses=self.sizes.senses, sense_dropout=sense_dropout
        )
        with self.device:  # random numbers are drawn there, which takes no time
            model = BackpackForCausalLM._from_config(config, attn_implementation="sdpa")
        with torch.no_grad():
            model.backpack.weight_network.c_attn.weight.mul_(3)
        return model

    def stock(self) -> GPT2LMHeadModel:
        """The trunk alone, as stock GPT-2."""
        torch.manual_seed(SEED)
        with self.device:
            return GPT2LMHeadModel._from_config(self.trunk_config, attn_implementation="sdpa")

    def batch(self, pairs: Sequence[Pair], packing: bool = True) -> dict[str, Any]:
        """A stacked batch of pairs as training has it, on the device."""
        collate = ParallelCollator(self.tokenizer, packing=packing, max_positions=self.sizes.positions)
        return self.on_device(collate(pairs))

    def batches(self, size: int) -> list[list[Pair]]:
        """All pairs cut into batches of similar lengths."""
        ordered = sorted(self.all_pairs, key=lambda pair: max(map(len, pair.values())))
        return [ordered[start : start + size] for start in range(0, len(ordered) - size + 1, size)]

    def on_device(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {name: value.to(self.device) if torch.is_tensor(value) else value for name, value in batch.items()}

    def autocast(self, dtype: torch.dtype | None = None):
        """Two-byte matrix products; those of `half` without another `dtype`."""
        return torch.autocast(self.device.type, dtype or self.half)

    def wait(self):
        """Waits until the device has done all that it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def embedded_pairs(tokenizer, count: int) -> list[Pair]:
    """The first pairs of the embedded bitext with different sentences, each closed by end-of-text."""
    from pyarrow import parquet

    rows = parquet.read_table(ASSETS / "bitext" / "en-id.train.parquet", columns=["en", "id"])
    rows = rows.slice(0, 2 * count + 100)
    sides = [tokenizer(rows[language].to_pylist())["input_ids"] for language in ("en", "id")]
    pairs: list[Pair] = []
    seen: set[tuple[int, ...]] = set()
    for source, target in zip(*sides, strict=True):
        keys = {tuple(source), tuple(target)}
        if source and target and max(len(source), len(target)) < MAX_LENGTH and not keys & seen:
            seen |= keys
            end = [tokenizer.eos_token_id]
            pairs.append({"source_ids": source + end, "target_ids": target + end})
    return pairs[:count]


def drawn_pairs(count: int, vocabulary: int) -> list[Pair]:
    """Random sentences: lengths around 30 tokens, and tokens as unevenly frequent as words are."""
    generator = torch.Generator().manual_seed(SEED)
    frequencies = 1 / torch.arange(1, vocabulary + 1)

    def sentence() -> list[int]:
        length = int(torch.empty(1).log_normal_(3.3, 0.5, generator=generator).clamp(4, MAX_LENGTH))
        return torch.multinomial(frequencies, length, replacement=True, generator=generator).tolist()

    return [{"source_ids": sentence(), "target_ids": sentence()} for _ in range(count)]


def parameter_count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
