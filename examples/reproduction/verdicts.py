"""Possible verdicts on a claim, and the differences between runs that count."""

HOLDS, WEAKLY, FAILS = "holds", "holds weakly", "does not hold"
#: The effect is there, but smaller than the paper's number.
DIRECTION = "holds in direction, not in size"
UNTOLD, MISSING = "can't be told at this scale", "not measured yet"

#: Differences of recall up to this are within the variation between seeds; a fall from the peak up to this is no loss.
SLACK = 0.03
#: Relative differences of bits per byte up to this are within the variation between seeds.
SAME = 0.01

Judgement = tuple[str, str, str]  # figures, verdict, reason


def gains_more_than_it_costs(gained: float, cost: float) -> bool:
    """
    Tells if one run is better than another on one axis, by more than the variation between seeds, and no worse on the
    other.

    Args:
        gained (`float`): difference of recall to the other run.
        cost (`float`): bits per byte divided by those of the other run.
    """
    return (gained > SLACK and cost < 1 + SAME) or (gained > -SLACK and cost < 1 - SAME)
