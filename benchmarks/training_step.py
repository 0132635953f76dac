"""Cost of a training step: SENSIA's own, against what the authors' published script does, and what each saving gives.

    python benchmarks/training_step.py --data DIR                     # full size, 10 batches of 8 pairs: half an hour
    python benchmarks/training_step.py --model mini                   # the embedded Backpack and bitext: a minute
    python benchmarks/training_step.py --data DIR --only published-longest ours --batches 4
    python benchmarks/training_step.py --data DIR --only stock ours    # beside stock GPT-2's language model step
    python benchmarks/training_step.py --data DIR --flops             # counted arithmetic at 64 pairs

DIR holds parallel/en-id.train.jsonl.gz and tokenizer/gpt2. Weights are random at full size (12 x 768, 16 senses,
50,264 tokens). All variants train on the same sentences, taking turns batch by batch in one process, after a step each
that warms up. A step is forward, backward, clipping and AdamW, under bf16 autocast. A CPU without bf16 instructions
multiplies bf16 matrices up to a hundred times slower than float32 ones: there, take times with `--precision float32`.

`published` and `published-longest` are published_step.py, each sentence padded to 256 tokens or to the longest of its
batch. `bare` is this package with every saving off that can be switched: it already computes no source logits, runs
the head on predicted positions alone, gets both losses from one pass, forms contributions for one sense at a time, and
stacks both languages. The lines after it put back one saving each; the last, `ours`, has all. CPU seconds are those of
all threads; tokens are real ones; memory is the peak of what torch allocates beyond weights and optimizer, in the
batch with the most positions, under bf16 autocast whatever the times are taken in. It is measured with matrix products
left out (their results are zeros), because nothing else says how much is allocated when.

`stock` is GPT2LMHeadModel of the trunk's size, without dropout: its language model loss on every token of the rows of
`ours`, with fused AdamW. It has neither senses nor a contrast, so it says what these cost.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from published_step import Batch, PublishedBackpack, PublishedTraining, pad_side
from stock_step import StockTraining
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from training_setup import (
    MAX_LENGTH,
    SEED,
    Pairs,
    WithoutProducts,
    build_model,
    load_pairs,
    load_tokenizer,
    peak_without_products,
)
from transformers.activations import ACT2FN, GELUTanh, NewGELUActivation
from transformers.utils import logging as transformers_logging

from modeling_sensia.modeling_backpack import BackpackModel
from sensia.trainers import ParallelCollator, PhaseSchedule, SensiaConfig, SensiaTrainer
from sensia.trainers.sampling import BatchShape, LengthWindowSampler

STEPS = 1000
#: The savings that can be switched, in the order of the ladder; the name of each line is what it adds.
SAVINGS = ("no-dropout", "fused-gelu", "fused-adamw", "sorted", "distinct-senses", "chunked-loss", "shared-rows")
LADDER = {"bare": 0, **{f"+{saving}": count for count, saving in enumerate(SAVINGS[:-1], 1)}, "ours": len(SAVINGS)}
VARIANTS = ("published", "published-longest", "stock", *LADDER)
#: CPU time at least so many times less, memory at most this share; of which variant.
GOALS = (
    ("published", "cpu_s", 6.0),
    ("published-longest", "cpu_s", 2.5),
    ("published", "peak_mib", 1 / 0.4),
    ("stock", "cpu_s", 1 / 1.25),
)
PUBLISHED_TFLOP = 33.0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=["full", "mini"], default="full", help="size (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="folder of parallel/ and tokenizer/; not needed for mini")
    parser.add_argument("--pairs", type=int, help="pairs of a batch (default: 8, with --flops 64)")
    parser.add_argument("--batches", type=int, help="batches of each variant (default: 10, with --flops 3)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: %(default)s)")
    parser.add_argument("--precision", choices=["bf16", "float32"], default="bf16", help="of the times")
    parser.add_argument("--attention", default="sdpa", help="attention of our trunk, sdpa or eager")
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="variants to measure")
    parser.add_argument("--flops", action="store_true", help="count arithmetic instead, sense dropout off")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    args = parser.parse_args()
    args.pairs = args.pairs or (64 if args.flops else 8)
    args.batches = args.batches or (3 if args.flops else 10)
    if args.model == "full" and args.data is None:
        parser.error("the full size needs --data")
    return args


def order_of(pairs: Pairs, size: int, by_length: bool) -> list[list[int]]:
    """Batches of pair numbers: random, or as training reads them."""
    lengths = [max(len(pair["source_ids"]), len(pair["target_ids"])) for pair in pairs]
    generator = torch.Generator().manual_seed(SEED)
    mixed = torch.randperm(len(pairs), generator=generator).tolist()
    order = list(LengthWindowSampler(lengths, BatchShape(size), SEED)) if by_length else mixed
    return [order[start : start + size] for start in range(0, len(order), size)]


def most_tokens(batches: Sequence[dict[str, Any] | tuple[Batch, Batch]]) -> int:
    """The number of the batch with the most positions."""
    sizes = [b["input_ids"].numel() if isinstance(b, dict) else sum(s.ids.numel() for s in b) for b in batches]
    return max(range(len(sizes)), key=sizes.__getitem__)


class SensesByPosition(BackpackModel):
    """Computes the senses of a token wherever it stands, as if it were another each time."""

    def _tokens_can_be_told_apart(self, input_ids):
        return False


class WholeLogitsHead(nn.Linear):
    """A head that is called, as adapted ones are: all logits exist at once, and again for the gradient."""


class OurTraining:
    """This package's training step, with the savings of one line of the ladder at a time."""

    def __init__(self, args: argparse.Namespace, tokenizer, folder: str, pairs: Pairs):
        self.model = build_model(args.model, args.attention)
        self.tokenizer, self.pairs, self.size = tokenizer, pairs, args.pairs
        config = SensiaConfig(
            output_dir=folder, per_device_train_batch_size=args.pairs, use_cpu=True, report_to="none"
        )
        self.trainer = SensiaTrainer(self.model, config, processing_class=tokenizer)
        self.trainer.state.max_steps, self.trainer.current_gradient_accumulation_steps = STEPS, 1
        self.optimizer = self.trainer.create_optimizer()
        self.savings: frozenset[str] | None = None
        self.autocast = args.precision == "bf16"

    def batches(self, savings: frozenset[str]) -> list[dict[str, Any]]:
        positions = self.model.config.max_position_embeddings
        collate = ParallelCollator(self.tokenizer, packing="shared-rows" in savings, max_positions=positions)
        order = order_of(self.pairs, self.size, "sorted" in savings)
        return [collate([self.pairs[number] for number in batch]) for batch in order]

    def set_up(self, savings: frozenset[str]):
        if savings == self.savings:
            return
        self.savings = savings
        set_dropout(self.model, 0.0 if "no-dropout" in savings else 0.1)
        set_activation(self.model, "gelu_pytorch_tanh" if "fused-gelu" in savings else "gelu_new")
        for group in self.optimizer.param_groups:
            group["fused"] = "fused-adamw" in savings
        self.model.backpack.__class__ = BackpackModel if "distinct-senses" in savings else SensesByPosition
        self.model.lm_head.__class__ = nn.Linear if "chunked-loss" in savings else WholeLogitsHead

    def backward(self, batch: dict[str, Any]):
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            loss = self.trainer.compute_loss(self.model.train(), dict(batch))
        loss.backward()

    def step(self, batch: dict[str, Any]):
        self.backward(batch)
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def set_dropout(model: nn.Module, probability: float):
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = probability


