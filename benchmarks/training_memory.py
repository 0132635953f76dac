"""Peak memory of a training step: predicted from the sizes, measured, and how flat gradient caching keeps it.

    python benchmarks/training_memory.py --data DIR      # predicted over measured, then full size at 64 pairs
    python benchmarks/training_memory.py                 # the embedded model alone: a minute
    python benchmarks/training_memory.py --curve         # contrastive batches of 64 to 4,096 pairs; minutes

DIR holds parallel/en-id.train.jsonl.gz and tokenizer/gpt2. Memory is what torch allocates on a CPU beyond weights and
optimizer, under bf16 autocast, without dropout; matrix products are left out, which changes no allocation. A GPU adds
the CUDA context (about 0.5 GB), workspaces and fragmentation.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from training_setup import SEED, Pairs, build_model, load_pairs, load_tokenizer, peak_without_products
from transformers.utils import logging as transformers_logging

from modeling_sensia import BackpackConfig, BackpackForCausalLM
from sensia.trainers import ParallelCollator, SensiaConfig, SensiaTrainer
from sensia.trainers.sampling import BatchShape, LengthWindowSampler

FLOAT, HALF = 4, 2  # bytes of a float32 and of a bf16 number
LOGITS_AT_A_TIME = 2**25
STEPS = 1000
GOAL_GB = 10
CURVE = (64, 256, 1024, 4096)


class BatchSizes(NamedTuple):
    """
    The numbers of a batch that decide its memory.

    Args:
        rows (`int`): rows R of the batch.
        length (`int`): positions L of a row.
        tokens (`int`): distinct tokens U.
        predicted (`int`): positions N with a label.
    """

    rows: int
    length: int
    tokens: int
    predicted: int

    @classmethod
    def of(cls, batch: dict[str, Any]) -> "BatchSizes":
        ids, labels = batch["input_ids"], batch["labels"]
        return cls(*ids.shape, len(ids.unique()), int((labels[:, 1:] != -100).sum()))


class Prediction(NamedTuple):
    """Bytes: weights and AdamW's two averages, which are always there, and the parts of a step and their peak."""

    resident: int
    parts: dict[str, int]
    peak: int


