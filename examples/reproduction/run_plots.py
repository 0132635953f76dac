"""Plots of all runs of a scale, for its own page."""

from collections.abc import Iterable, Mapping
from typing import Any

from matplotlib.figure import Figure

from reproduction.estimates import Estimate
from reproduction.interval_plots import Panel, draw_lines, draw_rows
from reproduction.run_results import Results
from sensia.model_cards.drawing import COLOURS, DPI, WIDTH

Result = Mapping[str, Any]

_BITS = "bits per byte"
#: What the axis of [`pairs_seen`] is called.
PAIRS_SEEN = "different pairs seen"

#: Runs that differ in the data that they see, by the line that they belong to.
OF_DATA = {"data-2": "SENSIA", "data-5": "SENSIA", "data-20": "SENSIA", "data-100": "SENSIA"}
OF_DATA |= {"scratch": "from scratch", "scratch-2x": "from scratch", "scratch-4x": "from scratch"}


def draw_curves(results: Iterable[Result]) -> Figure:
    """
    Draw recall and entropy of the `sensia` runs on Indonesian over the steps, a line for each seed.

    Args:
        results (`Iterable` of `Mapping`): all results.
    """
    runs = [each for each in results if each["kind"] == "sensia"]
    figure = Figure(figsize=(WIDTH, 5.2), dpi=DPI, layout="constrained")
    recall, entropy = figure.subplots(2, 1, sharex=True)
    panels = (
        (recall, "recall@1 of 200 pairs", {"context_recall@1": "context", "sense_recall@1": "sense"}),
        (entropy, "entropy of the mixture (nats)", {"entropy_source": "English", "entropy_target": "Indonesian"}),
    )
    for axes, label, names in panels:
        for colour, (name, legend) in zip(COLOURS, names.items(), strict=False):
            for number, run in enumerate(runs):
                steps = [each["step"] for each in run["curve"]]
                values = [each[f"eval_NTREX_{name}"] for each in run["curve"]]
                axes.plot(steps, values, color=colour, linewidth=1.6, label=legend if number == 0 else None)
        for phase in runs[0]["training"]["phases"][1:]:
            axes.axvline(phase["first_step"], color="#808080", linewidth=0.8, linestyle=":")
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
        axes.legend(loc="lower right")
    entropy.set_xlabel("step; dotted lines begin joint and polish")
    return figure


def draw_runs(results: Iterable[Result]) -> Figure:
    """
    Draw alignment beside fluency: a row for each kind of run in Indonesian, the most fluent first.

    Args:
        results (`Iterable` of `Mapping`): all results.
    """
    found = Results(results)
    kinds = sorted((each for each in found.kinds("") if found(each)), key=lambda each: found.mean(each, _BITS))
    labels = {"context recall@1": "context recall@1", _BITS: "bits per byte (less is better)"}
    panels = [Panel(label, {kind: found.estimate(kind, metric) for kind in kinds}) for metric, label in labels.items()]
    return draw_rows(panels, ["sensia"])


def draw_data(results: Iterable[Result]) -> Figure:
    """
    Draw recall and bits per byte against the number of different Indonesian pairs that a run saw, for SENSIA (at equal
    steps) and from scratch (whose steps grow with the data).

    Args:
        results (`Iterable` of `Mapping`): all results.
    """
    found, metrics = Results(results), {"context recall@1": "context recall@1", _BITS: "bits per byte"}
    lines: dict[str, dict[float, Mapping[str, Estimate | None]]] = {}
    for kind, name in {"sensia": "SENSIA", **OF_DATA}.items():
        if found(kind):
            figures = {metric: found.estimate(kind, metric) for metric in metrics}
            lines.setdefault(name, {})[pairs_seen(found(kind)[0])] = figures
    return draw_lines(lines, PAIRS_SEEN, metrics)


def pairs_seen(run: Result) -> float:
    """
    Different pairs that a run saw.

    Args:
        run (`Mapping`): of [`reproduction.plan.summarize_run`].
    """
    seen = run["training"]["steps"] * run["training"]["pairs_per_step"]
    return min(seen, run["settings"].get("max_train_pairs") or seen)