def set_activation(model: nn.Module, name: str):
    for module in list(model.modules()):
        for child_name, child in module.named_children():
            if isinstance(child, GELUTanh | NewGELUActivation):
                setattr(module, child_name, ACT2FN[name])


def published_batches(pairs: Pairs, size: int, pad: int, length: int | None) -> list[tuple[Batch, Batch]]:
    """The published script closes no sentence with eos."""
    order = order_of(pairs, size, by_length=False)
    sides = ("source_ids", "target_ids")
    return [tuple(pad_side([pairs[n][side][:-1] for n in batch], pad, length) for side in sides) for batch in order]


class Variant(NamedTuple):
    """
    A way to train.

    Args:
        training (`OurTraining` or `PublishedTraining`): whose `autocast` switches bf16.
        step (`Callable`): one step, of the batch with this number.
        largest (`int`): the batch with the most positions.
    """

    training: Any
    step: Callable[[int], Any]
    largest: int


def build_variants(args: argparse.Namespace, pairs: Pairs, tokenizer, folder: str) -> dict[str, Variant]:
    variants: dict[str, Variant] = {}
    ours = OurTraining(args, tokenizer, folder, pairs)
    published = None
    for name in args.only:
        if name in LADDER:
            variants[name] = our_variant(ours, frozenset(SAVINGS[: LADDER[name]]))
            continue
        if name == "stock":
            variants[name] = stock_variant(
                StockTraining(ours.model.config.trunk_config, ours.autocast), ours.batches(frozenset(SAVINGS))
            )
            continue
        if published is None:
            model = PublishedBackpack(ours.model.config)
            model.load_ours(ours.model, share=True)  # with its optimizer state 2 GB less
            published = PublishedTraining(model, PhaseSchedule().at(0, STEPS), tokenizer.pad_token_id, ours.autocast)
            published.optimizer.state = ours.optimizer.state
        length = MAX_LENGTH if name == "published" else None
        batches = published_batches(pairs, args.pairs, published.pad, length)
        variants[name] = published_variant(published, batches)
    return variants


def our_variant(training: OurTraining, savings: frozenset[str]) -> Variant:
    batches = training.batches(savings)

    def step(number: int):
        training.set_up(savings)
        training.step(batches[number])

    return Variant(training, step, most_tokens(batches))


def stock_variant(training: StockTraining, batches: list[dict[str, Any]]) -> Variant:
    return Variant(training, lambda number: training.step(batches[number]), most_tokens(batches))


def published_variant(training: PublishedTraining, batches: list[tuple[Batch, Batch]]) -> Variant:
    return Variant(training, lambda number: training.step(*batches[number]), most_tokens(batches))


