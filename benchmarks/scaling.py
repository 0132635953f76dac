"""Memory and time of a training step on several GPUs, predicted on paper from the sizes of model and batch.

    python benchmarks/scaling.py                                  # the tables of docs/scaling.md
    python benchmarks/scaling.py --gpus 16 --pairs 32 --utilisation 0.4 --link 200

Bytes are those of bf16 mixed precision: weights, gradients and AdamW's two averages in float32. What a batch takes is
counted as in training_memory.py, whose prediction of one process is measured. The arithmetic is that which the trainer
counts (`count_flops`). What is assumed, and not measured: the share of the card's peak that a step reaches, the speed
of the links, and that other languages and tokenizers make batches as large as GPT-2's of English and Indonesian.
"""

import argparse
from dataclasses import dataclass

from torch import nn
from training_memory import FLOAT, HALF, BatchSizes, chunk_memory
from transformers.pytorch_utils import Conv1D
from transformers.utils import logging as transformers_logging
from trunk_sizes import markdown, parameters, planned

from modeling_sensia import BackpackConfig, BackpackForCausalLM

#: Bytes of a parameter: weight, gradient and AdamW's two averages, in float32.
STATE = FLOAT + FLOAT + 2 * FLOAT
#: Of 50 batches of 64 English-Indonesian pairs (training_memory.py --data DIR), that of the largest memory and that of
#: the median. The first one decides what fits, the second one the time.
PAIRS = 64
LARGEST = BatchSizes(rows=55, length=291, tokens=2491, predicted=10613)
MEDIAN = BatchSizes(rows=100, length=51, tokens=1425, predicted=3153)
#: Products of a contextualization [L, L] with the vectors of a sense [L, D]: one forward, and three backward, of which
#: one forms the contributions anew.
MIXING = 4
MODELS = ("GPT-2 small", "Llama-2-7B")
WAYS = ("DDP", "FSDP2")
ALONE = "alone"


@dataclass
class Machine:
    """
    GPUs of one kind.

    Args:
        gpus (`int`): their number N.
        peak (`float`): bf16 operations a second of one, at most.
        utilisation (`float`): the share of them that a step reaches; assumed.
        link (`float`): bytes a second that a GPU sends and receives in a collective operation; assumed.
        memory (`float`): bytes of one.
    """

    gpus: int
    peak: float = 989e12
    utilisation: float = 0.35
    link: float = 200e9
    memory: float = 80e9


