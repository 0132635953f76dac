"""Fast: steps and decoding beside stock GPT-2, and what a step does on the device.

Variants take turns, a turn being all batches one after the other, so that the processor may run ahead of the device as
it does in training; figures are medians over turns, after one that warms up. Tokens are real ones, of both languages.
Arithmetic is that of matrix products and attention, counted by torch; its share of the card's peak is the model FLOP
utilisation (MFU). Memory is the peak beyond weights and optimizer.
"""

import statistics
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from decoding import build_models, prompt
from gpu_profile import WAITS_AT, profiled, waits_by_line
from gpu_report import Found, NotRun, Row
from gpu_setup import Pair, Setup, parameter_count
from gpu_steps import POINT, Training, cached_backward, sensia_backward, stock_backward
from published_step import MAX_LENGTH, PublishedBackpack, PublishedTraining, pad_side
from published_step import Batch as Side
from torch.utils.flop_counter import FlopCounterMode
from transformers import PrinterCallback, TrainerCallback

#: Dense two-byte matrix products of tensor cores, in 10^12 operations a second, as the makers state them.
PEAKS = {
    "H100 PCIe": 756,
    "H100 NVL": 835,
    "H100": 989,
    "H200": 989,
    "B200": 2250,
    "A100": 312,
    "L40S": 362,
    "L4": 121,
    "A10G": 70,
    "RTX 4090": 165,
    "T4": 65,
}
GOAL = 250_000
STOCK, SENSIA = "stock GPT-2, language model", "SENSIA"


class Variant(NamedTuple):
    """
    A way to take steps.

    Args:
        step (`Callable`): one step, of a batch.
        batches (`Sequence`): those of a turn.
        pairs (`int`): pairs of a turn.
        tokens (`int`): their tokens.
        tera (`float`): matrix products and attention of a turn, in 10^12 operations.
    """

    step: Callable[[Any], Any]
    batches: Sequence[Any]
    pairs: int
    tokens: int
    tera: float

    def turn(self):
        for batch in self.batches:
            self.step(batch)


def tokens_of(pairs: Sequence[Pair]) -> int:
    return sum(len(side) for pair in pairs for side in pair.values())


def count(step: Callable[[Any], Any], batches: Sequence[Any], pairs: Sequence[Pair]) -> Variant:
    """A way to take steps, with what a turn of it holds; takes one to count its arithmetic."""
    with FlopCounterMode(display=False) as counter:
        for batch in batches:
            step(batch)
    return Variant(step, batches, len(pairs), tokens_of(pairs), counter.get_total_flops() / 1e12)


def variant(training: Training, setup: Setup, cuts: Sequence[Sequence[Pair]]) -> Variant:
    """A training that takes one step for each of these lists of pairs."""
    batches = [setup.batch(pairs) for pairs in cuts]
    return count(training.step, batches, [pair for cut in cuts for pair in cut])


def take_turns(setup: Setup, variants: dict[str, Variant]) -> list[Row]:
    """Speed, arithmetic and memory of each variant."""
    peaks = {name: warm_up(setup, each) for name, each in variants.items()}
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(setup.sizes.rounds):
        for name, each in variants.items():
            setup.wait()
            start = time.perf_counter()
            each.turn()
            setup.wait()
            seconds[name].append(time.perf_counter() - start)
    return [
        figures(setup, name, each, statistics.median(seconds[name]), peaks[name]) for name, each in variants.items()
    ]


def warm_up(setup: Setup, each: Variant) -> int:
    """Takes two turns, and returns what the second one took beyond what was there, in bytes at its peak."""
    each.turn()
    setup.wait()
    on_gpu = setup.device.type == "cuda"
    before = torch.cuda.memory_allocated() if on_gpu else 0
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    each.turn()
    setup.wait()
    return torch.cuda.max_memory_allocated() - before if on_gpu else 0


def figures(setup: Setup, name: str, each: Variant, seconds: float, peak: int) -> Row:
    row = {
        "step": name,
        "ms a step": 1e3 * seconds / len(each.batches),
        "tokens/s": each.tokens / seconds,
        "pairs/s": each.pairs / seconds,
        "TFLOP a step": each.tera / len(each.batches),
        "TFLOP/s": each.tera / seconds,
        "peak MiB": peak / 2**20,
    }
    card = card_peak(setup)
    return row | {"MFU": each.tera / seconds / card if card else "-"}


def card_peak(setup: Setup) -> float | None:
    """Returns the maker's figure for this card, in 10^12 operations a second."""
    name = torch.cuda.get_device_name() if setup.device.type == "cuda" else ""
    return next((float(peak) for card, peak in PEAKS.items() if card in name), None)