def peak_mib(variant: Variant) -> float:
    """Peak memory of a step under bf16 autocast, beyond weights and optimizer."""
    autocast, variant.training.autocast = variant.training.autocast, True
    peak = peak_without_products(lambda: variant.step(variant.largest))
    variant.training.autocast = autocast
    return peak / 2**20


def measure(variants: dict[str, Variant], batches: int) -> dict[str, dict[str, float]]:
    """CPU and wall seconds of all batches, and the peak memory of the largest."""
    figures: dict[str, dict[str, float]] = {}
    for name, variant in variants.items():
        variant.step(variant.largest)
        figures[name] = {"cpu_s": 0.0, "wall_s": 0.0, "peak_mib": peak_mib(variant)}
    for number in range(batches):
        for name, variant in variants.items():
            cpu, wall = time.process_time(), time.perf_counter()
            variant.step(number)
            figures[name]["cpu_s"] += time.process_time() - cpu
            figures[name]["wall_s"] += time.perf_counter() - wall
    return figures


def print_table(figures: dict[str, dict[str, float]], pairs: Pairs):
    tokens = sum(len(pair["source_ids"]) + len(pair["target_ids"]) for pair in pairs)
    first = next(iter(figures.values()))
    print(f"{len(pairs)} pairs, {tokens:,} tokens; times and shares are of the first line's.\n")
    print("| step | CPU s | wall s | pairs/s | tokens/s | peak memory | times faster (CPU) | share of memory |")
    print("|:--|--:|--:|--:|--:|--:|--:|--:|")
    for name, found in figures.items():
        print(
            f"| {name} | {found['cpu_s']:.1f} | {found['wall_s']:.1f} | {len(pairs) / found['wall_s']:.2f} "
            f"| {tokens / found['wall_s']:.0f} | {found['peak_mib']:.0f} MiB | {first['cpu_s'] / found['cpu_s']:.2f} "
            f"| {found['peak_mib'] / first['peak_mib']:.2f} |"
        )


def print_goals(figures: dict[str, dict[str, float]]):
    for name, figure, goal in GOALS:
        if name in figures and "ours" in figures:
            times = figures[name][figure] / figures["ours"][figure]
            verdict = "met" if times >= goal else "missed"
            print(f"`{name}` takes {times:.2f} times the {figure} of `ours`; goal {goal:g} (full size): {verdict}.")


def tera_operations(run: Callable[[], Any]) -> float:
    with WithoutProducts(), FlopCounterMode(display=False) as counter:  # counted, not carried out
        run()
    return counter.get_total_flops() / 1e12


def count_flops(args: argparse.Namespace, pairs: Pairs, tokenizer, folder: str):
    """Counted arithmetic of forward and backward; eager attention, because fused kernels of a CPU are not counted."""
    args.attention, args.precision = "eager", "float32"
    ours = OurTraining(args, tokenizer, folder, pairs)
    set_dropout(ours.model, 0.0)
    with torch.device("meta"):  # what the published script computes does not depend on the tokens
        model = PublishedBackpack(ours.model.config, attention="eager")
    training = PublishedTraining(model, PhaseSchedule().at(0, STEPS), tokenizer.pad_token_id, autocast=False)
    found: dict[str, float] = {}
    for name, length in (("published", MAX_LENGTH), ("published-longest", None)):
        batches = published_batches(pairs, args.pairs, training.pad, length)
        batches = [tuple(Batch(*(tensor.to("meta") for tensor in side)) for side in batch) for batch in batches]
        found[name] = sum(tera_operations(lambda b=b: training.backward(*b)) for b in batches) / len(batches)
    for name, count in LADDER.items():
        if name in args.only and name not in ("+no-dropout", "+fused-gelu", "+fused-adamw", "+chunked-loss"):
            savings = frozenset(SAVINGS[:count]) | {"no-dropout", "chunked-loss"}  # neither changes the count
            ours.set_up(savings)
            batches = ours.batches(savings)
            found[name] = sum(tera_operations(lambda b=b: ours.backward(b)) for b in batches) / len(batches)
            ours.model.zero_grad()
    print(
        f"Means over {args.batches} batches of {args.pairs} pairs.\n\n| step | TFLOP | of published |\n|:--|--:|--:|"
    )
    for name, count in found.items():
        print(f"| {name} | {count:.2f} | 1/{found['published'] / count:.2f} |")
    if args.model == "full" and "ours" in found:
        print(f"\nGoal at 64 pairs: at most {PUBLISHED_TFLOP / 7:.2f} TFLOP, 1/7 of {PUBLISHED_TFLOP:g}.")
    return found


def main():
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    transformers_logging.set_verbosity_error()
    data = args.data if args.model == "full" else None
    tokenizer = load_tokenizer(data)
    pairs = load_pairs(data, tokenizer, args.pairs * args.batches)
    with tempfile.TemporaryDirectory() as folder:
        if args.flops:
            found: dict[str, Any] = count_flops(args, pairs, tokenizer, folder)
        else:
            found = measure(build_variants(args, pairs, tokenizer, folder), args.batches)
            print_table(found, pairs)
            print_goals(found)
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
