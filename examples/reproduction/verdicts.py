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
