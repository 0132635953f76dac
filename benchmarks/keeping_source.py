"""Time of a training step with each way to keep the source language, against a step without any.

    python benchmarks/keeping_source.py
    python benchmarks/keeping_source.py --steps 40 --config my.yaml
    python benchmarks/keeping_source.py --steps 3 --flops            # counted arithmetic instead of times

All variants train the model of the configuration (the quickstart's by default) on the same batches in one process, and
take turns batch by batch, each in every place of the order, after two batches that warm up. A step is what the trainer
does: the forwards, backward, clipping and the optimizer. Batches are made before. The factor is the median over
batches of the time divided by that of the variant without any, for the same batch; the interval holds the middle half
of them. CPU seconds are those of all threads: other work on the machine changes them less.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from datasets.utils.logging import disable_progress_bar
from torch.utils.flop_counter import FlopCounterMode
from transformers import set_seed
from transformers.utils import logging as transformers_logging

from modeling_sensia.loading import load_base
from sensia.trainers import SensiaConfig, SensiaTrainer
from sensia.trainers import parse_arguments as parse_settings
from sensia.trainers.allocator import keep_freed_memory
from sensia.trainers.run_arguments import AdaptArguments
from sensia.trainers.training_data import load_train_pairs

QUICKSTART = Path(__file__).parents[1] / "examples/configs/quickstart.yaml"
VARIANTS: dict[str, dict[str, Any]] = {
    "neither": {"source_kl_weight": 0.0, "source_lm_weight": 0.0},
    "source_lm_weight": {"source_kl_weight": 0.0, "source_lm_weight": 1.0},
    "source_kl_weight": {"source_kl_weight": 1.0, "source_lm_weight": 0.0},
    "source_encoder": {"source_kl_weight": 0.0, "source_lm_weight": 0.0, "source_encoder": "base"},
    "source_kl_weight and source_encoder": {"source_kl_weight": 1.0, "source_encoder": "base"},
    "source_kl_weight and project_conflicts": {"source_kl_weight": 1.0, "project_conflicts": True},
}
WARM_UP = 2


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=QUICKSTART, help="settings of the run (default: quickstart)")
    parser.add_argument("--steps", type=int, default=20, help="timed steps of each variant (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: %(default)s)")
    parser.add_argument("--flops", action="store_true", help="count arithmetic instead")
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), default=list(VARIANTS), help="what to measure")
    return parser.parse_args()


def build_trainer(config: Path, folder: str, settings: dict[str, Any]) -> SensiaTrainer:
    """The trainer of a variant, ready for its first step."""
    typed = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    typed += ["--config", str(config), "--output_dir", folder, "--report_to", "none"]
    typed += ["--eval_strategy", "no", "--eval_on_start", "false", "--new_token_learning_rate", "null"]
    args, training = parse_settings(AdaptArguments, SensiaConfig, description="", arguments=typed)
    set_seed(training.seed)
    model, tokenizer = load_base(args.model, attn_implementation=args.attn_implementation)
    length = min(args.max_length, model.config.max_position_embeddings)
    train = load_train_pairs(args, tokenizer, length, training.seed)
    trainer = SensiaTrainer(
        model, training, train_dataset=train.pairs, train_texts=train.texts, processing_class=tokenizer
    )
    trainer.state.max_steps = training.max_steps
    trainer.current_gradient_accumulation_steps = 1
    return trainer


def step_of(trainer: SensiaTrainer, steps: int) -> Callable[[int], int]:
    """
    A function of the number of a batch, which takes a step with it and returns the pairs in it.

    Args:
        trainer ([`SensiaTrainer`]): from [`build_trainer`].
        steps (`int`): number of batches.
    """
    batches = iter(trainer.get_train_dataloader())
    drawn: list[Any] = [trainer.get_batch_samples(batches, 1, trainer.args.device) for _ in range(steps)]
    optimizer = trainer.create_optimizer()
    model, optimizer = trainer.accelerator.prepare(trainer.model, optimizer)

    def step(number: int) -> int:
        (inputs,), _ = drawn[number]
        items = trainer._get_num_items_in_batch([inputs], trainer.args.device)
        trainer.training_step(model, inputs, items)
        trainer.accelerator.clip_grad_norm_(model.parameters(), trainer.args.max_grad_norm)
        optimizer.step()
        model.zero_grad()
        return inputs["num_pairs"]

    return step


class Times(NamedTuple):
    """
    Seconds of each timed step.

    Args:
        wall (`list` of `float`): on the clock.
        cpu (`list` of `float`): of all threads.
    """

    wall: list[float]
    cpu: list[float]


def measure(steps: dict[str, Callable[[int], int]], timed: int) -> tuple[dict[str, Times], int]:
    """Times of each variant, and the pairs in all timed steps."""
    times = {name: Times([], []) for name in steps}
    pairs = 0
    names = list(steps)
    for number in range(WARM_UP + timed):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            wall, cpu = time.perf_counter(), time.process_time()
            in_batch = steps[name](number)
            if number >= WARM_UP:
                times[name].wall.append(time.perf_counter() - wall)
                times[name].cpu.append(time.process_time() - cpu)
        pairs += in_batch if number >= WARM_UP else 0
    return times, pairs


def print_table(times: dict[str, Times], pairs: int):
    first = next(iter(times))
    print(f"\n| step | pairs/s | times `{first}` | middle half | CPU s of a step | times `{first}` | middle half |")
    print("|:--|--:|--:|--:|--:|--:|--:|")
    for name, own in times.items():
        factors = [_quartiles(each, base) for each, base in zip(own, times[first], strict=True)]
        wall, cpu = (f"{middle:.3f} | {low:.3f} to {high:.3f}" for low, middle, high in factors)
        print(
            f"| {name} | {pairs / sum(own.wall):.1f} | {wall} | {statistics.median(own.cpu):.3f} | {cpu} |", flush=True
        )


def _quartiles(own: list[float], base: list[float]) -> list[float]:
    return statistics.quantiles((each / other for each, other in zip(own, base, strict=True)), n=4)


def print_arithmetic(steps: dict[str, Callable[[int], int]], counted: int):
    """Operations of matrix products in a step, a mean over batches."""
    operations = dict.fromkeys(steps, 0)
    for name, step in steps.items():
        with FlopCounterMode(display=False) as counter:
            for number in range(counted):
                step(number)
        operations[name] = counter.get_total_flops()
    first = next(iter(steps))
    print(f"\n| step | GFLOP | times `{first}` |\n|:--|--:|--:|")
    for name, total in operations.items():
        print(f"| {name} | {total / counted / 1e9:.1f} | {total / operations[first]:.3f} |")


def main():
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    transformers_logging.set_verbosity_error()
    disable_progress_bar()
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        trainers = {name: build_trainer(args.config, folder, VARIANTS[name]) for name in args.only}
        steps = {name: step_of(trainer, WARM_UP + args.steps) for name, trainer in trainers.items()}
        if args.flops:
            print_arithmetic(steps, args.steps)
        else:
            print_table(*measure(steps, args.steps))


if __name__ == "__main__":
    main()
