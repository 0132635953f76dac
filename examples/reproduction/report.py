"""The report on the paper's claims: a page with a table of verdicts and one of all runs, and two plots."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from sensia.model_cards.drawing import COLOURS, DPI, STYLE, WIDTH, save_figure
from sensia.whole_files import write_whole

Result = Mapping[str, Any]

#: Columns of the table of runs: heading, task and metric.
_COLUMNS = (
    ("context recall@1", "ntrex", "context_recall@1"),
    ("sense recall@1", "ntrex", "sense_recall@1"),
    ("bits per byte", "ntrex", "bits_per_byte"),
    ("in-domain", "in-domain", "bits_per_byte"),
    ("lexicon P@1", "lexicon", "sense_precision@1"),
    ("topics, transfer", "topics", "context_accuracy_transfer"),
)


#: Runs that differ in the data that they see, by the line that they belong to.
_OF_DATA = {"data-2": "SENSIA", "data-5": "SENSIA", "data-20": "SENSIA", "data-100": "SENSIA"}
_OF_DATA |= {"scratch": "from scratch", "scratch-2x": "from scratch", "scratch-4x": "from scratch"}

_ABOUT = {
    "mini": "The runs adapt a model of 5M parameters with 9,600 pairs, the paper one of 170M with 9.6 million: "
    "verdicts are about this scale.",
    "mini_long": "The runs adapt a model of 8M parameters with 48,000 pairs, five times as many as on "
    "[the page of short runs](claims-mini.md); the paper one of 170M with 9.6 million: verdicts are about this scale.",
    "full": "The runs have the paper's size.",
}


def write_claims_report(
    claims: Sequence[Any],
    results: Sequence[Result],
    folder: Path,
    scale: str = "mini",
    missing: Sequence[str] = (),
) -> None:
    """
    Writes the page `claims-SCALE.md` and its plots.

    Args:
        claims (`Sequence` of [`reproduction.claims.Claim`]): judged.
        results (`Sequence` of `Mapping`): what they were judged by.
        folder (`Path`): the documentation; plots go to `images` in it.
        scale (`str`, *optional*, defaults to `"mini"`): of the plan that the runs are of.
        missing (`Sequence[str]`, *optional*): names of runs of the plan that were not made.
    """
    with matplotlib.rc_context(STYLE):
        if any(each["kind"] == "sensia" for each in results):
            save_figure(draw_curves(results), folder / f"images/claims_curves_{scale}.png")
        if any(each["kind"] in _OF_DATA for each in results):
            save_figure(draw_data(results), folder / f"images/claims_data_{scale}.png")
        if results:
            save_figure(draw_trade_off(results), folder / f"images/claims_trade_off_{scale}.png")
    write_whole(folder / f"claims-{scale}.md", claims_page(claims, results, scale, missing).encode())


def claims_page(
    claims: Sequence[Any], results: Sequence[Result], scale: str = "mini", missing: Sequence[str] = ()
) -> str:
    """
    The page, in Markdown.

    Args:
        claims, results, scale, missing: as in [`write_claims_report`].
    """
    seconds = sum(each["training"]["seconds"] for each in results)
    lines = [
        "# The paper's claims, measured",
        "",
        f"Made by `python examples/reproduce.py --scale {scale} --data DIR` from the files in "
        f"[results/reproduction/{scale}](results/reproduction/{scale}); do not edit. {_ABOUT[scale]}",
        f"{len(results)} runs, {seconds / 3600:.1f} hours of training so far. Intervals: the range over seeds where a "
        "claim has several, else 95 % bootstrap over test items.",
        "",
        "| | claim | paper | here | verdict | `--only` | hours |",
        "|---|---|---|---|---|---|---:|",
        *(_claim_row(claim, results) for claim in claims),
        "",
        *(f"{claim.number}. {claim.why}" for claim in claims),
        "",
        "## Runs",
        "",
        "Recall and bits per byte are of the NTREX pairs, `in-domain` is bits per byte of held-out pairs of the "
        "training sources, `LM share` the weight of the language model loss averaged over the learning rate, `min` "
        "the minutes of training. A run by itself: "
        "`python examples/reproduce.py --data DIR --only NAME`.",
        "",
        "| run | language, seed | " + " | ".join(heading for heading, *_ in _COLUMNS) + " | LM share | min |",
        "|---|---|" + "---:|" * (len(_COLUMNS) + 2),
        *(_row(each) for each in results),
        "",
    ]
    if missing:
        lines += [f"{len(missing)} runs of the plan were not made: {', '.join(f'`{name}`' for name in missing)}.", ""]
    if results:
        lines += [f"![Recall against bits per byte](images/claims_trade_off_{scale}.png)", ""]
    if any(each["kind"] == "sensia" for each in results):
        lines += [f"![Recall and entropy through the phases](images/claims_curves_{scale}.png)", ""]
    if any(each["kind"] in _OF_DATA for each in results):
        lines += [f"![Quality against data](images/claims_data_{scale}.png)", ""]
    return "\n".join(lines)


def _claim_row(claim: Any, results: Sequence[Result]) -> str:
    hours = sum(each["training"]["seconds"] for each in results if each["kind"] in claim.runs) / 3600
    runs = f"`{' '.join(claim.runs)}`" if claim.runs else ""
    cells = (claim.number, claim.statement, claim.paper, claim.ours, f"**{claim.verdict}**", runs, f"{hours:.1f}")
    return f"| {' | '.join(map(str, cells))} |"


def _row(result: Result) -> str:
    values = [result["scores"][task]["metrics"].get(metric) for _, task, metric in _COLUMNS]
    cells = " | ".join("-" if value is None else f"{value:.3f}" for value in values)
    minutes = result["training"]["seconds"] / 60
    share = f"{result['language_model_share']:.2f}"
    return f"| {result['kind']} | {result['language']}, {result['seed']} | {cells} | {share} | {minutes:.0f} |"


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


def draw_trade_off(results: Iterable[Result], language: str = "id") -> Figure:
    """
    Draw alignment against fluency: a point for each kind of run in a language, the mean of its seeds.

    Args:
        results (`Iterable` of `Mapping`): all results.
        language (`str`, *optional*, defaults to `"id"`): of the runs shown.
    """
    kinds: dict[str, list[tuple[float, float]]] = {}
    for each in results:
        if each["language"] == language:
            metrics = each["scores"]["ntrex"]["metrics"]
            kinds.setdefault(each["kind"], []).append((metrics["bits_per_byte"], metrics["context_recall@1"]))
    figure = Figure(figsize=(WIDTH, 4.6), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    for kind, points in kinds.items():
        bits, recall = (sum(values) / len(points) for values in zip(*points, strict=True))
        axes.plot(bits, recall, "o", color=COLOURS[1 if kind == "sensia" else 0])
        axes.annotate(kind, (bits, recall), xytext=(5, 4), textcoords="offset points", fontsize=9)
    axes.set_xlabel("bits per byte of NTREX (lower is more fluent)")
    axes.set_ylabel("context recall@1")
    return figure


def draw_data(results: Iterable[Result]) -> Figure:
    """
    Draw recall and bits per byte against the number of different Indonesian pairs that a run saw, for SENSIA (at equal
    steps) and from scratch (whose steps grow with the data); the mean of seeds.

    Args:
        results (`Iterable` of `Mapping`): all results.
    """
    lines: dict[str, dict[float, list[Result]]] = {}
    for each in results:
        name = {**_OF_DATA, "sensia": "SENSIA"}.get(each["kind"])
        if name is not None and each["language"] == "id":
            lines.setdefault(name, {}).setdefault(_pairs_seen(each), []).append(each)
    figure = Figure(figsize=(WIDTH, 5.2), dpi=DPI, layout="constrained")
    panels = figure.subplots(2, 1, sharex=True)
    metrics = {"context_recall@1": "context recall@1", "bits_per_byte": "bits per byte"}
    for axes, (metric, label) in zip(panels, metrics.items(), strict=True):
        for colour, (name, points) in zip(COLOURS, sorted(lines.items()), strict=False):
            means = {
                pairs: sum(run["scores"]["ntrex"]["metrics"][metric] for run in runs) / len(runs)
                for pairs, runs in sorted(points.items())
            }
            axes.plot(list(means), list(means.values()), "o-", color=colour, label=name)
        axes.set_ylabel(label)
    panels[0].legend()
    panels[1].set_xscale("log")
    panels[1].set_xlabel("different pairs seen")
    return figure


def _pairs_seen(result: Result) -> float:
    seen = result["training"]["steps"] * result["training"]["pairs_per_step"]
    return min(seen, result["settings"].get("max_train_pairs") or seen)
