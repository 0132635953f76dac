"""Shared by the benchmarks of training: real sentences, a Backpack to train on them, and a step's peak memory.

Full size reads `parallel/en-id.train.jsonl.gz` and `tokenizer/gpt2` of a data folder; the embedded model has its own.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from sense_memory import peak_bytes
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoTokenizer, GPT2Config

from modeling_sensia import BackpackConfig, BackpackForCausalLM
from sensia.corpora import clean_pairs, read_pairs

ASSETS = Path(__file__).parents[1] / "examples" / "assets"
SEED, MAX_LENGTH = 0, 256

Pairs = list[dict[str, list[int]]]


def load_tokenizer(data: Path | None):
    """The tokenizer of the folder, or of the embedded model."""
    tokenizer = AutoTokenizer.from_pretrained(data / "tokenizer" / "gpt2" if data else ASSETS / "backpack-en-mini")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_pairs(data: Path | None, tokenizer, count: int) -> Pairs:
    """Draws random pairs of the folder's bitext, or of the embedded one, cleaned as a run cleans them."""
    path = data / "parallel" / "en-id.train.jsonl.gz" if data else ASSETS / "bitext" / "en-id.train.parquet"
    dataset = read_pairs(str(path), source_language="en", target_language="id").shuffle(seed=SEED)
    dataset = dataset.select(range(min(2 * count + 100, len(dataset))))
    pairs, _ = clean_pairs(dataset, tokenizer, max_length=MAX_LENGTH)
    return pairs.select(range(count)).select_columns(["source_ids", "target_ids"]).to_list()


def build_model(size: str, attention: str, layers: int = 12) -> BackpackForCausalLM:
    """The embedded Backpack (`mini`), or one of 768 wide with random weights (`full`)."""
    torch.manual_seed(SEED)
    if size == "mini":
        return BackpackForCausalLM.from_pretrained(
            ASSETS / "backpack-en-mini", dtype="float32", attn_implementation=attention
        )
    trunk = GPT2Config(vocab_size=50264, n_positions=512, n_layer=layers, scale_attn_by_inverse_layer_idx=True)
    return BackpackForCausalLM._from_config(BackpackConfig(trunk_config=trunk), attn_implementation=attention)


class WithoutProducts(TorchDispatchMode):
    """Matrix products return zeros at once: what is allocated stays the same, and is measured in seconds."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function in (torch.ops.aten.mm.default, torch.ops.aten.bmm.default):
            left, right = args
        elif function in (torch.ops.aten.addmm.default, torch.ops.aten.baddbmm.default):
            _, left, right = args
        else:
            return function(*args, **(kwargs or {}))
        return left.new_zeros(*left.shape[:-1], right.shape[-1])


def peak_without_products(run: Callable[[], Any]) -> int:
    """Peak of what a call allocates, in bytes, with matrix products left out."""
    with WithoutProducts():
        return peak_bytes(run, "cpu")
