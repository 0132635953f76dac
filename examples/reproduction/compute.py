"""Compute of runs: counted floating-point operations, or, of runs that counted none, minutes."""

from statistics import median
from typing import Any

from reproduction.run_results import Results

#: Runs whose operations differ by no more than this share had equal compute.
EQUAL = 0.05


def compared_compute(found: Results, kind: str, other: str) -> str:
    """
    The compute of one kind of run beside that of another.

    Args:
        found ([`Results`]): of all runs.
        kind (`str`), other (`str`): kinds that there are runs of.

    Returns:
        `str`: both in floating-point operations, as counted; in minutes where a run was not counted, which depend on
        the machine and what else it did.
    """
    ours, theirs = (_flops(found(each)) for each in (kind, other))
    if ours is None or theirs is None:
        # The median, because one seed may have run on a machine with other load.
        minutes = [median(run["training"]["seconds"] for run in found(each)) / 60 for each in (kind, other)]
        return f"{minutes[0]:.0f} minutes, {other} {minutes[1]:.0f}, operations not counted"
    apart = ours / theirs - 1
    equal = "equal compute" if abs(apart) <= EQUAL else f"not equal: {apart:+.0%}"
    return f"{ours:.3g} floating-point operations, {other} {theirs:.3g}, {equal}"


def _flops(runs: list[Any]) -> float | None:
    counted = [run["training"]["flops"] for run in runs if run["training"].get("flops")]
    return median(counted) if len(counted) == len(runs) else None
