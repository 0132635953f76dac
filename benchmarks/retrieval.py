"""Cost of exact retrieval among many sentences: time and memory of all metrics, and of the full matrix of cosines.

    python benchmarks/retrieval.py --sentences 100000 --dimension 768

The vectors are random pairs that lie near each other: neither time nor memory depends on what they mean.
"""

import argparse
import resource
import time

import torch

from sensia.evaluation.retrieval import retrieval_metrics


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=100_000, help="pairs of sentences (%(default)s)")
    parser.add_argument("--dimension", type=int, default=192, help="numbers of a vector (%(default)s)")
    parser.add_argument("--noise", type=float, default=2.0, help="distance of translations (%(default)s)")
    args = parser.parse_args()
    torch.manual_seed(0)
    source = torch.randn(args.sentences, args.dimension)
    # In place, so that making them takes no memory that is then free for what is measured.
    target = torch.randn(args.sentences, args.dimension).mul_(args.noise).add_(source)
    before, start = peak_mib(), time.perf_counter()
    metrics = retrieval_metrics(source, target)
    seconds = time.perf_counter() - start
    print(", ".join(f"{name} {value:.5f}" for name, value in metrics.items() if "_to_" not in name))
    full = args.sentences**2 * 4 / 2**20
    print(
        f"{args.sentences:,} x {args.sentences:,} in {seconds:.0f} s on {torch.get_num_threads()} threads; peak "
        f"{peak_mib() - before:,.0f} MiB over the vectors, where all cosines take {full:,.0f}"
    )


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
