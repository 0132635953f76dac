"""Trends over the length of runs, and what length a figure would need."""

import math
from collections.abc import Mapping

import numpy as np

#: A line through the logarithm of the steps is drawn no further than this factor beyond the longest run.
_FURTHEST = 1000
#: Steps of the runs that give a trend together with those of the plan's usual length.
_OTHER_LENGTHS = (300, 4500)


def other_lengths(*kinds: str) -> tuple[str, ...]:
    """
    Names of the same runs at other lengths.

    Args:
        kinds (`str`): names in the plan.
    """
    return tuple(f"{kind}-{steps}" for kind in kinds for steps in _OTHER_LENGTHS)


def steps_to_reach(name: str, points: Mapping[int, float], goal: float) -> str | None:
    """
    Tells if a figure reaches a goal at one of the lengths and, if it does not, how many steps it would need by the
    least-squares line over the logarithm of the steps.

    Args:
        name (`str`): of the figure; begins the sentence.
        points (`Mapping`): steps of a run -> the figure, the mean of its seeds.
        goal (`float`): the figure to reach.

    Returns:
        `str`, *optional*: a sentence; `None` with fewer than two lengths.
    """
    if len(points) < 2:
        return None
    shown = _shown(points, "")
    if max(points.values()) >= goal:
        return f"{name}: {shown} steps, so {goal:g} is reached."
    slope, needed = _line(points, goal)
    if slope <= 0:
        return f"{name}: {shown} steps, so it does not rise."
    return f"{name}: {shown} steps; by the line through these, {goal:g} would take {_told(needed, max(points))} steps."


def steps_to_no_difference(points: Mapping[int, float]) -> str | None:
    """
    Tells how a difference between two kinds of runs changes with their length, and when it would be gone.

    Args:
        points (`Mapping`): steps of a run -> the difference.

    Returns:
        `str`, *optional*: the end of a sentence; `None` with fewer than two lengths.
    """
    if len(points) < 2:
        return None
    slope, needed = _line(points, 0)
    shown = _shown(points, "+")
    if slope == 0 or needed <= max(points):
        return f"{shown} steps; by the line through these, it does not shrink"
    return f"{shown} steps; by the line through these, 0 at {_told(needed, max(points))} steps"


def _line(points: Mapping[int, float], goal: float) -> tuple[float, float]:
    """Slope of the least-squares line over the logarithm of the steps, and the steps at which it meets a goal."""
    lengths = sorted(points)
    slope, start = np.polyfit(np.log(lengths), [points[steps] for steps in lengths], 1)
    if np.isclose(slope, 0):
        return 0.0, math.inf
    return slope, math.exp(min((goal - start) / slope, math.log(_FURTHEST * lengths[-1])))


def _shown(points: Mapping[int, float], sign: str) -> str:
    return ", ".join(f"{points[steps]:{sign}.3f} at {steps:,}" for steps in sorted(points))


def _told(steps: float, longest: int) -> str:
    beyond = steps >= 0.999 * _FURTHEST * longest
    return f"more than {_FURTHEST * longest:,}" if beyond else f"about {float(f'{steps:.2g}'):,.0f}"
