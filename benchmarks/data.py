"""Times bitext on its way from a file to the first batch: reading, tokenizing, planning, and the second start.

    python benchmarks/data.py                       # 100,000, 1,000,000 and 2,000,000 pairs
    python benchmarks/data.py --sizes 20000 40000

The pairs are those of the embedded bitext. To have more of them, copies get a number at their end, so that no pair
comes twice. Each size runs in a process of its own. `growth` is the time a pair over that of the first size: 1 where
the cost grows as the pairs do.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import datasets
from transformers import AutoTokenizer

import sensia  # noqa: F401 (in a checkout, finds the packages)
from sensia.corpora import read_pairs
from sensia.trainers.run_arguments import AdaptArguments
from sensia.trainers.sampling import BatchShape, LengthWindowSampler, measure_pairs
from sensia.trainers.training_data import load_train_pairs

ASSETS = Path(__file__).parents[1] / "examples/assets"
MODEL, BITEXT = ASSETS / "backpack-en-mini", ASSETS / "bitext/en-id.train.parquet"
STAGES = ("read", "tokenize", "plan", "second start")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000, 2_000_000], help="pairs")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)  # in the process of one size: the file of pairs
    parser.add_argument("--again", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(second_start(args.one) if args.again else first_start(args.one)))
        return
    print("| pairs | stage | seconds | pairs/s | growth |\n|---:|---|---:|---:|---:|")
    for line in report(args.sizes):
        print(line, flush=True)


def report(sizes: list[int]) -> Iterator[str]:
    """Rows of the table, measured size by size."""
    of_first = dict[str, float]()
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "pairs.jsonl")
            write_pairs(path, size)
            environment = {**os.environ, "HF_DATASETS_CACHE": str(Path(folder, "cache"))}
            first, again = (run_alone(path, environment, *options) for options in ((), ("--again",)))
        for stage in STAGES:
            seconds = {**first, **again}[stage]
            a_pair = seconds / size
            growth = a_pair / of_first.setdefault(stage, a_pair)
            yield f"| {size:,} | {stage} | {seconds:.1f} | {size / seconds:,.0f} | {growth:.2f} |"
        yield f"| {size:,} | memory, first and second start | {first['MiB']:,} and {again['MiB']:,} MiB | | |"


def run_alone(path: Path, environment: dict[str, str], *options: str) -> dict[str, float]:
    """Measures one size in a process of its own."""
    command = [sys.executable, __file__, "--one", str(path), *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def write_pairs(path: Path, size: int):
    """Writes so many different pairs as JSON lines."""
    rows = read_pairs(str(BITEXT), source_language="en", target_language="id").select_columns(["source", "target"])
    pairs = list(zip(rows["source"][:], rows["target"][:], strict=True))
    numbered = ((number // len(pairs), *pairs[number % len(pairs)]) for number in range(size))
    with path.open("w", encoding="utf-8") as file:
        for copy, source, target in islice(numbered, size):
            end = f" {copy}" if copy else ""
            file.write(json.dumps({"en": source + end, "id": target + end}, ensure_ascii=False) + "\n")


def first_start(path: Path) -> dict[str, float]:
    """Seconds of reading, of all that follows until the pairs are kept, and of planning; and the memory."""
    datasets.disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(MODEL, trust_remote_code=False)
    start = time.perf_counter()
    read_pairs(str(path), source_language="en", target_language="id")
    read = time.perf_counter()
    pairs = prepare(path, tokenizer)  # reads again
    prepared = time.perf_counter()
    plan_first_batch(pairs)
    times = {"read": read - start, "tokenize": prepared - 2 * read + start, "plan": time.perf_counter() - prepared}
    return {**times, "MiB": peak_memory()}


def second_start(path: Path) -> dict[str, float]:
    """Seconds from the settings to the first batch, where the bitext was prepared before, and the memory of it."""
    datasets.disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(MODEL, trust_remote_code=False)
    start = time.perf_counter()
    plan_first_batch(prepare(path, tokenizer))
    return {"second start": time.perf_counter() - start, "MiB": peak_memory()}


def prepare(path: Path, tokenizer):
    args = AdaptArguments(model=str(MODEL), train_data=[str(path)], target_language=["id"])
    return load_train_pairs(args, tokenizer, max_length=128, seed=0).pairs


def plan_first_batch(pairs: datasets.Dataset):
    lengths, keys = measure_pairs(pairs)
    order = iter(LengthWindowSampler(lengths, BatchShape(32), seed=0, keys=keys))
    pairs[list(islice(order, 32))]


def peak_memory() -> int:
    """Largest resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
