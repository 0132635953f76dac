"""Plots of figures with their intervals: a row for each, or a line over the amount of data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reproduction.estimates import Estimate
from sensia.model_cards.drawing import COLOURS, DPI, WIDTH

#: Height of a row, and of everything else, in inches.
_ROW, _REST = 0.36, 1.1
_GREY = "#606060"


@dataclass(frozen=True)
class Panel:
    """
    One axis of a plot.

    Args:
        label (`str`): what the axis shows.
        figures (`Mapping`): a figure for each row; `None` leaves a row empty.
        paper (`tuple` of two `float`, *optional*): range of the paper's figure, shaded; one number twice is a line.
        line (`tuple` of a `float` and a `str`, *optional*): a value to compare with, dotted, and what it is.
    """

    label: str
    figures: Mapping[str, Estimate | None]
    paper: tuple[float, float] | None = None
    line: tuple[float, str] | None = None


def draw_rows(panels: Sequence[Panel], marked: Sequence[str] = ()) -> Figure:
    """
    Draws panels side by side that share their rows.

    Args:
        panels (`Sequence` of [`Panel`]): with figures of the same names.
        marked (`Sequence[str]`, *optional*): rows in another colour, which the others are compared with.
    """
    names = list(dict.fromkeys(name for panel in panels for name in panel.figures))
    figure = Figure(figsize=(WIDTH, _REST + _ROW * len(names)), dpi=DPI, layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True):
        for place, name in enumerate(names):
            _draw_figure(axes, panel.figures.get(name), place, COLOURS[1 if name in marked else 0])
        if panel.paper is not None:
            axes.axvspan(*panel.paper, color=COLOURS[2], alpha=0.3, linewidth=2, label="the paper")
        if panel.line is not None:
            axes.axvline(panel.line[0], color=_GREY, linestyle=":", linewidth=1.2, label=panel.line[1])
        if panel.paper is not None or panel.line is not None:
            axes.legend(loc="best")
        axes.set_xlabel(panel.label)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
    return figure


def _draw_figure(axes: Axes, each: Estimate | None, place: int, colour: str):
    if each is None:
        return
    axes.plot(each.value, place, "o", color=colour, markersize=6)
    if each.ends():
        axes.plot(each.ends(), (place, place), color=colour, linewidth=2)


def draw_lines(
    lines: Mapping[str, Mapping[float, Mapping[str, Estimate | None]]], axis: str, labels: Mapping[str, str]
) -> Figure:
    """
    Draws figures over the amount of something, a panel for each.

    Args:
        lines (`Mapping`): by name of a line and by amount, the figures by their names.
        axis (`str`): what the amount is of; the axis is logarithmic.
        labels (`Mapping`): what to call each figure; one panel each.
    """
    figure = Figure(figsize=(WIDTH, 2.6 * len(labels)), dpi=DPI, layout="constrained")
    panels = figure.subplots(len(labels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (metric, called) in zip(panels, labels.items(), strict=True):
        for colour, (name, points) in zip(COLOURS, lines.items(), strict=False):
            known = {amount: each for amount in sorted(points) if (each := points[amount].get(metric)) is not None}
            axes.plot(list(known), [each.value for each in known.values()], "o-", color=colour, label=name)
            for amount, each in known.items():
                if each.ends():
                    axes.plot((amount, amount), each.ends(), color=colour, linewidth=2)
        axes.set_ylabel(called.replace(" (", "\n("))  # a panel is too low for both on one line
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=len(lines))
    amounts = sorted({amount for points in lines.values() for amount in points})
    panels[-1].set_xscale("log")
    panels[-1].set_xticks(amounts, [f"{amount:,.0f}" for amount in amounts])
    panels[-1].set_xticks([], minor=True)
    panels[-1].set_xlabel(axis)
    return figure
