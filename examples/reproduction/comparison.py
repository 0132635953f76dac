"""The page on a plan that compares kinds of runs with each other: tests over seeds, a table of all kinds, a plot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from reproduction.plan import Comparison
from reproduction.seed_tests import LEVEL, differences_by_seeds
from sensia.model_cards.drawing import COLOURS, DPI, STYLE, WIDTH, save_figure
from sensia.whole_files import write_whole

Result = Mapping[str, Any]
_MARKERS = "osD^vPX*"


@dataclass(frozen=True)
class Column:
    """
    A measure of a run, as a table shows it.

    Args:
        heading (`str`): above its column.
        task, metric (`str`): of the run's scores.
        digits (`int`, *optional*, defaults to 3): after the point.
        in_tests (`bool`, *optional*, defaults to `True`): whether comparisons test it.
    """

    heading: str
    task: str
    metric: str
    digits: int = 3
    in_tests: bool = True

    def value(self, result: Result) -> float | None:
        """The measure of one run; `None` where its suite has no such task."""
        return result["scores"].get(self.task, {"metrics": {}})["metrics"].get(self.metric)


COLUMNS = (
    Column("bits per byte", "ntrex", "bits_per_byte"),
    Column("recall@1 context", "ntrex", "context_recall@1"),
    Column("recall@1 sense", "ntrex", "sense_recall@1"),
    Column("in-domain bits per byte", "in-domain", "bits_per_byte"),
    Column("in-domain recall@1 context", "in-domain", "context_recall@1", in_tests=False),
    Column("in-domain recall@1 sense", "in-domain", "sense_recall@1", in_tests=False),
    Column("English bits per byte", "english", "bits_per_byte"),
    Column("NTREX English bits per byte", "ntrex", "source_bits_per_byte"),
    Column("lexicon P@1", "lexicon", "sense_precision@1", in_tests=False),
)


def write_comparison_report(
    name: str, comparisons: Sequence[Comparison], results: Sequence[Result], folder: Path, missing: Sequence[str]
) -> None:
    """
    Writes the page `comparison-NAME.md` and its plot.

    Args:
        name (`str`): of the plan.
        comparisons (`Sequence` of [`reproduction.plan.Comparison`]): to test.
        results (`Sequence` of `Mapping`): of [`reproduction.plan.read_results`].
        folder (`Path`): the documentation; the plot goes to `images` in it.
        missing (`Sequence[str]`): names of runs of the plan that were not made.
    """
    if results:
        with matplotlib.rc_context(STYLE):
            save_figure(draw_kinds(results), folder / f"images/comparison_{name}.png")
    page = comparison_page(name, comparisons, results, missing)
    write_whole(folder / f"comparison-{name}.md", page.encode())


def comparison_page(
    name: str, comparisons: Sequence[Comparison], results: Sequence[Result], missing: Sequence[str] = ()
) -> str:
    """
    The page, in Markdown.

    Args:
        name, comparisons, results, missing: as in [`write_comparison_report`].
    """
    hours = sum(each["training"]["seconds"] for each in results) / 3600
    lines = [
        f"# Runs compared: {name}",
        "",
        f"Made by `python examples/reproduce.py --scale {name} --data DIR` from the files in "
        f"[results/reproduction/{name}](results/reproduction/{name}); do not edit. The plan is "
        f"`examples/configs/reproduce_{name}.yaml`. {len(results)} runs, {hours:.1f} hours of training.",
        "",
    ]
    if missing:
        lines += [f"{len(missing)} runs of the plan were not made: {', '.join(f'`{each}`' for each in missing)}.", ""]
    if results:
        lines += [*_tests(comparisons, results), *_table(results)]
        lines += [f"![Recall against bits per byte, by kind of run](images/comparison_{name}.png)", ""]
    return "\n".join(lines)


def _tests(comparisons: Sequence[Comparison], results: Sequence[Result]) -> list[str]:
    columns = [each for each in _measured(results) if each.in_tests]
    pairs = {
        (comparison, language, column): (ours, theirs)
        for comparison in comparisons
        for language in _languages(results)
        for column in columns
        if (ours := _values(results, comparison.kind, language, column))
        and (theirs := _values(results, comparison.other, language, column))
    }
    differ = differences_by_seeds(pairs)
    lines = [
        "## Differences",
        "",
        "Each cell is the mean of the first kind of run less the mean of the second. **Bold** differences are real by "
        f"Welch's t-test over seeds (two-sided, level {LEVEL}, Holm's correction over all cells of the table). A cell "
        "in *italics* has one seed of a kind and cannot be tested.",
        "",
        f"| comparison | language | {' | '.join(each.heading for each in columns)} |",
        f"|---|---|{'---:|' * len(columns)}",
    ]
    for comparison in comparisons:
        for language in _languages(results):
            keys = [(comparison, language, column) for column in columns]
            if any(key in pairs for key in keys):
                cells = " | ".join(_difference(pairs.get(key), differ.get(key, False), key[2]) for key in keys)
                lines.append(f"| `{comparison.kind}` less `{comparison.other}` | {language} | {cells} |")
    return [*lines, ""]


def _difference(pair: tuple[list[float], list[float]] | None, real: bool, column: Column) -> str:
    if pair is None:
        return "-"
    text = f"{fmean(pair[0]) - fmean(pair[1]):+.{column.digits}f}"
    return f"**{text}**" if real else f"*{text}*" if min(map(len, pair)) < 2 else text


def _table(results: Sequence[Result]) -> list[str]:
    columns = _measured(results)
    headings = ["language", "run", "seeds", "tokens per English token", *(each.heading for each in columns)]
    lines = [
        "## All kinds of runs",
        "",
        "Means over seeds, with the smallest and the greatest value of a seed. Bits per byte and recall are of NTREX "
        "unless a column says in-domain. TFLOP are counted for the whole training. Minutes are of a machine that did "
        "other work too, so they are no measure of speed.",
        "",
        f"| {' | '.join([*headings, 'steps', 'TFLOP', 'minutes'])} |",
        f"|---|---|{'---:|' * (len(headings) + 1)}",
    ]
    for language in _languages(results):
        for kind in dict.fromkeys(each["kind"] for each in results):
            runs = [each for each in results if (each["kind"], each["language"]) == (kind, language)]
            if runs:
                lines.append(_row(language, kind, runs, columns, _tokens_per_source_token(runs[0], results)))
    return [*lines, ""]


def _row(language: str, kind: str, runs: Sequence[Result], columns: Sequence[Column], tokens: float | None) -> str:
    training = [each["training"] for each in runs]
    cells = [
        language,
        f"`{kind}`",
        len(runs),
        "-" if tokens is None else f"{tokens:.2f}",
        *(_spread([column.value(each) for each in runs], column.digits) for column in columns),
        training[0]["steps"],
        _spread([each["flops"] / 1e12 if "flops" in each else None for each in training], 1),
        _spread([each["seconds"] / 60 for each in training], 1),
    ]
    return f"| {' | '.join(map(str, cells))} |"


def _tokens_per_source_token(run: Result, results: Sequence[Result]) -> float | None:
    """Target tokens for each source token, in training data; with the old tokenizer, what others had before."""
    changed = [each["tokenizer"] for each in results if each["tokenizer"] and each["language"] == run["language"]]
    if not changed:
        return None
    counts = run["tokenizer"]["after"] if run["tokenizer"] else changed[0]["before"]
    return counts["target"]["tokens_per_sentence"] / counts["source"]["tokens_per_sentence"]


def _spread(values: Sequence[float | None], digits: int) -> str:
    known = [each for each in values if each is not None]
    if not known:
        return "-"
    mean = f"{fmean(known):.{digits}f}"
    low, high = f"{min(known):.{digits}f}", f"{max(known):.{digits}f}"
    return mean if low == high else f"{mean} ({low} to {high})"


def _measured(results: Sequence[Result]) -> list[Column]:
    return [each for each in COLUMNS if any(each.value(result) is not None for result in results)]


def _languages(results: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys(each["language"] for each in results))


def _values(results: Sequence[Result], kind: str, language: str, column: Column) -> list[float]:
    runs = [each for each in results if (each["kind"], each["language"]) == (kind, language)]
    return [value for value in map(column.value, runs) if value is not None]


def draw_kinds(results: Sequence[Result]) -> Figure:
    """
    Draw mean recall@1 against bits per byte of NTREX: a panel for each language, a point for each run, a marker for
    each kind.

    Args:
        results (`Sequence` of `Mapping`): all results.
    """
    languages, kinds = _languages(results), list(dict.fromkeys(each["kind"] for each in results))
    rows = (len(languages) + 1) // 2
    figure = Figure(figsize=(WIDTH, 3.4 * rows), dpi=DPI, layout="constrained")
    panels = figure.subplots(rows, 2, squeeze=False).flat
    for axes, language in zip(panels, languages, strict=False):
        for number, kind in enumerate(kinds):
            points = [_point(each) for each in results if (each["kind"], each["language"]) == (kind, language)]
            style = {"color": COLOURS[number % len(COLOURS)], "marker": _MARKERS[number % len(_MARKERS)]}
            if points:
                axes.plot(*zip(*points, strict=True), linestyle="none", label=kind, **style)
        axes.set_title(language)
        axes.set_xlabel("bits per byte (lower is more fluent)")
        axes.set_ylabel("mean recall@1")
        axes.legend(fontsize=8)
    for axes in list(figure.axes)[len(languages) :]:
        axes.remove()
    return figure


def _point(result: Result) -> tuple[float, float]:
    metrics = result["scores"]["ntrex"]["metrics"]
    return metrics["bits_per_byte"], (metrics["context_recall@1"] + metrics["sense_recall@1"]) / 2
