"""Time and peak memory of training the senses, against the equations written out, over lengths and sense counts.

    python benchmarks/sense_memory.py
    python benchmarks/sense_memory.py --width 192 --lengths 64 256 --senses 8
    python benchmarks/sense_memory.py --device cuda --dtype bfloat16

One forward and backward of a Backpack without trunk: embeddings to senses, states to contextualization, the mixture
and, with "vectors", SENSIA's two sentence vectors. The written-out version forms every contribution
P[b, k, t] = sum_j C[b, k, t, j] S[b, k, j] ([B, K, L, D]), sums it over k, and pools it. Each figure is ours over
theirs, so below 1 is better; memory is the peak of what torch allocates beyond the weights.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile
from transformers import GPT2Config

from modeling_sensia import BackpackConfig, BackpackModel
from modeling_sensia.sense_mixing import contextualize, mix_and_measure, mix_senses, pool_context, pool_senses

TEMPERATURE = 0.7


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2, help="rows B (default: %(default)s)")
    parser.add_argument("--width", type=int, default=768, help="hidden size D (default: %(default)s)")
    parser.add_argument("--lengths", type=int, nargs="+", default=[64, 256, 512, 1024], help="lengths L")
    parser.add_argument("--senses", type=int, nargs="+", default=[4, 16], help="sense counts K")
    parser.add_argument("--rounds", type=int, default=3, help="rounds to take the median of (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="device (default: %(default)s)")
    parser.add_argument("--dtype", default="float32", help="dtype (default: %(default)s)")
    return parser.parse_args()


def build(args: argparse.Namespace, num_senses: int) -> BackpackModel:
    trunk = GPT2Config(vocab_size=8, n_positions=8, n_embd=args.width, n_layer=1, n_head=1)
    config = BackpackConfig(trunk_config=trunk, num_senses=num_senses, sense_dropout=0.0)
    return BackpackModel(config).train().to(device=args.device, dtype=getattr(torch, args.dtype))


def by_sense(vectors: Tensor, num_senses: int) -> Tensor:
    return vectors.unflatten(-1, (num_senses, -1)).transpose(1, 2)


def networks(model: BackpackModel, embeddings: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
    """Contextualization [B, K, L, L] and senses [B, K, L, D], which both versions start from."""
    num_senses, length = model.config.num_senses, states.shape[1]
    queries, keys = (by_sense(half, num_senses) for half in model.weight_network(states))
    mask = torch.ones(length, length, dtype=torch.bool, device=states.device).tril()[None, None]
    return contextualize(queries, keys, mask), by_sense(model.sense_network(embeddings), num_senses)


def ours(contextualization: Tensor, senses: Tensor, real: Tensor, vectors: bool) -> Tensor:
    if not vectors:
        return mix_senses(contextualization, senses).sum()
    mixture, squared_norms = mix_and_measure(contextualization, senses)
    sense_vectors, entropy = pool_senses(contextualization, senses, real, TEMPERATURE, squared_norms)
    return mixture.sum() + sense_vectors.sum() + pool_context(mixture, real).sum() + entropy.sum()


def written_out(contextualization: Tensor, senses: Tensor, real: Tensor, vectors: bool) -> Tensor:
    contributions = contextualization @ senses  # [B, K, L, D]
    mixture = contributions.sum(1)  # [B, L, D]
    if not vectors:
        return mixture.sum()
    contributions = contributions.float()
    weights = (contributions.norm(dim=-1) / TEMPERATURE).softmax(1)  # [B, K, L]
    entropy = -(weights * weights.log()).sum(1).mean(1)  # [B]
    pooled = (weights[..., None] * contributions).sum(1).mean(1)  # [B, D]
    context = F.normalize(mixture[:, -1].float(), dim=-1)
    return mixture.sum() + F.normalize(pooled, dim=-1).sum() + context.sum() + entropy.sum()


def training_step(model: BackpackModel, inputs: list[Tensor], version: Callable, vectors: bool) -> Callable[[], None]:
    embeddings, states = inputs
    real = embeddings.new_ones(embeddings.shape[:2])

    def run():
        version(*networks(model, embeddings, states), real, vectors).backward()
        model.zero_grad()
        embeddings.grad = states.grad = None

    return run


def peak_bytes(run: Callable[[], None], device: str) -> int:
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    total = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        total += event.nbytes()
        peak = max(peak, total)
    return peak


def seconds(runs: list[Callable[[], None]], rounds: int) -> list[float]:
    taken: list[list[float]] = [[] for _ in runs]
    for number in range(rounds + 1):
        for run, values in zip(runs, taken, strict=True):
            start = time.perf_counter()
            run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if number:
                values.append(time.perf_counter() - start)
    return [statistics.median(values) for values in taken]


def main():
    args = parse_arguments()
    torch.manual_seed(0)
    print("| K | L | with | time | peak memory | ours | written out |")
    print("|--:|--:|:--|--:|--:|--:|--:|")
    for num_senses in args.senses:
        model = build(args, num_senses)
        for length in args.lengths:
            shape = (args.rows, length, args.width)
            inputs = [torch.randn(shape, device=args.device, dtype=model.dtype, requires_grad=True) for _ in range(2)]
            for vectors in (False, True):
                runs = [training_step(model, inputs, version, vectors) for version in (ours, written_out)]
                fast, slow = seconds(runs, args.rounds)
                small, large = (peak_bytes(run, args.device) / 2**20 for run in runs)
                part = "vectors" if vectors else "mixture"
                print(
                    f"| {num_senses} | {length} | {part} | {fast / slow:.2f} | {small / large:.2f} "
                    f"| {small:.0f} MiB | {large:.0f} MiB |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
