"""Right: what this device computes, against the equations written out in float64, and one way against another.

The written-out equations are those of published_step.py, an implementation of its own: each sentence padded, every
contribution formed, logits everywhere. The error of a gradient is the norm of its difference over its norm, of all
parameters together. A precision passes when its error is under a limit, or at most 1.5 times that of the written-out
equations in the same precision: then it is the number format's and not ours.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import torch
from gpu_report import Found, NotRun, Row, first_line
from gpu_runs import check_nonfinite, check_resume
from gpu_setup import Setup
from gpu_steps import LABEL_SMOOTHING, POINT, Batch, cached_backward, sensia_losses
from published_step import Batch as Side
from published_step import PublishedBackpack, losses, objective, pad_side
from torch import Tensor, distributed, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import DynamicCache, StaticCache

from modeling_sensia import BackpackForCausalLM
from sensia.trainers.losses import _GatherRows

LOSSES = ("ctx", "sns", "lm", "lm_plain")
SDPA_BACKENDS = ("MATH", "EFFICIENT_ATTENTION", "FLASH_ATTENTION", "CUDNN_ATTENTION")
BEYOND_WRITTEN_OUT = 1.5


class Precision(NamedTuple):
    """
    A way to compute.

    Args:
        dtype (`torch.dtype`): of the weights.
        products (`str`): `full`, `tf32` or `half`, of matrix products.
        limit (`float`): the error that is allowed in any case, of losses and of the gradient.
    """

    dtype: torch.dtype
    products: str
    limit: float

    @contextmanager
    def __call__(self, setup: Setup) -> Iterator[None]:
        usual = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if self.products == "tf32" else "highest")
        try:
            with setup.autocast() if self.products == "half" else nullcontext():
                yield
        finally:
            torch.set_float32_matmul_precision(usual)


FLOAT64 = Precision(torch.float64, "full", 1e-8)
FLOAT32 = Precision(torch.float32, "full", 1e-4)
TF32 = Precision(torch.float32, "tf32", 1e-2)
HALF = Precision(torch.float32, "half", 3e-2)


class Measured(NamedTuple):
    """Losses by name, and the gradient of each parameter."""

    losses: dict[str, Tensor]
    gradient: list[Tensor]


def measure(model: nn.Module, run: Callable[[], dict[str, Tensor]]) -> Measured:
    """The losses that `run` gives, and the gradient of their `loss`, in float64."""
    model.zero_grad(set_to_none=True)
    found = run()
    found["loss"].backward()
    gradient = [parameter.grad.double() for parameter in model.parameters() if parameter.grad is not None]
    model.zero_grad(set_to_none=True)
    return Measured({name: value.detach().double() for name, value in found.items()}, gradient)


def error_of(found: Measured, expected: Measured) -> dict[str, float]:
    """The largest relative error of a loss, and that of the gradient."""
    if len(found.gradient) != len(expected.gradient):
        raise ValueError(f"{len(found.gradient)} parameters have a gradient, expected {len(expected.gradient)}.")
    names = [name for name in LOSSES if name in found.losses and name in expected.losses]
    of_losses = [abs(float(found.losses[name] / expected.losses[name]) - 1) for name in names]
    pairs = list(zip(found.gradient, expected.gradient, strict=True))
    difference = sum(float((one - other).square().sum()) for one, other in pairs)
    size = sum(float(other.square().sum()) for _, other in pairs)
    return {"losses": max(of_losses), "gradient": (difference / size) ** 0.5}


def ours(setup: Setup, model: nn.Module, packing: bool = True) -> Measured:
    batch = setup.batch(setup.checked_pairs, packing)
    return measure(model, lambda: sensia_losses(model, batch, one_way=True))


def written_out(setup: Setup, model: BackpackForCausalLM) -> Measured:
    """The same of the published equations, on the same parameters."""
    with setup.device:
        published = PublishedBackpack(model.config, dropout=0.0, attention="eager")
    published.load_ours(model, share=True)
    padded = (
        pad_side([pair[side] for pair in setup.checked_pairs], setup.pad, None)
        for side in ("source_ids", "target_ids")
    )
    sides = [Side(*(tensor.to(setup.device) for tensor in side)) for side in padded]

    def run() -> dict[str, Tensor]:
        found = losses(published, *sides, POINT, setup.pad)
        return {**found, "loss": objective(found, POINT)}

    return measure(model, run)


@cache
def oracle(setup: Setup) -> Measured:
    with FLOAT64(setup):
        return written_out(setup, setup.backpack().double())


def against_float64(precision: Precision) -> Callable[[Setup], Found]:
    def check(setup: Setup) -> Found:
        expected, model = oracle(setup), setup.backpack().to(precision.dtype)
        with precision(setup):
            published = error_of(written_out(setup, model), expected)
            found = {"packed rows, sdpa": error_of(ours(setup, model), expected)}
            model.backpack.trunk.set_attn_implementation("eager")
            found["padded rows, eager"] = error_of(ours(setup, model, packing=False), expected)
        limits = {name: max(precision.limit, BEYOND_WRITTEN_OUT * error) for name, error in published.items()}
        rows: list[Row] = [{"computed as": "written out", **published, "passed": "-"}]
        for name, errors in found.items():
            passed = all(errors[each] <= limits[each] for each in limits)
            rows.append({"computed as": name, **errors, "passed": "yes" if passed else "no"})
        worst = max(errors["gradient"] for errors in found.values())
        message = f"the gradient is {worst:.1e} off, the written-out equations' {published['gradient']:.1e}; "
        message += f"allowed {limits['gradient']:.1e}"
        return Found(message, all(row["passed"] != "no" for row in rows), rows)

    return check


def check_packing(setup: Setup) -> Found:
    """Sentences side by side in rows give what a row for each gives."""
    model = setup.backpack()
    with FLOAT32(setup):
        errors = error_of(ours(setup, model), ours(setup, model, packing=False))
    return within(errors["gradient"], FLOAT32.limit, "packed and padded gradients differ by")


def within(error: float, limit: float, what: str, rows: list[Row] | None = None) -> Found:
    return Found(f"{what} {error:.1e}; allowed {limit:.0e}", error <= limit, rows or ())


def check_attention(setup: Setup) -> Found:
    """Every kind of attention that can run here, against eager, with the rows of training and with full rows."""
    model = setup.backpack()
    rows: list[Row] = []
    for name, batch in {"packed": setup.batch(setup.checked_pairs), "full": full_rows(setup)}.items():
        eager = attend(setup, model, batch, "eager")
        for backend in SDPA_BACKENDS:
            with sdpa_kernel(getattr(SDPBackend, backend)):
                rows.append(
                    {"rows": name, "attention": f"sdpa, {backend}", **compare(setup, model, batch, "sdpa", eager)}
                )
        for kind in ("flash_attention_2", "flex_attention"):
            rows.append({"rows": name, "attention": kind, **compare(setup, model, batch, kind, eager)})
    ran = [row for row in rows if row["error"] != "-"]
    passed = bool(ran) and all(row["error"] <= HALF.limit for row in ran)
    return Found(f"{len(ran)} of {len(rows)} kinds run here; allowed {HALF.limit:.0e}", passed, rows)


def full_rows(setup: Setup) -> Batch:
    """Rows without a pad or a neighbour, for kernels that take no mask."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1, len(setup.tokenizer), (4, 64), generator=generator).to(setup.device)
    return {"input_ids": ids, "labels": ids}


