"""Floating-point operations of training steps, counted by torch while they run."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count


def _cpu_attention(query, key, value, *args, out_val=None, **kwargs) -> int:
    return sdpa_flop_count(query, key, value)


def _cpu_attention_backward(gradient, query, key, value, *args, out_val=None, **kwargs) -> int:
    return sdpa_backward_flop_count(gradient, query, key, value)


#: The fused attention of a CPU, which torch does not count.
_CPU_ATTENTION = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _cpu_attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _cpu_attention_backward,
}


def flop_counter() -> FlopCounterMode:
    """
    A context that counts the floating-point operations of matrix products, convolutions and attention within, forward
    and backward; a multiplication and an addition are two. Elementwise operations are not counted.
    """
    return FlopCounterMode(display=False, custom_mapping=_CPU_ATTENTION)


def flops_of_run(history: Iterable[Mapping[str, Any]], steps: int) -> dict[str, Any]:
    """
    The operations of a whole run, from those of the steps that were counted.

    Args:
        history (`Iterable` of `Mapping`): entries of the log; `step_tflop` is of the first step since the entry
            before, over all processes.
        steps (`int`): steps of the run.

    Returns:
        `dict`: `flops`, the mean of the counted steps times all steps, and `steps_counted`; empty where no step was
        counted.
    """
    counted = [entry["step_tflop"] for entry in history if "step_tflop" in entry]
    if not counted:
        return {}
    return {"flops": 1e12 * sum(counted) / len(counted) * steps, "steps_counted": len(counted)}
