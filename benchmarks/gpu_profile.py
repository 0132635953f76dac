"""Profile of a step on the device: launches, the longest operations, and where the processor waits."""

import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from gpu_setup import ROOT, Setup
from torch.profiler import ProfilerActivity, profile

WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "aten::_local_scalar_dense")
READS = ("aten::nonzero", "aten::_unique2", "aten::item", "Memcpy DtoH (Device -> Pageable)", "Memcpy DtoH")
WAITS_AT = "waits at "
LAUNCHES = ("cudaLaunchKernel", "cudaLaunchKernelExC", "cuLaunchKernel", "cuLaunchKernelEx", "cudaGraphLaunch")


def profiled(setup: Setup, turn: Callable[[], Any], steps: int, top: int = 12) -> dict[str, float]:
    """Counts and times of a step, in ms: those of a turn, over its steps."""
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (setup.device.type == "cuda")
    setup.wait()
    with profile(activities=activities) as profiler:
        start = time.perf_counter()
        turn()
        setup.wait()
        wall = 1e3 * (time.perf_counter() - start)
    events = profiler.key_averages()
    counts = {event.key: event.count for event in events}
    on_device = setup.device.type == "cuda"
    kernels = [event for event in events if not on_device or is_kernel(event)]
    times = {
        event.key: (event.self_device_time_total if on_device else event.self_cpu_time_total) for event in kernels
    }
    busy = sum(times.values()) / 1e3
    row = {"ms under the profiler": wall / steps, "ms of kernels": busy / steps}
    row["launches"] = sum(counts.get(name, 0) for name in LAUNCHES) / steps
    row |= {name: counts[name] / steps for name in (*WAITS, *READS) if name in counts}
    longest = sorted(times, key=times.__getitem__, reverse=True)[:top]
    return row | {f"ms in {key[:90]}": times[key] / 1e3 / steps for key in longest}


def is_kernel(event: Any) -> bool:
    """Tells if an event ran on the device. Ranges only name other events and would count them twice."""
    return event.device_type == torch.autograd.DeviceType.CUDA and not event.is_user_annotation


def waits_by_line(setup: Setup, turn: Callable[[], Any], steps: int) -> dict[str, float]:
    """Counts the waits of a step for the device, by the line of Python that waits; empty on a CPU."""
    if setup.device.type == "cpu":
        return {}
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            turn()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    waits = [wait for wait in caught if "synchronizing CUDA" in str(wait.message)]
    places = Counter(f"{short(wait.filename)}:{wait.lineno}" for wait in waits)
    return {f"{WAITS_AT}{place}": count / steps for place, count in places.most_common(12)}


def short(filename: str) -> str:
    """A file of this repository by its path in it; another by its name."""
    path = Path(filename)
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name
