"""The look of every plot, and writing a plot whole."""

import io
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from sensia.whole_files import write_whole

# A card is about 800 pixels wide; 1,200 keep the text sharp on dense screens.
WIDTH, DPI = 8.0, 150
_PALETTE = 128

# The colours of Okabe and Ito, told apart by people with any colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.labelsize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#B0B0B0",
    "grid.alpha": 0.4,
    "legend.fontsize": 10,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "figure.facecolor": "white",
}


def save_figure(figure: Figure, path: Path) -> None:
    """
    Write a figure as PNG, whole or not at all.

    Args:
        figure (`Figure`): the figure.
        path (`Path`): the file to write.
    """
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None})
    # A palette takes a third of the bytes, and no eye sees it in lines and text.
    Image.open(drawn).convert("RGB").quantize(_PALETTE).save(small, format="png", optimize=True)
    write_whole(path, small.getvalue())
