"""Plots of what senses have in common across languages, from the results of `examples/study_senses.py`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sensia.model_cards.drawing import COLOURS, DPI, STYLE, WIDTH, save_figure

# Results by the name of the model, as they are in a results file.
Models = Mapping[str, Mapping[str, Any]]


def _panels(models: Models, height: float, beside: bool = False) -> tuple[Figure, list[Axes]]:
    """A panel for each model, one above or beside the other, on the same scales."""
    rows, columns = (1, len(models)) if beside else (len(models), 1)
    size = (WIDTH, height * rows + 0.6)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    axes = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
    for panel, name in zip(axes, models, strict=True):
        panel.set_title(f"{name} model", fontsize=11)
    return figure, axes


def draw_topology(models: Models) -> Figure:
    """
    Draw how the rho of word pairs is spread, and that of shuffled pairs, which is what chance gives.

    Args:
        models (`Mapping`): by name, results whose `geometry` has a `sense_topology` with its `histogram`.
    """
    figure, panels = _panels(models, 2.6)
    for axes, results in zip(panels, models.values(), strict=True):
        topology = results["geometry"]["sense_topology"]
        histogram = topology["histogram"]
        label = f"translations: mean {topology['estimate']:.3f}"
        axes.stairs(histogram["pairs"], histogram["edges"], fill=True, color=COLOURS[0], alpha=0.55, label=label)
        label = f"shuffled pairs: mean {topology['baseline']:.3f}"
        axes.stairs(histogram["shuffled"], histogram["edges"], color=COLOURS[1], linewidth=1.8, label=label)
        axes.set_ylabel("word pairs")
        axes.legend(loc="upper left")
    panels[-1].set_xlabel("Spearman's rho between the sense cosines of a word and its translation")
    panels[-1].set_xlim(_lowest(models), 1)
    return figure


def _lowest(models: Models) -> float:
    """The lower end of the lowest bin that holds a pair, of any model."""
    histograms = [results["geometry"]["sense_topology"]["histogram"] for results in models.values()]
    return min(
        edge
        for each in histograms
        for edge, *counts in zip(each["edges"], each["pairs"], each["shuffled"], strict=False)
        if any(counts)
    )


def draw_similarity(models: Models) -> Figure:
    """
    Draw the mean cosine of every sense of words with every sense of their translations, a square for each model.

    Args:
        models (`Mapping`): by name, results whose `geometry` has a `sense_similarity` with its `cosines` [K][K].
    """
    figure, panels = _panels(models, 3.6, beside=True)
    tables = [results["geometry"]["sense_similarity"]["cosines"] for results in models.values()]
    limit = max(abs(value) for table in tables for row in table for value in row)
    for axes, table in zip(panels, tables, strict=True):
        image = axes.imshow(table, cmap="RdBu_r", vmin=-limit, vmax=limit)
        axes.grid(False)
        axes.set_xticks(range(len(table)))
        axes.set_yticks(range(len(table)))
        axes.set_xlabel("sense of the translation")
    panels[0].set_ylabel("sense of the English word")
    figure.colorbar(image, ax=panels, label="mean cosine, centred", shrink=0.8)
    return figure


def draw_words(models: Models) -> Figure:
    """
    Draw words and their translations on a plane, with a line between the two of a pair.

    Args:
        models (`Mapping`): by name, results with a `word_map` of `words` and the variance that the axes have
            `explained`.
    """
    figure, panels = _panels(models, 5.2)
    for axes, results in zip(panels, models.values(), strict=True):
        words = results["word_map"]["words"]
        for word in words:
            ends = zip(word["source_at"], word["target_at"], strict=True)
            axes.plot(*ends, color="#999999", linewidth=0.7, zorder=1)
        for side, label, colour in (("source", "English", COLOURS[0]), ("target", "translation", COLOURS[1])):
            places = [word[f"{side}_at"] for word in words]
            across, up = zip(*places, strict=True)
            axes.scatter(across, up, s=14, color=colour, label=label, zorder=2)
            for word, place in zip(words, places, strict=True):
                look: Any = {"xytext": (2, 2), "textcoords": "offset points", "fontsize": 6.5, "color": colour}
                axes.annotate(word[side], place, **look)
        shares = results["word_map"]["explained"]
        axes.set_xlabel(f"first principal component ({shares[0]:.0%} of the variance)")
        axes.set_ylabel(f"second ({shares[1]:.0%})")
        axes.legend(loc="best")
    return figure


_FIGURES: dict[str, Callable[[Models], Figure]] = {
    "senses_topology.png": draw_topology,
    "senses_similarity.png": draw_similarity,
    "senses_words.png": draw_words,
}


def plot_senses(results: Mapping[str, Any], folder: Path) -> list[Path]:
    """
    Write the three plots of a study of senses; that of words only where they could be mapped.

    Args:
        results (`Mapping`): what `examples/study_senses.py` writes; the results of each model are in `models`.
        folder (`Path`): where `senses_topology.png`, `senses_similarity.png` and `senses_words.png` are written.

    Returns:
        `list[Path]`: the files.
    """
    paths, mapped = [], all(each["word_map"] is not None for each in results["models"].values())
    with matplotlib.rc_context(STYLE):
        for name, draw in _FIGURES.items():
            if draw is draw_words and not mapped:
                continue
            paths.append(folder / name)
            save_figure(draw(results["models"]), paths[-1])
    return paths
