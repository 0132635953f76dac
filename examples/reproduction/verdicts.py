"""What can be said of a claim, and how far runs have to differ for it."""

HOLDS, WEAKLY, FAILS = "holds", "holds weakly", "does not hold"
UNTOLD, MISSING = "can't be told at this scale", "not measured yet"

#: A recall that falls by no more than this from its peak holds; gaps below it are within what seeds do.
SLACK = 0.03
#: Bits per byte that differ by no more than this share are within what seeds do.
SAME = 0.01

Judgement = tuple[str, str, str]  # figures, verdict, reason


def outdoes(gained: float, cost: float) -> bool:
    """
    Whether one run is better than another on one axis, by more than seeds do, and no worse on the other.

    Args:
        gained (`float`): recall, over that of the other.
        cost (`float`): bits per byte, as a factor of those of the other.
    """
    return (gained > SLACK and cost < 1 + SAME) or (gained > -SLACK and cost < 1 - SAME)