def attend(setup: Setup, model: BackpackForCausalLM, batch: Batch, kind: str) -> Measured:
    model.set_attn_implementation(kind)
    inputs = {name: value for name, value in batch.items() if not name.startswith("num_")}

    def run() -> dict[str, Tensor]:
        loss = model(**inputs, label_smoothing=LABEL_SMOOTHING, return_logits=False, use_cache=False).loss
        return {"lm": loss, "loss": loss}

    with HALF(setup):
        return measure(model, run)


def compare(setup: Setup, model: BackpackForCausalLM, batch: Batch, kind: str, expected: Measured) -> dict[str, Any]:
    try:
        return {"error": error_of(attend(setup, model, batch, kind), expected)["gradient"], "why": ""}
    except (ImportError, ValueError) as error:  # transformers refuses what a model or a machine does not have
        return {"error": "-", "why": first_line(error)}
    except RuntimeError as error:
        if "kernel" not in str(error).lower():
            raise
        return {"error": "-", "why": first_line(error)}


@torch.inference_mode()
def check_caches(setup: Setup) -> Found:
    """Decoding token by token from a padded prompt gives the logits of one forward."""
    model = setup.backpack().eval()
    lengths = [len(pair["source_ids"]) for pair in setup.checked_pairs]
    width = max(lengths) + setup.sizes.new_tokens
    generator = torch.Generator().manual_seed(2)
    ids = torch.randint(1, len(setup.tokenizer), (len(lengths), width), generator=generator).to(setup.device)
    pads = torch.tensor([max(lengths) - length for length in lengths])[:, None]
    mask = (torch.arange(width) >= pads).long().to(setup.device)  # [B, L], pads on the left
    rows: list[Row] = []
    with FLOAT32(setup):
        whole = model(ids, attention_mask=mask, use_cache=False).logits
        for table in (False, True):
            if table:
                model.precompute_senses()
            for name, made in (
                ("dynamic", DynamicCache(config=model.config)),
                ("static", StaticCache(config=model.config, max_cache_len=width)),
            ):
                found = decode(model, ids, mask, max(lengths), made)
                difference = (found - whole)[mask.bool()].abs().max() / whole[mask.bool()].std()
                rows.append({"cache": name, "sense table": "yes" if table else "no", "error": float(difference)})
    worst = max(row["error"] for row in rows)
    return within(worst, 1e-3, "the worst logit, in standard deviations of logits, is off by", rows)


