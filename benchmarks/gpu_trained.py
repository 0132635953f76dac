"""Trained: the quickstart on this device in bf16, against what it gives on a CPU."""

from collections.abc import Callable, Mapping
from typing import Any

from gpu_adapt import adapt
from gpu_report import Found, NotRun, Row
from gpu_setup import Setup

#: The rows of `make adapt` in README.md, "Results", measured on a CPU; a test compares them.
ON_A_CPU = {
    "in-domain": {"bits per byte": 1.500, "sense recall@1": 0.845, "context recall@1": 0.909},
    "NTREX": {"bits per byte": 2.393, "sense recall@1": 0.544, "context recall@1": 0.677},
}
LIMIT = 0.03
LAUNCH = ("--num_processes", "1", "--num_machines", "1", "--mixed_precision", "bf16", "--dynamo_backend", "no")


def check_quickstart(setup: Setup) -> Found:
    """Recall and bits per byte within 0.03 of the CPU's, or better."""
    if setup.dry_run:
        raise NotRun("it takes ten minutes on a CPU; `make adapt` is that run")
    return against_cpu(adapt(setup, LAUNCH))


def against_cpu(results: Mapping[str, Any]) -> Found:
    """Compares the results of a run, as results.json has them, with those of the CPU."""
    rows: list[Row] = []
    for evaluation in results["evaluation"]:
        name, after = evaluation["dataset"], evaluation["after"]
        for metric, on_cpu in ON_A_CPU[name].items():
            found = value_of(after, metric)
            behind = found - on_cpu if metric == "bits per byte" else on_cpu - found
            rows.append({"set": name, "metric": metric, "here": found, "on a CPU": on_cpu, "behind by": behind})
    worst = max(row["behind by"] for row in rows)
    return Found(f"at most {worst:.3f} behind the CPU's; allowed {LIMIT}", worst <= LIMIT, rows)


def value_of(metrics: Mapping[str, float], metric: str) -> float:
    """A metric by the name that README.md gives it; recall is the mean of both directions."""
    return metrics[metric.replace(" ", "_")]


CHECKS: dict[str, Callable[[Setup], Found]] = {"quickstart in bf16 against the CPU": check_quickstart}
