"""Plots of all runs of a scale, for its own page."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from reproduction.estimates import Estimate
from reproduction.interval_plots import Panel, draw_lines, draw_rows
from reproduction.run_results import BEST_RECALL, Results
from sensia.model_cards.drawing import COLOURS, DPI, WIDTH

Result = Mapping[str, Any]

_BITS = "bits per byte"
#: Figures of alignment and of writing, and their labels. Best recall@1 is fair to runs that align other vectors.
BEST_AND_BITS = {BEST_RECALL: BEST_RECALL, _BITS: "bits per byte (less is better)"}
CONTEXT_AND_BITS = {"context recall@1": "context recall@1", _BITS: "bits per byte (less is better)"}

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
    return draw_kinds(found, {kind: kind for kind in kinds}, BEST_AND_BITS, ["sensia"])


def draw_kinds(
    found: Results, names: Mapping[str, str], labels: Mapping[str, str], marked: Sequence[str], language: str = "id"
) -> Figure:
    """
    Draws figures of kinds of runs: a row for each kind that has runs, and a panel for each figure.

    Args:
        found ([`Results`]): of all runs.
        names (`Mapping`): kind -> name of its row.
        labels (`Mapping`): figure -> label of its panel.
        marked (`Sequence[str]`): names of rows in another colour.
        language (`str`, *optional*, defaults to `"id"`): of the runs.
    """
    names = {kind: name for kind, name in names.items() if found(kind, language)}
    panels = [
        Panel(label, {name: found.estimate(kind, metric, language) for kind, name in names.items()})
        for metric, label in labels.items()
    ]
    return draw_rows(panels, marked)


def draw_data(results: Iterable[Result]) -> Figure:
    """
    Draw recall and bits per byte against the number of different Indonesian pairs that a run saw, for SENSIA (at equal
    steps) and from scratch (whose steps grow with the data).

    Args:
        results (`Iterable` of `Mapping`): all results.
    """
    return draw_over_pairs(Results(results), {"sensia": "SENSIA", **OF_DATA}, CONTEXT_AND_BITS)


def draw_over_pairs(found: Results, names: Mapping[str, str], labels: Mapping[str, str]) -> Figure:
    """
    Draws figures over the number of different pairs that a run in Indonesian saw.

    Args:
        found ([`Results`]): of all runs.
        names (`Mapping`): kind -> name of its line.
        labels (`Mapping`): figure -> label of its panel.
    """
    lines: dict[str, dict[float, Mapping[str, Estimate | None]]] = {}
    for kind, name in names.items():
        if found(kind):
            figures = {metric: found.estimate(kind, metric) for metric in labels}
            lines.setdefault(name, {})[_pairs_seen(found(kind)[0])] = figures
    return draw_lines(lines, "different pairs seen", labels)


def _pairs_seen(run: Result) -> float:
    seen = run["training"]["steps"] * run["training"]["pairs_per_step"]
    return min(seen, run["settings"].get("max_train_pairs") or seen)
