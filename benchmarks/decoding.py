"""Speed of generation: a Backpack against the stock GPT-2 that is its trunk, in one run and in turns.

    python benchmarks/decoding.py                       # full size: 12 x 768, 16 senses, 50,264 tokens
    python benchmarks/decoding.py --layers 4 --width 192 --senses 8 --vocabulary 8192
    python benchmarks/decoding.py --device cuda --dtype bfloat16

Weights are random: speed does not depend on them. Every figure is the median over rounds in which all variants take
turns; ratios are stock time over ours, so 0.85 means 85 % of the stock model's tokens per second.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import torch
from transformers import DynamicCache, GPT2Config, GPT2LMHeadModel
from transformers import logging as transformers_logging

from modeling_sensia import BackpackConfig, BackpackForCausalLM

Variants = dict[str, Callable[[], None]]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=12, help="layers of the trunk (default: %(default)s)")
    parser.add_argument("--width", type=int, default=768, help="hidden size D (default: %(default)s)")
    parser.add_argument("--heads", type=int, default=12, help="attention heads (default: %(default)s)")
    parser.add_argument("--senses", type=int, default=16, help="senses K per token (default: %(default)s)")
    parser.add_argument("--vocabulary", type=int, default=50264, help="tokens V (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds to take the median of (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="device (default: %(default)s)")
    parser.add_argument("--dtype", default="float32", help="dtype of the weights (default: %(default)s)")
    parser.add_argument("--only", choices=["generate", "step", "prefill"], help="measure one part alone")
    return parser.parse_args()


def build_models(args: argparse.Namespace) -> dict[str, torch.nn.Module]:
    """The stock trunk with its head, and the Backpack around the same configuration without and with its table."""
    trunk = GPT2Config(
        vocab_size=args.vocabulary,
        n_positions=1024,
        n_embd=args.width,
        n_layer=args.layers,
        n_head=args.heads,
        scale_attn_by_inverse_layer_idx=True,
        bos_token_id=0,
        eos_token_id=None,
        pad_token_id=0,
    )
    place = {"device": args.device, "dtype": getattr(torch, args.dtype)}
    stock = GPT2LMHeadModel(trunk).eval().to(**place)
    config = BackpackConfig(trunk_config=copy.deepcopy(trunk), num_senses=args.senses)
    backpack = BackpackForCausalLM(config).eval().to(**place)
    tabled = copy.deepcopy(backpack)
    tabled.precompute_senses()
    return {"stock": stock, "backpack": backpack, "backpack with table": tabled}


def keeping_senses(backpack: BackpackForCausalLM) -> BackpackForCausalLM:
    """The same model with sense vectors in its cache, as an edit of senses needs them; this one changes nothing."""
    model = copy.deepcopy(backpack)
    model.backpack.sense_edit = lambda token_ids, senses: senses
    return model


def prompt(rows: int, length: int, args: argparse.Namespace) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, args.vocabulary, (rows, length), generator=generator).to(args.device)


def take_turns(variants: Variants, rounds: int, warm_up: int = 1) -> dict[str, float]:
    """Median seconds of each variant over rounds in which all take turns, after those that warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for round_number in range(rounds + warm_up):
        for name, run in variants.items():
            start = time.perf_counter()
            run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if round_number >= warm_up:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def generation(models: dict, args: argparse.Namespace, length: int = 32, new_tokens: int = 128) -> dict[str, float]:
    """One row: a short prompt and many new tokens."""
    ids = prompt(1, length, args)

    def run(model):
        model.generate(ids, max_new_tokens=new_tokens, do_sample=False)

    variants: Variants = {name: (lambda model=model: run(model)) for name, model in models.items()}
    cached = take_turns(variants, args.rounds)
    return cached | take_turns(
        {"naive recompute": lambda: recompute(models["backpack"], ids, new_tokens)}, 1, warm_up=0
    )


def recompute(model, ids: torch.Tensor, new_tokens: int):
    """Decodes without a cache: for each new token everything is computed, for every position."""
    for _ in range(new_tokens):
        best = model(ids, use_cache=False).logits[:, -1:].argmax(-1)
        ids = torch.cat([ids, best], 1)


def decoding_step(
    models: dict, args: argparse.Namespace, rows: int = 8, past: int = 384, steps: int = 8
) -> dict[str, float]:
    """Several rows with a long past: steps of one token each."""
    ids, token = prompt(rows, past, args), prompt(rows, 1, args)
    models = {**models, "backpack with senses in its cache": keeping_senses(models["backpack"])}

    def prepare(model) -> Callable[[], None]:
        cache = DynamicCache(config=model.config)
        model(ids, past_key_values=cache, logits_to_keep=1)

        def run():
            for _ in range(steps):
                model(token, past_key_values=cache, logits_to_keep=1)
            cache.crop(-steps)

        return run

    return take_turns({name: prepare(model) for name, model in models.items()}, args.rounds)


def prefill(models: dict, args: argparse.Namespace, rows: int = 8, length: int = 384) -> dict[str, dict[str, float]]:
    """Reading a prompt, with the logits of its last position as `generate` wants them, and with all."""
    ids = prompt(rows, length, args)

    def variants(keep: int) -> Variants:
        return {name: (lambda model=model: model(ids, logits_to_keep=keep)) for name, model in models.items()}

    return {"last logits": take_turns(variants(1), args.rounds), "all logits": take_turns(variants(0), args.rounds)}


def cache_bytes(model, rows: int = 1, length: int = 64) -> float:
    """Bytes of cache for each past token of one row."""
    cache = DynamicCache(config=model.config)
    model(torch.ones(rows, length, dtype=torch.long, device=model.device), past_key_values=cache)
    tensors = [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]
    return sum(tensor.nbytes for tensor in tensors) / (rows * length)


def show(title: str, seconds: dict[str, float]):
    print(f"\n{title}\n\n| | ms | of stock |\n|:--|--:|--:|")
    for name, value in seconds.items():
        print(f"| {name} | {value * 1e3:.0f} | {seconds['stock'] / value:.2f} |", flush=True)


@torch.inference_mode()
def main():
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    transformers_logging.set_verbosity_error()
    models = build_models(args)
    print(
        "cache per past token, bytes:", {name: int(cache_bytes(model)) for name, model in models.items()}, flush=True
    )
    if args.only in (None, "generate"):
        show("32 tokens and 128 new ones, 1 row", generation(models, args))
    if args.only in (None, "step"):
        show("8 steps of 8 rows with 384 past tokens", decoding_step(models, args))
    if args.only in (None, "prefill"):
        for name, seconds in prefill(models, args).items():
            show(f"prompt of 8 x 384 tokens, {name}", seconds)


if __name__ == "__main__":
    main()