@dataclass
class Plan:
    """
    A model and what each GPU gets of a step.

    Args:
        config ([`BackpackConfig`]): sizes of the model.
        sizes (`dict`): numbers of parameters by part, of [`parameters`], and `multiplied`, of the trunk's matrices.
        pairs (`int`): B of one GPU.
        largest ([`BatchSizes`]), median ([`BatchSizes`]): of one GPU, for memory and for time.
        checkpointing (`bool`): whether layers of the trunk are computed again in the backward pass.
    """

    config: BackpackConfig
    sizes: dict[str, int]
    pairs: int
    largest: BatchSizes
    median: BatchSizes
    checkpointing: bool = False

    @property
    def layers(self) -> int:
        return self.config.num_hidden_layers - 1

    @property
    def matrices(self) -> dict[str, int]:
        """Weights that are multiplied, by what they are multiplied with: positions or distinct tokens."""
        width, inner = self.config.hidden_size, self.config.sense_intermediate_scale * self.config.hidden_size
        senses = self.config.num_senses
        return {
            "trunk": self.sizes["multiplied"],
            "senses": 8 * width**2 + width * inner + inner * senses * width,
            "weights of senses": 2 * width * senses * (width // senses),
        }


def state_bytes(plan: Plan, way: str, gpus: int) -> int:
    """
    Weights, gradients and optimizer on one GPU. One alone has 16 bytes a parameter. DDP has these and its buckets of
    gradients. FSDP2 has a share of the 16, and gathers in bf16 the embeddings, which stay, and two of its other groups
    with the gradients of one.
    """
    total, embeddings = plan.sizes["total"], plan.sizes["embeddings"]
    if way != "FSDP2":
        return (STATE if way == ALONE else STATE + FLOAT) * total
    layer = plan.sizes["rest of the trunk"] // plan.layers
    largest = max(layer, plan.sizes["sense network"])
    return STATE * total // gpus + HALF * (2 * embeddings + 2 * largest + largest)


def activation_bytes(plan: Plan) -> int:
    """
    Bytes that a batch takes on one GPU while the loss is computed, as in training_memory.py.

    A block of the trunk keeps two residual sums and, in bf16, 14 numbers a position of the width. A trunk whose layers
    are computed again keeps the input of each layer, and one whole layer.
    """
    config, batch = plan.config, plan.largest
    width, senses, places = config.hidden_size, config.num_senses, batch.rows * batch.length
    inner, embedding = config.sense_intermediate_scale * width, config.vocab_size * width
    block = places * (FLOAT * 2 * width + HALF * 14 * width + FLOAT * config.num_attention_heads)
    trunk = plan.layers * (FLOAT * places * width) + block if plan.checkpointing else plan.layers * block
    of_tokens = FLOAT * 3 * width + HALF * 2 * width + HALF * 2 * (4 * width + inner) + HALF * senses * width
    mixing = senses * places * batch.length * (2 * FLOAT + HALF) + places * width * (HALF * 5 + FLOAT)
    states = batch.predicted * width * 2 * (FLOAT + HALF)
    head = HALF * embedding + states + chunk_memory(batch.predicted, config.vocab_size, embedding)
    return trunk + 2 * places * FLOAT * width + batch.tokens * of_tokens + mixing + head


def autocast_bytes(plan: Plan, way: str) -> int:
    """The bf16 copies of all matrices that autocast makes of whole weights; FSDP2 gathers bf16 weights instead."""
    return HALF * sum(plan.matrices.values()) if way != "FSDP2" else 0


def contrast_bytes(plan: Plan, gpus: int) -> int:
    """
    Vectors of all N B pairs, gathered in float32 for two kinds of vectors and two sides, and the similarities of the
    own B pairs to all of them in two directions: values, logarithms of the softmax, and gradients.
    """
    everybody = gpus * plan.pairs
    return FLOAT * (4 * everybody * plan.config.hidden_size + 4 * 3 * plan.pairs * everybody)


def step_flops(plan: Plan) -> float:
    """
    Operations of one GPU's step as torch counts them: forward and backward, a multiplication and an addition are two.
    Computing layers again, which the count of the model's own arithmetic leaves out, is not in it.
    """
    config, batch = plan.config, plan.median
    width, matrices = config.hidden_size, plan.matrices
    square = batch.rows * batch.length**2
    products = 6.0 * batch.rows * batch.length * (matrices["trunk"] + matrices["weights of senses"])
    products += 6.0 * batch.tokens * matrices["senses"] + 6.0 * batch.predicted * config.vocab_size * width
    attention = 14.0 * plan.layers * square * width  # fused: 2 products forward, 5 backward
    similarity = 6.0 * square * config.num_senses * (width // config.num_senses)
    mixing = MIXING * 2.0 * square * config.num_senses * width
    return products + attention + similarity + mixing


def sent_bytes(plan: Plan, way: str, gpus: int) -> float:
    """
    Bytes that one GPU sends in a step. DDP adds float32 gradients up, in a ring: 2 (N - 1) / N of them. FSDP2 gathers
    bf16 weights for the forward and the backward pass, and scatters the sums of bf16 gradients.
    """
    total, share = plan.sizes["total"], (gpus - 1) / gpus
    return share * total * (2 * FLOAT if way == "DDP" else 3 * HALF)


def plan_of(name: str, pairs: int, num_senses: int = 16, checkpointing: bool = False) -> Plan:
    """A model of `trunk_sizes.py` with so many pairs for each GPU."""
    largest, median = (_scaled(batch, pairs / PAIRS) for batch in (LARGEST, MEDIAN))
    return plan(planned(name, num_senses), pairs, largest, median, checkpointing)


def plan(
    model: BackpackForCausalLM, pairs: int, largest: BatchSizes, median: BatchSizes, checkpointing: bool = False
) -> Plan:
    """The part of a model's step that each GPU gets."""
    layers = [each.weight for each in model.backpack.trunk.modules() if isinstance(each, nn.Linear | Conv1D)]
    sizes = {**parameters(model), "multiplied": sum(weight.numel() for weight in layers)}
    return Plan(model.config, sizes, pairs, largest, median, checkpointing)


def _scaled(batch: BatchSizes, times: float) -> BatchSizes:
    """A batch of more or fewer pairs in rows of the same length."""
    rows, tokens, predicted = (max(round(times * each), 1) for each in (batch.rows, batch.tokens, batch.predicted))
    return BatchSizes(rows, batch.length, tokens, predicted)


def predict(plan: Plan, way: str, machine: Machine) -> dict[str, float]:
    """
    Returns:
        `dict`: GB of one GPU by part and together, TFLOP of its step, seconds of arithmetic and of sending, and pairs
        a second of all GPUs where sending is hidden behind the arithmetic as far as it can be.
    """
    again = 1 + plan.checkpointing / 3  # one more forward pass, which is a third
    arithmetic = again * step_flops(plan) / (machine.peak * machine.utilisation)
    sending = sent_bytes(plan, way, machine.gpus) / machine.link
    parts = {
        "weights, gradients, AdamW": state_bytes(plan, way, machine.gpus) + autocast_bytes(plan, way),
        "batch": activation_bytes(plan),
        "contrast": contrast_bytes(plan, machine.gpus),
    }
    gigabytes = {name: number / 1e9 for name, number in parts.items()}
    return {
        **gigabytes,
        "together": sum(gigabytes.values()),
        "TFLOP": step_flops(plan) / 1e12,
        "arithmetic": arithmetic,
        "sending": sending,
        "pairs/s": machine.gpus * plan.pairs / max(arithmetic, sending),
    }


def row(plan: Plan, way: str, machine: Machine) -> dict[str, str]:
    found = predict(plan, way, machine)
    fits = "yes" if found["together"] * 1e9 < 0.9 * machine.memory else "no"
    return {
        "pairs a GPU": str(plan.pairs),
        **{f"{name}, GB": f"{found[name]:.1f}" for name in ("weights, gradients, AdamW", "batch")},
        "contrast, GB": f"{found['contrast']:.3f}",
        "together, GB": f"{found['together']:.1f}",
        "fits": fits,
        "TFLOP": f"{found['TFLOP']:.1f}",
        "arithmetic, ms": f"{1e3 * found['arithmetic']:.0f}",
        "sending, ms": f"{1e3 * found['sending']:.0f}",
        "pairs/s": f"{found['pairs/s']:,.0f}",
    }


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 8], help="numbers of GPUs")
    parser.add_argument("--pairs", type=int, default=64, help="pairs of a step on each GPU")
    parser.add_argument("--utilisation", type=float, default=0.35, help="assumed share of the peak (default: 0.35)")
    parser.add_argument("--peak", type=float, default=989, help="peak TFLOP/s of a GPU in bf16 (default: 989, H100)")
    parser.add_argument("--link", type=float, default=200, help="assumed GB/s of a GPU's links (default: 200)")
    parser.add_argument("--memory", type=float, default=80, help="GB of a GPU (default: 80)")
    return parser.parse_args()


def main():
    args = parse_arguments()
    transformers_logging.set_verbosity_error()
    rows = {}
    for name in MODELS:
        plan = plan_of(name, args.pairs, checkpointing=name != MODELS[0])
        for gpus in args.gpus:
            machine = Machine(gpus, args.peak * 1e12, args.utilisation, args.link * 1e9, args.memory * 1e9)
            for way in WAYS if gpus > 1 else (ALONE,):
                title = f"{name}, {gpus} GPU{'s' if gpus > 1 else ''}, {way}"
                rows[title] = row(plan, way, machine)
    print(markdown("a step", rows))


if __name__ == "__main__":
    main()
