"""Figures with their intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean


@dataclass(frozen=True)
class Estimate:
    """
    A figure and its interval.

    Args:
        value (`float`): the figure.
        low (`float`, *optional*), high (`float`, *optional*): ends of the interval; `None` where there is none.
    """

    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        return self.text()

    def text(self, digits: int = 3, sign: str = "") -> str:
        """
        The figure and its interval, as `0.582 (0.577 to 0.590)`.

        Args:
            digits (`int`, *optional*, defaults to 3): places after the point.
            sign (`str`, *optional*): `+` to write the sign of all numbers.
        """
        value, *ends = (format(each, f"{sign}.{digits}f") for each in (self.value, *self.ends()))
        return f"{value} ({' to '.join(ends)})" if ends else value

    def ends(self) -> tuple[float, ...]:
        """`tuple` of `float`: both ends of the interval, or none."""
        return () if self.low is None or self.high is None else (self.low, self.high)

    def minus(self, other: "Estimate") -> "Estimate":
        """
        The difference to another figure that was measured independently. The distances to the ends of both intervals
        are added in quadrature, as for errors that do not depend on one another.

        Args:
            other ([`Estimate`]): what is subtracted.
        """
        value = self.value - other.value
        if not (self.ends() and other.ends()):
            return Estimate(value)
        (low, high), (other_low, other_high) = self.ends(), other.ends()
        below = math.hypot(self.value - low, other_high - other.value)
        above = math.hypot(high - self.value, other.value - other_low)
        return Estimate(value, value - below, value + above)


def over_seeds(values: Sequence[float]) -> Estimate:
    """
    The mean of seeds and their range; of one seed the value alone.

    Args:
        values (`Sequence[float]`): a value for each seed.
    """
    return Estimate(values[0]) if len(values) == 1 else Estimate(fmean(values), min(values), max(values))
