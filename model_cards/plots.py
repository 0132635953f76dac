"""Plots of a training run for the card: losses, retrieval, bits per byte and entropy over the steps."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from sensia.model_cards.drawing import COLOURS, DPI, STYLE, WIDTH, save_figure
from sensia.model_cards.results import is_number

Record = Mapping[str, Any]
Series = tuple[list[int], list[float]]

#: The plots that a card may show: file name -> what is to be seen there.
CAPTIONS = {
    "losses.png": "The loss terms without their weights; shades are phases. Thin: as logged, thick: running mean.",
    "recall.png": "Translation retrieval on held-out sentence pairs.",
    "bits_per_byte.png": "Bits per byte of held-out text.",
    "entropy.png": "Entropy of the mixture of senses; 0 is a single sense. Thin: as logged, thick: running mean.",
}

_PANEL_HEIGHT = 2.7
_PHASE_SHADES = ("#DCE6F1", "#F6EBD3", "#E1EFE0")

_LOSS_PANELS = (
    ("InfoNCE (nats)", {"loss_ctx": "context vectors", "loss_sns": "sense vectors"}),
    (
        "LM loss (nats per token)",
        {
            "loss_lm": "as trained",
            "loss_lm_plain": "without label smoothing",
            "loss_lm_target": "target side",
            "loss_lm_source": "source side",
            "loss_kl": "KL from the model before training",
        },
    ),
)
_TOTAL_PANEL = ("weighted loss (nats)", {"loss": "sum of the weighted terms"})

_MANY_POINTS = 120
_FEW_POINTS = 40


def _series(records: Iterable[Record], key: str) -> Series:
    """A resumed run logs some steps twice: the later record counts."""
    points = {record["step"]: record[key] for record in records if is_number(record.get(key))}
    steps = sorted(points)
    return steps, [points[step] for step in steps]


def _keys_with(records: Iterable[Record], part: str) -> list[str]:
    return sorted({key for record in records for key in record if part in key and is_number(record[key])})


def phase_spans(history: Sequence[Record]) -> list[tuple[str, int, int]]:
    """
    The stretches of training that one phase covers.

    Args:
        history (`Sequence`): log records with `step` and, where the schedule has phases, `phase`.

    Returns:
        `list[tuple]`: (phase, first step, last step), each ending where the next begins; empty without phases.
    """
    phases = {record["step"]: record["phase"] for record in history if isinstance(record.get("phase"), str)}
    spans: list[tuple[str, int, int]] = []
    for step in sorted(phases):
        if spans:
            spans[-1] = (*spans[-1][:2], step)
        if not spans or spans[-1][0] != phases[step]:
            spans.append((phases[step], step, step))
    return spans


def _shade_phases(panels: Sequence[Axes], spans: Sequence[tuple[str, int, int]]) -> None:
    if len(spans) < 2:  # a single shade tells nothing apart
        return
    length = spans[-1][2] - spans[0][1]
    shades = {name: _PHASE_SHADES[index % 3] for index, name in enumerate(dict.fromkeys(span[0] for span in spans))}
    above, last = panels[0].get_xaxis_transform(), -math.inf
    for name, start, end in spans:
        for axes in panels:
            axes.axvspan(start, end, color=shades[name], linewidth=0, zorder=0)
        middle = (start + end) / 2
        # Names closer together than this would be written over each other.
        if middle - last >= 0.05 * length:
            panels[0].text(middle, 1.02, name, transform=above, ha="center", va="bottom", color="#444444")
            last = middle


def _running_mean(values: Sequence[float], reach: int) -> np.ndarray:
    """The mean over `reach` neighbours on each side, over fewer at the ends."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    low, high = np.maximum(index - reach, 0), np.minimum(index + reach + 1, len(values))
    return (sums[high] - sums[low]) / (high - low)


