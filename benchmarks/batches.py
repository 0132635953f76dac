"""Cost and use of the order of the data: repeated sentences in random batches, time and padding of ours.

    python benchmarks/batches.py --data DIR
    python benchmarks/batches.py --data DIR --pairs parallel/en-tr.train.jsonl.gz --target tr

Reads pairs and a tokenizer from a data folder, and takes two million synthetic lengths besides.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from transformers import AutoTokenizer

from sensia.corpora import clean_pairs, read_pairs
from sensia.trainers.sampling import BatchShape, LengthWindowSampler, measure_pairs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="Data folder.")
    parser.add_argument("--pairs", default="parallel/en-id.train.jsonl.gz", help="Bitext, relative to the folder.")
    parser.add_argument("--target", default="id", help="Language code of its target side.")
    parser.add_argument("--tokenizer", default="tokenizer/gpt2", help="Tokenizer, relative to the folder.")
    args = parser.parse_args()
    bitext = read_pairs(str(args.data / args.pairs), source_language="en", target_language=args.target)
    tokenizer = AutoTokenizer.from_pretrained(args.data / args.tokenizer)
    pairs, report = clean_pairs(bitext, tokenizer, max_length=256)
    start = time.process_time()
    lengths, keys = measure_pairs(pairs)
    print(f"{report}\nmeasured in CPU {time.process_time() - start:.1f} s")
    for size in (64, 4096):
        show(lengths, keys, size)
    random = np.random.default_rng(0)
    print("synthetic: one pair in five shares its source with another")
    lengths = random.lognormal(3.5, 0.7, 2_000_000).clip(2, 256).astype(int)
    keys = np.stack([random.integers(0, 4_500_000, len(lengths)), np.arange(len(lengths))], axis=1)
    for size in (64, 4096):
        show(lengths, keys, size)


def show(lengths, keys, size: int):
    start = time.process_time()
    sampler = LengthWindowSampler(lengths, BatchShape(size), 0, keys)
    made = time.process_time() - start
    start = time.process_time()
    order = np.array(list(sampler)).reshape(-1, size)
    epoch = time.process_time() - start
    random = np.random.default_rng(0).permutation(len(lengths))[: order.size].reshape(-1, size)
    blind = np.array(list(LengthWindowSampler(lengths, BatchShape(size), 0))).reshape(-1, size)
    print(
        f"{len(lengths):,} pairs by {size:,}: repeating a sentence of their batch: {collisions(keys, random):.2%} in "
        f"random order, {collisions(keys, blind):.2%} in length windows, {collisions(keys, order):.2%} here; left out "
        f"{sampler.left_out:,}; {made:.1f} CPU s for the order of the first epoch, {epoch:.2f} s to read it; "
        f"width x rows over tokens "
        f"{padding(lengths, random):.2f} in random order, {padding(lengths, blind):.3f} in length windows, "
        f"{padding(lengths, order):.3f} here"
    )


def collisions(keys, batches) -> float:
    """Share of pairs of which a side stands in their batch already."""
    distinct = sum(min(len(set(side.tolist())) for side in keys[batch].T) for batch in batches)
    return 1 - distinct / batches.size


def padding(lengths, batches) -> float:
    by_pair = np.asarray(lengths)[batches]
    return by_pair.max(1).sum() * batches.shape[1] / by_pair.sum()


if __name__ == "__main__":
    main()
