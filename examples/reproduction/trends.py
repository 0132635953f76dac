"""Trends over the length of runs, and what length a figure would need."""

import math
from collections.abc import Mapping

import numpy as np

#: A line through the logarithm of the steps is drawn no further than this factor beyond the longest run.
_FURTHEST = 1000


def steps_to_reach(points: Mapping[int, float], goal: float) -> str | None:
    """
    Tells how many steps a figure would need by the least-squares line over the logarithm of the steps.

    Args:
        points (`Mapping`): steps of a run -> the figure, the mean of its seeds.
        goal (`float`): the figure to reach, greater than those here.

    Returns:
        `str`, *optional*: a sentence; `None` with fewer than two lengths.
    """
    if len(points) < 2:
        return None
    lengths = sorted(points)
    slope, start = np.polyfit(np.log(lengths), [points[steps] for steps in lengths], 1)
    shown = ", ".join(f"{points[steps]:.3f} at {steps:,}" for steps in lengths)
    if slope <= 0:
        return f"Over the length of the run it does not rise: {shown} steps."
    needed = math.exp(min((goal - start) / slope, math.log(_FURTHEST * lengths[-1])))
    beyond = needed >= 0.999 * _FURTHEST * lengths[-1]
    told = f"more than {_FURTHEST * lengths[-1]:,}" if beyond else f"about {float(f'{needed:.2g}'):,.0f}"
    return f"By the line through {shown} steps, {goal:g} would take {told} steps."