def count_weights(config: BackpackConfig) -> tuple[int, int]:
    """All weights but the word embeddings, and those among them that are matrices, which autocast copies."""
    width, layers, senses = config.hidden_size, config.num_hidden_layers - 1, config.num_senses
    inner = config.sense_intermediate_scale * width
    block = 12 * width**2  # attention 3 + 1, MLP 4 + 4
    sense_network = 8 * width**2 + width * inner + inner * senses * width
    matrices = layers * block + sense_network + 2 * width * senses * (width // senses)
    vectors = layers * 13 * width + 2 * width + (11 + senses) * width + inner + 2 * senses * (width // senses)
    return matrices + vectors + config.max_position_embeddings * width, matrices


def chunk_memory(predicted: int, vocabulary: int, embedding: int) -> int:
    """
    Beyond the head's gradient: a chunk's logits in both precisions, the first one's before there is that gradient; or
    its gradient with the head's increment, of which a CPU makes a copy in float32 to add it.
    """
    whole = max(LOGITS_AT_A_TIME // vocabulary, 1)
    first, second = (max(min(predicted - start, whole), 0) * vocabulary for start in (0, whole))
    both = FLOAT + HALF
    adding = second * HALF + embedding * both if second else (first + embedding) * HALF
    return max(first * both - embedding * FLOAT, second * both, adding)


def predict(config: BackpackConfig, batch: BatchSizes) -> Prediction:
    """
    Peak memory of a step with all savings: shared rows, distinct senses, chunked loss, fused attention.

    Three moments compete. When a chunk of logits is there, all activations are, and the head's gradient. When
    backward enters the mixture, the same activations are, with gradients of the contextualization and the senses. When
    it ends, there are no activations, but all gradients, and those of the word embeddings three times: as head, as
    input, and their sum. AdamW and clipping work in place.

    Args:
        config ([`BackpackConfig`]): sizes of the model; the trunk is a GPT-2.
        batch ([`BatchSizes`]): sizes of the batch.
    """
    width, senses, layers = config.hidden_size, config.num_senses, config.num_hidden_layers - 1
    inner, heads = config.sense_intermediate_scale * width, config.num_attention_heads
    places = batch.rows * batch.length  # T, pads included
    pairs_of_places = places * batch.length  # R L^2
    embedding = config.vocab_size * width
    others, matrices = count_weights(config)

    # One block keeps two residual sums and, in bf16, two normed inputs, queries, keys and values, the attended values,
    # and the MLP's hidden layer before and after its activation. Attention keeps one number for each row and head.
    block = places * (FLOAT * 2 * width + HALF * (2 + 3 + 1 + 8) * width + FLOAT * heads)
    trunk = layers * block + 2 * places * FLOAT * width  # embeddings, and the last norm's input
    # For each distinct token: embedding, two residual sums, normed inputs, two MLPs' hidden layers twice, K senses.
    sense_network = batch.tokens * (
        FLOAT * 3 * width + HALF * 2 * width + HALF * 2 * (4 * width + inner) + HALF * senses * width
    )
    # The softmax in float32, and its copies for mixing (bf16) and for pooling (float32); queries and keys, twice each,
    # and the states they come from.
    contextualization = senses * pairs_of_places * (2 * FLOAT + HALF)
    mixing = contextualization + places * HALF * (4 + 1) * width + places * FLOAT * width
    copies = HALF * matrices
    kept = trunk + sense_network + mixing + copies

    # The head's gradient, the head in bf16, the states and their gradient, and what a chunk of logits needs.
    states = batch.predicted * width * 2 * (FLOAT + HALF)
    loss = embedding * (FLOAT + HALF) + states + chunk_memory(batch.predicted, config.vocab_size, embedding)
    # Entering the mixture: the head's gradient, those of the contextualization (bf16 and float32 once more), and those
    # of the senses from mixing and from pooling.
    entering = embedding * FLOAT + contextualization + HALF * 2 * batch.tokens * senses * width
    ending = FLOAT * (others + 3 * embedding)

    parts = {
        "trunk": trunk,
        "sense network": sense_network,
        "mixing": mixing,
        "bf16 weights": copies,
        "loss": loss,
        "gradients": ending,
    }
    return Prediction(3 * FLOAT * (others + embedding), parts, max(kept + loss, kept + entering, ending))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of parallel/ and tokenizer/, for full width")
    parser.add_argument(
        "--pairs", type=int, nargs="+", default=[2, 4, 8, 16, 64], help="pairs of the batches measured"
    )
    parser.add_argument("--layers", type=int, nargs="+", default=[2, 4], help="layers measured at full width")
    parser.add_argument("--predict-pairs", type=int, default=64, help="pairs of the full-size prediction")
    parser.add_argument("--measure-full", action="store_true", help="measure that as well (6 GB)")
    parser.add_argument("--curve", action="store_true", help="measure gradient caching instead")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: %(default)s)")
    return parser.parse_args()


def make_trainer(model: BackpackForCausalLM, tokenizer, folder: str, **options) -> SensiaTrainer:
    config = SensiaConfig(output_dir=folder, use_cpu=True, report_to="none", **options)
    trainer = SensiaTrainer(without_dropout(model), config, processing_class=tokenizer)
    # As on a GPU, also where this processor is too slow in bf16 to be trained in it.
    trainer.compute_loss_context_manager = lambda: torch.autocast("cpu", torch.bfloat16)
    trainer.state.max_steps = STEPS
    trainer.current_gradient_accumulation_steps = config.gradient_accumulation_steps
    trainer.create_optimizer()
    return trainer


def without_dropout(model: BackpackForCausalLM) -> BackpackForCausalLM:
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def measure(trainer: SensiaTrainer, batches: list[dict[str, Any]]) -> int:
    """Peak bytes of one optimizer step of micro-batches."""
    model, optimizer = trainer.model, trainer.optimizer
    model.forward = torch.autocast("cpu", torch.bfloat16)(type(model).forward.__get__(model))  # as accelerate does

    def step():
        samples, items = trainer.get_batch_samples(iter(batches), len(batches), trainer.args.device)
        for sample in samples:
            trainer.training_step(model, sample, items)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()  # which makes its averages
    optimizer.zero_grad(set_to_none=True)
    return peak_without_products(step)


def make_batches(pairs: Pairs, tokenizer, size: int, positions: int) -> list[dict[str, Any]]:
    """Batches in the order in which training reads them."""
    lengths = [max(len(pair["source_ids"]), len(pair["target_ids"])) for pair in pairs]
    order = list(LengthWindowSampler(lengths, BatchShape(size), SEED))
    collate = ParallelCollator(tokenizer, packing=True, max_positions=positions)
    return [collate([pairs[n] for n in order[start : start + size]]) for start in range(0, len(order), size)]


def compare(name: str, model: BackpackForCausalLM, tokenizer, pairs: Pairs, sizes: list[int]):
    """Prints predicted and measured peaks of a model on batches of real pairs."""
    for size in sizes:
        batch = make_batches(pairs[: 4 * size], tokenizer, size, model.config.max_position_embeddings)[0]
        sizes_of_batch = BatchSizes.of(batch)
        with tempfile.TemporaryDirectory() as folder:
            trainer = make_trainer(model, tokenizer, folder, per_device_train_batch_size=size)
            measured = measure(trainer, [batch])
        predicted = predict(model.config, sizes_of_batch).peak
        print(
            f"| {name} | {size} | {sizes_of_batch.rows} x {sizes_of_batch.length} | {sizes_of_batch.tokens} "
            f"| {predicted / 2**20:.0f} | {measured / 2**20:.0f} | {predicted / measured:.2f} |",
            flush=True,
        )


def predict_full_size(tokenizer, pairs: Pairs, size: int):
    """The largest prediction over batches of real pairs, part by part."""
    config = BackpackConfig()
    batches = make_batches(pairs, tokenizer, size, config.max_position_embeddings)
    sizes = [BatchSizes.of(batch) for batch in batches]
    largest = max(sizes, key=lambda batch: predict(config, batch).peak)
    found = predict(config, largest)
    peaks = sorted(predict(config, batch).peak + found.resident for batch in sizes)
    print(f"\nFull size, {size} pairs: the largest of {len(batches)} batches has {largest}.\n")
    print("| part | GB |\n|:--|--:|")
    for name, number in {"weights and AdamW": found.resident, **found.parts}.items():
        print(f"| {name} | {number / 1e9:.2f} |")
    print(
        f"\nPeak of a step {found.peak / 1e9:.2f} GB; with weights and AdamW {peaks[-1] / 1e9:.2f} GB (median batch "
        f"{peaks[len(peaks) // 2] / 1e9:.2f} GB); goal at 64 pairs: at most {GOAL_GB} GB."
    )


def print_curve(tokenizer):
    """Peak memory against the contrastive batch, in micro-batches of the smallest."""
    micro_batch = CURVE[0]
    positions = build_model("mini", "sdpa").config.max_position_embeddings
    batches = make_batches(load_pairs(None, tokenizer, CURVE[-1]), tokenizer, micro_batch, positions)
    # The largest micro-batch comes first, in the smallest batch too.
    batches.sort(key=lambda batch: batch["input_ids"].numel(), reverse=True)
    print("| pairs contrasted | peak beyond weights and optimizer | over that of 64 |\n|--:|--:|--:|")
    first = None
    for size in CURVE:
        options = {"contrastive_batch_size": size, "per_device_train_batch_size": micro_batch}
        with tempfile.TemporaryDirectory() as folder:
            trainer = make_trainer(build_model("mini", "sdpa"), tokenizer, folder, **options)
            peak = measure(trainer, batches[: size // micro_batch])
        first = first or peak
        print(f"| {size:,} | {peak / 2**20:.0f} MiB | {peak / first:.2f} |", flush=True)


def main():
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    transformers_logging.set_verbosity_error()
    if args.curve:
        print_curve(load_tokenizer(None))
        return
    print("| model | pairs | rows x length | distinct tokens | predicted MiB | measured MiB | ratio |")
    print("|:--|--:|--:|--:|--:|--:|--:|")
    most = 4 * max(args.pairs)
    tokenizer = load_tokenizer(None)
    compare("mini", build_model("mini", "sdpa"), tokenizer, load_pairs(None, tokenizer, most), args.pairs)
    if args.data is None:
        return
    tokenizer = load_tokenizer(args.data)
    pairs = load_pairs(args.data, tokenizer, max(most, 50 * args.predict_pairs))
    for layers in args.layers:
        compare(f"768 wide, {layers} layers", build_model("full", "sdpa", layers), tokenizer, pairs, args.pairs)
    if args.measure_full:
        compare("full", build_model("full", "sdpa"), tokenizer, pairs, [args.predict_pairs])
    predict_full_size(tokenizer, pairs, args.predict_pairs)


if __name__ == "__main__":
    main()
