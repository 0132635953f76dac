"""The paper's first claim: alignment rises and holds, at a recall above 0.9 and an entropy of 1.4 to 1.5 nats."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import Any

from reproduction.estimates import over_seeds
from reproduction.run_results import RECALLS, Results
from reproduction.trends import steps_to_reach
from reproduction.verdicts import DIRECTION, FAILS, HOLDS, SLACK, WEAKLY, Judgement

#: Recall@1 of context and of sense vectors that the paper reports after align.
PAPER_RECALL = 0.9
#: Entropy of the mixture that the paper reports, as shares of ln K: 1.4 to 1.5 of ln 16.
PAPER_ENTROPY = (1.4 / math.log(16), 1.5 / math.log(16))
#: A mixture of less entropy than this share of ln K has collapsed.
_COLLAPSED = 0.1
_SIDES = ("eval_NTREX_entropy_source", "eval_NTREX_entropy_target")
#: A smaller rise of recall is none.
_RISE = 0.1


def rises_and_holds(found: Results) -> Judgement:
    """
    Judges the claim by the paper's numbers. It holds if every seed ends at them. A recall that rises and stays, but
    under them, has the direction and not the size. One that falls again holds weakly.

    Args:
        found ([`Results`]): of all runs.
    """
    told, lowest, rises, stays, runs = [], 1.0, True, True, found("sensia")
    for kind in ("context", "sense"):
        before = [run["before"]["NTREX"][f"{kind}_recall@1"] for run in runs]
        after = found.values("sensia", f"{kind} recall@1")
        curves = [[each[f"eval_NTREX_{kind}_recall@1"] for each in run["curve"]] for run in runs]
        rises &= all(end > start + _RISE for start, end in zip(before, after, strict=True))
        stays &= all(curve[-1] >= max(curve) - SLACK for curve in curves)
        lowest = min(lowest, *after)
        told.append(f"{kind} {fmean(before):.2f} to {over_seeds(after).text(2)}")
    lowest_end, highest_end, most = end_entropies(found)
    within = PAPER_ENTROPY[0] * most <= lowest_end and highest_end <= PAPER_ENTROPY[1] * most
    collapsed = min(share for run in runs for share in _entropies(run)) < _COLLAPSED
    told.append(f"entropy at the end {lowest_end:.2f} to {highest_end:.2f} of {most:.2f}")
    if not rises or collapsed:
        verdict = FAILS
    elif not stays:
        verdict = WEAKLY
    else:
        verdict = HOLDS if lowest >= PAPER_RECALL and within else DIRECTION
    return "; ".join(told), verdict, _why(found, runs)


def _why(found: Results, runs: Sequence[Mapping[str, Any]]) -> str:
    lowest, highest = (share * math.log(runs[0]["num_senses"]) for share in PAPER_ENTROPY)
    why = (
        f"Recall@1 before and after is of all NTREX pairs; seeds: {', '.join(str(run['seed']) for run in runs)}. It "
        f"holds if every seed ends within {SLACK} of its peak, at a recall of {PAPER_RECALL} or more and at an "
        f"entropy of {lowest:.2f} to {highest:.2f} nats, which are the paper's shares of ln K. The peak "
        "and the entropy at the end are of the pairs of the curve, the first 200."
    )
    lengths = {metric: found.lengths("sensia", partial(found.mean, metric=metric)) for metric in RECALLS}
    trends = (steps_to_reach(metric.capitalize(), points, PAPER_RECALL) for metric, points in lengths.items())
    return " ".join([why, *filter(None, trends)])


def _entropies(run: Mapping[str, Any]) -> list[float]:
    """Shares of ln K over the whole curve."""
    return [each[side] / math.log(run["num_senses"]) for each in run["curve"] for side in _SIDES]


def end_entropies(found: Results) -> tuple[float, float, float]:
    """Lowest and highest entropy of the mixture at the end of SENSIA's runs, of both sides, and ln K; in nats."""
    runs = found("sensia")
    most = math.log(runs[0]["num_senses"])
    ends = [most * share for run in runs for share in _entropies(run)[-len(_SIDES) :]]
    return min(ends), max(ends), most