def two_trainings(setup: Setup) -> dict[str, Training]:
    return {
        STOCK: Training(setup, setup.stock(), stock_backward),
        SENSIA: Training(setup, setup.backpack(), sensia_backward),
    }


def measure_steps(setup: Setup) -> Found:
    """SENSIA's step and stock GPT-2's over the same rows."""
    cuts = setup.batches(setup.sizes.pairs)[: setup.sizes.batches]
    trainings = two_trainings(setup)
    rows = take_turns(setup, {name: variant(each, setup, cuts) for name, each in trainings.items()})
    sizes = ", ".join(f"{name} {parameter_count(each.model):,} parameters" for name, each in trainings.items())
    return Found(f"{beside(rows)}; {sizes}", None, rows)


def beside(rows: Sequence[Row]) -> str:
    stock, ours = rows[0], rows[-1]
    times = ours["ms a step"] / stock["ms a step"]
    return (
        f"{ours['tokens/s']:,.0f} real tokens/s (goal {GOAL:,}), {times:.2f} times the stock step's time (goal 1.25)"
    )


def measure_compiled(setup: Setup) -> Found:
    """The same two with their trunks compiled."""
    cuts = setup.batches(setup.sizes.pairs)[: setup.sizes.batches]
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    trainings = two_trainings(setup)
    # Arithmetic is counted before, because counting does not see what is compiled.
    variants = {f"{name}, compiled": variant(each, setup, cuts) for name, each in trainings.items()}
    stock, ours = (each.model for each in trainings.values())
    for trunk in (stock.transformer, ours.backpack.trunk):
        trunk.compile(dynamic=True, backend=setup.compile_backend)
    start = time.perf_counter()
    for each in variants.values():
        each.step(each.batches[0])
    setup.wait()
    compiling = time.perf_counter() - start
    rows = take_turns(setup, variants)
    breaks = sum(torch._dynamo.utils.counters["graph_break"].values())
    return Found(f"{beside(rows)}; {compiling:.0f} s to compile both, {breaks} graph breaks", None, rows)


