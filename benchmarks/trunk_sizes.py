"""Parameters and memory of Backpacks around known trunks, as markdown tables.

    python benchmarks/trunk_sizes.py                # 16 senses
    python benchmarks/trunk_sizes.py --senses 8

Models are built on the meta device, which takes no memory, and their tensors are counted. Figures are of weights and
caches alone, without activations.
"""

import argparse
import math
from collections.abc import Iterable
from typing import Any

import torch
from transformers import AutoConfig, DynamicCache
from transformers import logging as transformers_logging

from modeling_sensia import BackpackConfig, BackpackForCausalLM

#: The published shapes: kind, and the fields of `config.json` in the repository that the comment names.
TRUNKS: dict[str, tuple[str, dict]] = {
    # openai-community/gpt2
    "GPT-2 small": (
        "gpt2",
        {"vocab_size": 50257, "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024},
    ),
    # Qwen/Qwen3-0.6B
    "Qwen3-0.6B": (
        "qwen3",
        {
            "vocab_size": 151936,
            "hidden_size": 1024,
            "intermediate_size": 3072,
            "num_hidden_layers": 28,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "max_position_embeddings": 40960,
            "tie_word_embeddings": True,
        },
    ),
    # meta-llama/Llama-3.2-1B
    "Llama-3.2-1B": (
        "llama",
        {
            "vocab_size": 128256,
            "hidden_size": 2048,
            "intermediate_size": 8192,
            "num_hidden_layers": 16,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 64,
            "max_position_embeddings": 131072,
            "tie_word_embeddings": True,
        },
    ),
    # meta-llama/Llama-2-7b-hf
    "Llama-2-7B": (
        "llama",
        {
            "vocab_size": 32000,
            "hidden_size": 4096,
            "intermediate_size": 11008,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 32,
            "max_position_embeddings": 4096,
            "tie_word_embeddings": False,
        },
    ),
}
#: AdamW in mixed precision: weights and gradients in bfloat16, the weights again and two moments in float32.
TRAINING_BYTES = 2 + 2 + 4 + 4 + 4
BFLOAT16, FLOAT32 = 2, 4


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--senses", type=int, default=16, help="senses K per token (default: %(default)s)")
    return parser.parse_args()


def planned(name: str, num_senses: int) -> BackpackForCausalLM:
    """A Backpack around a trunk of `TRUNKS`, without memory."""
    kind, fields = TRUNKS[name]
    special = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None}
    trunk = AutoConfig.for_model(kind, **fields, **special)
    with torch.device("meta"):
        return BackpackForCausalLM(BackpackConfig(trunk_config=trunk, num_senses=num_senses)).eval()


def parameters(model: BackpackForCausalLM) -> dict[str, int]:
    """Numbers of parameters by part; the tied head is the embeddings."""
    backpack = model.backpack
    embeddings = count(model.get_input_embeddings().parameters())
    return {
        "embeddings": embeddings,
        "rest of the trunk": count(backpack.trunk.parameters()) - embeddings,
        "sense network": count(backpack.sense_network.parameters()),
        "weight network": count(backpack.weight_network.parameters()),
        "total": model.num_parameters(),
    }


def count(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors)


def cached_numbers(model: BackpackForCausalLM) -> tuple[int, int]:
    """Numbers that a cache keeps of one token: the trunk's keys and values, then the mixture's keys and senses."""
    cache = DynamicCache(config=model.config)
    model(torch.zeros(1, 1, dtype=torch.long, device=model.device), past_key_values=cache)
    layers: list[Any] = cache.layers
    *trunk, mixture = (count((layer.keys, layer.values)) for layer in layers)
    return sum(trunk), mixture


def kept_with_a_table(num_senses: int) -> int:
    """Numbers that a cache keeps of a token's senses where a sense table is used; the same for every size of model."""
    shape = {"vocab_size": 2, "n_embd": num_senses, "n_layer": 1, "n_head": 1, "n_positions": 2}
    trunk = AutoConfig.for_model("gpt2", **shape, bos_token_id=0, eos_token_id=0)
    model = BackpackForCausalLM(BackpackConfig(trunk_config=trunk, num_senses=num_senses)).eval()
    with torch.no_grad():
        model.precompute_senses()
        layers: list[Any] = model(torch.zeros(1, 1, dtype=torch.long), use_cache=True).past_key_values.layers
    return layers[-1].values.numel()


def memory(model: BackpackForCausalLM) -> dict[str, str]:
    """Bytes of weights, training state, caches per token and sense table."""
    config, sizes = model.config, parameters(model)
    networks = sizes["sense network"] + sizes["weight network"]
    trunk, mixture = cached_numbers(model)
    keys = config.num_senses * (config.hidden_size // config.num_senses)
    numbers = {
        "weights, float32": sizes["total"] * FLOAT32,
        "weights, bfloat16": sizes["total"] * BFLOAT16,
        "training state": sizes["total"] * TRAINING_BYTES,
        "trunk frozen": networks * TRAINING_BYTES + (sizes["total"] - networks) * BFLOAT16,
        "trunk cache per token": trunk * BFLOAT16,
        "sense cache per token": mixture * BFLOAT16,
        "with a table": (keys + kept_with_a_table(config.num_senses)) * BFLOAT16,
        "sense table": config.vocab_size * config.num_senses * config.hidden_size * BFLOAT16,
    }
    return {name: in_units(size) for name, size in numbers.items()}


def in_units(size: float) -> str:
    """Bytes with three digits, in decimal units."""
    thousands = min(int(math.log10(size)) // 3, 3)
    digits = f"{size / 1000**thousands:#.3g}".rstrip(".")
    return f"{digits} {('B', 'kB', 'MB', 'GB')[thousands]}"


def markdown(title: str, rows: dict[str, dict[str, str]]) -> str:
    columns = list(next(iter(rows.values())))
    lines = [f"| {title} | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    lines += [f"| {name} | {' | '.join(row[column] for column in columns)} |" for name, row in rows.items()]
    return "\n".join(lines)


def main():
    args = parse_arguments()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    models = {name: planned(name, args.senses) for name in TRUNKS}
    sizes = {name: {part: f"{n:,}" for part, n in parameters(model).items()} for name, model in models.items()}
    print(markdown("parameters", sizes), end="\n\n")
    print(markdown("memory", {name: memory(model) for name, model in models.items()}))


if __name__ == "__main__":
    main()