def decode(model: nn.Module, ids: Tensor, mask: Tensor, prompt: int, past: Any) -> Tensor:
    """Logits [B, L, V] of a prompt and then of one token at a time."""
    ends = [prompt, *range(prompt + 1, ids.shape[1] + 1)]
    logits = [
        model(ids[:, start:end], attention_mask=mask[:, :end], past_key_values=past, use_cache=True).logits
        for start, end in zip([0, *ends], ends, strict=False)
    ]
    return torch.cat(logits, 1)


def check_gradient_caching(setup: Setup) -> Found:
    """A batch in micro-batches, by gradient caching, has the gradient of the whole batch."""
    model = setup.backpack().train()
    pairs = setup.checked_pairs
    half = len(pairs) // 2
    parts = [setup.batch(pairs[:half]), setup.batch(pairs[half:])]
    with FLOAT32(setup):
        errors = error_of(cached(setup, model, parts), whole(model, setup.batch(pairs)))
    return within(max(errors.values()), FLOAT32.limit, "cached and whole batches differ by")


def check_dropout_again(setup: Setup) -> Found:
    """Gradient caching draws the same dropout twice on this device: one micro-batch replayed is one forward."""
    model = setup.backpack(sense_dropout=0.1).train()
    batch = setup.batch(setup.checked_pairs)
    with FLOAT32(setup):
        torch.manual_seed(5)
        found = cached(setup, model, [batch])
        torch.manual_seed(5)
        expected = whole(model, batch)
    return within(max(error_of(found, expected).values()), FLOAT32.limit, "the replayed forward differs by")


def cached(setup: Setup, model: nn.Module, batches: list[Batch]) -> Measured:
    def run() -> dict[str, Tensor]:
        loss = cached_backward(model, batches, setup).requires_grad_()  # its gradient is in place already
        return {"lm": loss, "loss": loss}

    return measure(model, run)


def whole(model: nn.Module, batch: Batch) -> Measured:
    def run() -> dict[str, Tensor]:
        loss = sensia_losses(model, batch)["loss"]
        return {"lm": loss, "loss": loss}

    return measure(model, run)


def check_compiled(setup: Setup) -> Found:
    """The trunk compiled, in a step of packed rows; two layers, because every further one compiles to the same."""
    setup = replace(setup, sizes=replace(setup.sizes, layers=2))
    plain, model = setup.backpack(), setup.backpack()
    model.backpack.trunk.compile(dynamic=True, backend=setup.compile_backend)
    rows: list[Row] = []
    for name, precision in (("float32", FLOAT32), ("half", HALF)):
        with precision(setup):
            errors = error_of(ours(setup, model), ours(setup, plain))
        rows.append({"precision": name, **errors, "allowed": precision.limit})
    passed = all(max(row["losses"], row["gradient"]) <= row["allowed"] for row in rows)
    return Found(f"compiled and plain gradients differ by {max(row['gradient'] for row in rows):.1e}", passed, rows)


def check_gathered(setup: Setup) -> Found:
    """Checks the gather of InfoNCE by NCCL with one process: rows and their gradients come back."""
    backend = "nccl" if setup.device.type == "cuda" else "gloo"
    if distributed.is_initialized():
        raise NotRun("processes are connected already")
    distributed.init_process_group(backend, store=distributed.HashStore(), rank=0, world_size=1)
    try:
        rows = torch.randn(64, setup.sizes.width, device=setup.device, requires_grad=True)
        weights = torch.randn_like(rows)
        gathered = _GatherRows.apply(rows)
        (gradient,) = torch.autograd.grad((gathered * weights).sum(), rows)
        passed = torch.equal(gathered, rows) and torch.equal(gradient, weights)
    finally:
        distributed.destroy_process_group()
    return Found(f"by {backend}, rows and gradients {'as given' if passed else 'changed'}", passed)


CHECKS: dict[str, Callable[[Setup], Found]] = {
    "float64 against the equations written out": against_float64(FLOAT64),
    "float32 against float64": against_float64(FLOAT32),
    "half precision against float64": against_float64(HALF),
    "TF32 against float64": against_float64(TF32),
    "packed rows against padded": check_packing,
    "kinds of attention against eager, half precision": check_attention,
    "decoding with caches against one forward": check_caches,
    "gradient caching against the whole batch": check_gradient_caching,
    "gradient caching with dropout": check_dropout_again,
    "trunk compiled against plain": check_compiled,
    "rows gathered for InfoNCE": check_gathered,
    "exact resume": check_resume,
    "a step that is not finite": check_nonfinite,
}