def measure_contrastive(setup: Setup) -> Found:
    """A step of many pairs by gradient caching, and one of as many pairs as a few steps in one forward."""
    pairs, negatives = setup.sizes.pairs, setup.sizes.negatives
    micro_batches = setup.batches(pairs)[: negatives // pairs]
    training = Training(setup, setup.backpack(), lambda model, batches: cached_backward(model, batches, setup))
    batches = [setup.batch(cut) for cut in micro_batches]
    chosen = [pair for cut in micro_batches for pair in cut]
    cached = count(training.step, [batches], chosen)
    larger = Training(setup, setup.backpack(), sensia_backward)
    cuts = setup.batches(4 * pairs)[:2]
    variants = {f"contrastive {negatives}": cached}
    if cuts:
        variants[f"{4 * pairs} pairs at once"] = variant(larger, setup, cuts)
    rows = take_turns(setup, variants)
    return Found(f"{rows[0]['pairs/s']:,.0f} pairs/s with {negatives:,} pairs as each other's negatives", None, rows)


def measure_published(setup: Setup) -> Found:
    """The authors' script's step, each sentence padded to 256 tokens or to the longest of its batch."""
    cuts = setup.batches(setup.sizes.pairs)[:2]
    pairs = [pair for cut in cuts for pair in cut]
    with setup.device:
        published = PublishedBackpack(setup.backpack().config)
    training = PublishedTraining(published, POINT, setup.pad)
    variants = {}
    for name, length in (("published, padded to the longest", None), ("published, padded to 256", MAX_LENGTH)):
        batches = [[pad_to(setup, cut, side, length) for side in ("source_ids", "target_ids")] for cut in cuts]
        variants[name] = count(lambda sides: training.step(*sides), batches, pairs)
    variants[SENSIA] = variant(Training(setup, setup.backpack(), sensia_backward), setup, cuts)
    rows = take_turns(setup, variants)
    slower = rows[1]["ms a step"] / rows[-1]["ms a step"]
    return Found(f"the published step takes {slower:.1f} times as long as SENSIA's", None, rows)


def pad_to(setup: Setup, pairs: Sequence[Pair], side: str, length: int | None) -> Side:
    padded = pad_side([pair[side] for pair in pairs], setup.pad, length)
    return Side(*(tensor.to(setup.device) for tensor in padded))


def profile_step(setup: Setup) -> Found:
    """Profiles a step: launches, waits for the device with the lines that cause them, and the longest operations."""
    cuts = setup.batches(setup.sizes.pairs)[: setup.sizes.batches]
    found: dict[str, dict[str, float]] = {}
    for name, training in two_trainings(setup).items():
        each = variant(training, setup, cuts)
        each.turn()
        found[name] = profiled(setup, each.turn, len(cuts)) | waits_by_line(setup, each.turn, len(cuts))
    names = dict.fromkeys(what for figures_of_one in found.values() for what in figures_of_one)
    rows: list[Row] = [{"a step has": what, **{name: found[name].get(what, 0.0) for name in found}} for what in names]
    ours = found[SENSIA]
    waits = sum(value for what, value in ours.items() if what.startswith(WAITS_AT))
    return Found(f"{ours['launches']:,.0f} launches, {waits:.1f} waits for the device a step", None, rows)


@cache
def decoding_models(setup: Setup) -> tuple[Namespace, dict[str, torch.nn.Module]]:
    sizes = setup.sizes
    args = Namespace(
        vocabulary=sizes.vocabulary,
        width=sizes.width,
        layers=sizes.layers,
        heads=sizes.heads,
        senses=sizes.senses,
        device=str(setup.device),
        dtype=str(setup.half).removeprefix("torch."),
    )
    with setup.device:
        return args, build_models(args)


def measure_decoding(setup: Setup, rows_at_once: Sequence[int] = (), **options: Any) -> Found:
    """Greedy decoding of rows of 32 tokens."""
    rows: list[Row] = []
    with torch.inference_mode():
        args, models = decoding_models(setup)
        for at_once in rows_at_once or setup.sizes.decoded_rows:
            ids = prompt(at_once, 32, args)
            seconds: dict[str, list[float]] = {name: [] for name in models}
            for round_number in range(setup.sizes.rounds + 1):
                for name, model in models.items():
                    setup.wait()
                    start = time.perf_counter()
                    model.generate(ids, max_new_tokens=setup.sizes.new_tokens, do_sample=False, **options)
                    setup.wait()
                    if round_number:
                        seconds[name].append(time.perf_counter() - start)
            speeds = {
                name: at_once * setup.sizes.new_tokens / statistics.median(each) for name, each in seconds.items()
            }
            rows += [
                {"rows": at_once, "model": name, "tokens/s": speed, "of stock": speed / speeds["stock"]}
                for name, speed in speeds.items()
            ]
    share = min(row["of stock"] for row in rows if row["model"] == "backpack with table")
    return Found(f"with a table at least {share:.2f} of stock GPT-2's tokens/s", None, rows)


def measure_static_decoding(setup: Setup) -> Found:
    """The same with a static cache, which generation compiles on a GPU."""
    if setup.device.type == "cpu":
        raise NotRun("generation compiles on a GPU only")
    return measure_decoding(setup, rows_at_once=(1,), cache_implementation="static")


def measure_trainer(setup: Setup) -> Found:
    """Whole steps of the trainer, with its data loader, logs and schedule; needs `datasets`."""
    from datasets import Dataset

    from sensia.trainers import SensiaConfig, SensiaTrainer

    steps = 4 * setup.sizes.batches
    data = Dataset.from_list(setup.all_pairs)
    with tempfile.TemporaryDirectory() as folder:
        config = SensiaConfig(
            output_dir=folder,
            max_steps=steps,
            per_device_train_batch_size=setup.sizes.pairs,
            bf16=setup.device.type == "cuda" and setup.half == torch.bfloat16,
            use_cpu=setup.device.type == "cpu",
            logging_steps=10,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = SensiaTrainer(setup.backpack(), config, train_dataset=data, processing_class=setup.tokenizer)
        trainer.remove_callback(PrinterCallback)
        clock = Clock()
        trainer.add_callback(clock)
        trainer.train()
    seconds = clock.ends[-1] - clock.ends[steps // 4]  # the first steps warm up
    speed = (steps - 1 - steps // 4) * setup.sizes.pairs / seconds
    tokens = tokens_of(setup.all_pairs) / len(setup.all_pairs)
    return Found(f"{speed:,.0f} pairs/s through the trainer, some {speed * tokens:,.0f} real tokens/s")


class Clock(TrainerCallback):
    """Records the time at which each step ended. Every step waits for the device, to see if its gradient is finite."""

    def __init__(self):
        self.ends: list[float] = []

    def on_step_end(self, *args: Any, **kwargs: Any):
        self.ends.append(time.perf_counter())


CHECKS: dict[str, Callable[[Setup], Found]] = {
    "steps beside stock GPT-2": measure_steps,
    "what a step does": profile_step,
    "decoding beside stock GPT-2": measure_decoding,
    "many negatives": measure_contrastive,
    "steps beside stock GPT-2, compiled": measure_compiled,
    "steps beside the published one": measure_published,
    "steps of the trainer": measure_trainer,
    "decoding with a static cache, compiled": measure_static_decoding,
}
