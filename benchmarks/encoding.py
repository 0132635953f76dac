"""Throughput of sentence vectors, as a multiple of training's.

    python benchmarks/encoding.py                                     # the embedded Backpack and bitext: two minutes
    python benchmarks/encoding.py --model full --data DIR --count 64

Training and encoding take turns on the same pairs in one process, after a turn each that warms up, so that another
load of the machine changes all. A turn of training is `--count` pairs in steps of `--pairs`, forward, backward,
clipping and AdamW in float32, as the quickstart trains (both languages, no frozen copy). A turn of encoding gives the
context and the sense vectors of both sides of the same pairs, from texts, so with their tokenization. A turn of
evaluation is what a run does at `eval_steps`: the vectors, and the language model on both sides.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch
from datasets import Dataset
from training_setup import load_pairs, load_tokenizer
from training_step import SAVINGS, OurTraining

from sensia.evaluation import evaluate_bitext
from sensia.evaluation.sentence_vectors import sentence_vectors


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=["full", "mini"], default="mini", help="size (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="folder of parallel/ and tokenizer/; not needed for mini")
    parser.add_argument("--count", type=int, default=256, help="pairs of a turn (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=32, help="pairs of a training step (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: %(default)s)")
    return parser.parse_args()


def main():
    args = parse_arguments()
    args.attention, args.precision = "sdpa", "float32"
    torch.set_num_threads(args.threads)
    tokenizer = load_tokenizer(args.data)
    pairs = load_pairs(args.data, tokenizer, args.count)
    texts = [tokenizer.decode(pair[side][:-1]) for side in ("source_ids", "target_ids") for pair in pairs]
    rows = [{**pair, **{f"{side}_bytes": 1 for side in ("source", "target")}} for pair in pairs]
    with tempfile.TemporaryDirectory() as folder:
        training = OurTraining(args, tokenizer, folder, pairs)
        model, savings = training.model, frozenset(SAVINGS)
        training.set_up(savings)
        batches = training.batches(savings)
        turns = {
            "training": lambda: [training.step(batch) for batch in batches],
            "encoding": lambda: sentence_vectors(model, tokenizer, texts),
            "evaluation": lambda: evaluate_bitext(model, tokenizer, Dataset.from_list(rows), pooling_temperature=0.7),
        }
        seconds = {name: [0.0, 0.0] for name in turns}
        for number in range(args.rounds + 1):
            for name, turn in turns.items():
                cpu, wall = time.process_time(), time.perf_counter()
                turn()
                if number:  # the first warms up
                    seconds[name][0] += time.process_time() - cpu
                    seconds[name][1] += time.perf_counter() - wall
    done = args.rounds * len(pairs)
    print("| | CPU s | wall s | pairs/s | times training's (CPU) |\n|:--|--:|--:|--:|--:|")
    for name, (cpu, wall) in seconds.items():
        times = seconds["training"][0] / cpu
        print(f"| {name} | {cpu:.1f} | {wall:.1f} | {done / wall:.1f} | {times:.2f} |")


if __name__ == "__main__":
    main()