def _draw(axes: Axes, series: Series, **look: Any) -> None:
    steps, values = series
    if len(steps) <= _MANY_POINTS:
        axes.plot(steps, values, marker="o" if len(steps) <= _FEW_POINTS else None, markersize=4, **look)
        return
    axes.plot(steps, values, linewidth=0.8, alpha=0.3, **(look | {"label": None}))
    axes.plot(steps, _running_mean(values, len(steps) // 60), linewidth=1.9, zorder=3, **look)


def _figure(panels: int) -> tuple[Figure, list[Axes]]:
    height = max(3.8, 0.9 + _PANEL_HEIGHT * panels)
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    axes = list(figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0])
    axes[-1].set_xlabel("optimizer step")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[-1].xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    return figure, axes


def _finish(figure: Figure, path: Path) -> None:
    for axes in figure.axes:
        axes.margins(x=0.01)
        handles = [line for line in axes.get_lines() if not str(line.get_label()).startswith("_")]
        if handles:
            axes.legend(handles=handles, loc="best")
    save_figure(figure, path)


def plot_losses(history: Sequence[Record], path: Path) -> bool:
    """
    Draw the unweighted loss terms over the steps, with the phases of the schedule as shaded stretches.

    Args:
        history (`Sequence`): `results["training"]["history"]`: records with `step` and any of `loss_ctx`,
            `loss_sns`, `loss_lm`, `loss_lm_plain`, `loss_lm_target`, `loss_lm_source`, `loss_kl` (nats) and
            `phase`. Where no term was logged, `loss` is drawn.
        path (`Path`): the PNG file to write.

    Returns:
        `bool`: whether there was anything to draw; nothing is written where there was not.
    """
    panels = [panel for panel in (*_LOSS_PANELS, _TOTAL_PANEL) if any(_series(history, key)[0] for key in panel[1])]
    panels = panels[:-1] if len(panels) > 1 and panels[-1] is _TOTAL_PANEL else panels
    if not panels:
        return False
    with matplotlib.rc_context(STYLE):
        figure, all_axes = _figure(len(panels))
        for axes, (unit, labels) in zip(all_axes, panels, strict=True):
            axes.set_ylabel(unit)
            drawn = {label: _series(history, key) for key, label in labels.items()}
            for colour, (label, series) in zip(COLOURS, drawn.items(), strict=False):
                if series[0]:
                    _draw(axes, series, color=colour, label=label)
        _shade_phases(all_axes, phase_spans(history))
        _finish(figure, path)
    return True


def _name(key: str, measure: str) -> str:
    """`eval_ntrex_sense_recall@1` -> `ntrex sense`."""
    rest = key.removeprefix("eval_").replace(measure, "").replace("_", " ").split()
    return " ".join(rest) or "held-out"


def _without_directions(keys: Iterable[str]) -> list[str]:
    """Both directions go out where their mean is there: three lines for one thing hide the others."""
    keys = list(keys)
    directions = ("_source_to_target", "_target_to_source")
    stems = {key: next((key.removesuffix(end) for end in directions if key.endswith(end)), key) for key in keys}
    return [key for key in keys if stems[key] == key or stems[key] not in keys]


def _plot_measure(evaluations: Sequence[Record], keys: Sequence[str], measure: str, unit: str, path: Path) -> bool:
    if not keys:
        return False
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = _figure(1)
        axes.set_ylabel(unit)
        for index, key in enumerate(keys):
            colour = COLOURS[index % len(COLOURS)]
            _draw(axes, _series(evaluations, key), color=colour, label=_name(key, measure))
        if measure.startswith("recall"):
            axes.set_ylim(0, 1.02)
        _finish(figure, path)
    return True


def plot_recall(evaluations: Sequence[Record], path: Path) -> bool:
    """
    Draw translation retrieval on held-out pairs over the steps.

    Args:
        evaluations (`Sequence`): `results["training"]["evaluations"]`: records with `step` and floats; all keys that
            contain `recall@1` count, the two directions only where their mean is missing.
        path (`Path`): the PNG file to write.

    Returns:
        `bool`: whether there was anything to draw; nothing is written where there was not.
    """
    keys = _without_directions(_keys_with(evaluations, "recall@1"))
    return _plot_measure(evaluations, keys, "recall@1", "recall@1 (share of sentences)", path)


def plot_bits_per_byte(evaluations: Sequence[Record], path: Path) -> bool:
    """
    Draw bits per byte of held-out text over the steps.

    Args:
        evaluations (`Sequence`): `results["training"]["evaluations"]`: records with `step` and floats; all keys that
            contain `bits_per_byte` count.
        path (`Path`): the PNG file to write.

    Returns:
        `bool`: whether there was anything to draw; nothing is written where there was not.
    """
    keys = _keys_with(evaluations, "bits_per_byte")
    return _plot_measure(evaluations, keys, "bits_per_byte", "bits per byte", path)


def _draw_entropies(axes: Axes, history: Sequence[Record], evaluations: Sequence[Record]) -> None:
    drawn = {f"training, {side}": _series(history, f"entropy_{side}") for side in ("source", "target")}
    for key in _keys_with(evaluations, "entropy"):
        drawn[_name(key, "entropy")] = _series(evaluations, key)
    for index, (label, series) in enumerate(drawn.items()):
        if series[0]:
            style = "-" if label.startswith("training, ") else "--"
            _draw(axes, series, color=COLOURS[index % len(COLOURS)], linestyle=style, label=label)


def plot_entropy(
    history: Sequence[Record],
    path: Path,
    evaluations: Sequence[Record] = (),
    num_senses: int | None = None,
) -> bool:
    """
    Draw the entropy of the mixture of senses over the steps.

    Args:
        history (`Sequence`): `results["training"]["history"]`: records with `step`, `entropy_source` and
            `entropy_target` (nats).
        path (`Path`): the PNG file to write.
        evaluations (`Sequence`, *optional*, defaults to none): records with `step` and floats; all keys that contain
            `entropy` are drawn beside the training values.
        num_senses (`int`, *optional*): K; its logarithm, the entropy of equal weights, is drawn as a line.

    Returns:
        `bool`: whether there was anything to draw; nothing is written where there was not.
    """
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = _figure(1)
        _draw_entropies(axes, history, evaluations)
        if not axes.get_lines():
            return False
        axes.set_ylabel("mixture entropy (nats)")
        if num_senses:
            label = f"equal weight on {num_senses} senses"
            axes.axhline(np.log(num_senses), color="#666666", linestyle=":", label=label)
        _shade_phases([axes], phase_spans(history))
        _finish(figure, path)
    return True


def draw_plots(results: Mapping[str, Any], folder: Path) -> list[str]:
    """
    Draw all plots that the results have data for, and remove the others from the folder.

    Args:
        results (`Mapping[str, Any]`): checked results of a run.
        folder (`Path`): where the files go.

    Returns:
        `list[str]`: names of the files, each a key of [`CAPTIONS`].
    """
    training = results["training"]
    history, evaluations, senses = training["history"], training["evaluations"], results["model"]["num_senses"]
    draw: dict[str, Callable[[Path], bool]] = {
        "losses.png": lambda path: plot_losses(history, path),
        "recall.png": lambda path: plot_recall(evaluations, path),
        "bits_per_byte.png": lambda path: plot_bits_per_byte(evaluations, path),
        "entropy.png": lambda path: plot_entropy(history, path, evaluations, senses),
    }
    drawn = [name for name in CAPTIONS if draw[name](folder / name)]
    for name in CAPTIONS.keys() - set(drawn):
        (folder / name).unlink(missing_ok=True)
    return drawn
