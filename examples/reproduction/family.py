"""All tests that claims rest on, as one family: the more is tested, the more a single test has to show."""

from collections.abc import Iterator, Sequence
from statistics import fmean

from reproduction.run_results import METRICS, RECALLS, Results
from reproduction.seed_tests import holm, welch_p_value

#: p-values of scores that are tested against chance: name of the test, task and metric.
_AGAINST_CHANCE = (
    ("topology", "topology", "topology_gap"),
    ("Procrustes", "procrustes", "procrustes_gap"),
)
#: Kinds of runs with another curriculum; the claim is that they have fewer bits per byte.
OTHER_CURRICULA = ("cosine", "adaptive")
#: Kinds of runs that SENSIA is compared with by recall, because the claim is that they have less.
_LESS_RECALL = {"phases": ("no-joint", "no-align", "no-polish"), "bitext": ("data-20",)}


def family_p_values(found: Results) -> dict[str, tuple[float, float]]:
    """
    Tests everything that claims rest on and that has seeds enough, one-sided: Welch's t-test over seeds, and for the
    geometry of senses the comparison with shuffled pairs.

    Args:
        found ([`Results`]): of all runs.

    Returns:
        `dict`: by `CLAIM: WHAT`, the p-value and the one after Holm's correction over all of them.
    """
    names, values = [], []
    for name, value in _p_values(found):
        names.append(name)
        values.append(value)
    return dict(zip(names, zip(values, holm(values), strict=True), strict=True))


def _p_values(found: Results) -> Iterator[tuple[str, float]]:
    for name, greater, lesser in _comparisons(found):
        if min(len(greater), len(lesser)) > 1:
            yield name, welch_p_value(greater, lesser)
    for name, task, metric in _AGAINST_CHANCE:
        scored = [run["scores"][task] for run in found("sensia") if task in run["scores"]]
        if scored:
            yield f"geometry: {name}", max(each["p_values"][metric] for each in scored)


def _comparisons(found: Results) -> Iterator[tuple[str, Sequence[float], Sequence[float]]]:
    """Name of each comparison, the values that should be greater, and those that should be less; one for each seed."""
    for metric in METRICS if found("sensia") and found("lm-only") else ():
        ours, theirs = found.values("sensia", metric), found.values("lm-only", metric)
        lower = metric.endswith("bits per byte")
        yield f"others: {metric}", *((theirs, ours) if lower else (ours, theirs))
    for kind in ("scratch", "scratch-2x") if found("sensia") else ():
        if found(kind):
            bits = [found.values(each, "bits per byte") for each in (kind, "sensia")]
            yield f"scratch: {kind}", bits[0], bits[1]
    for kind in OTHER_CURRICULA if found("sensia") else ():
        if found(kind):
            yield f"curricula: {kind}", found.values("sensia", "bits per byte"), found.values(kind, "bits per byte")
    if found("others", "zh") and found("monolingual", "zh"):
        bits = [found.values(each, "bits per byte", "zh") for each in ("monolingual", "others")]
        yield "monolingual: bits per byte", bits[0], bits[1]
    for claim, kinds in _LESS_RECALL.items() if found("sensia") else ():
        for kind in filter(found, kinds):
            yield f"{claim}: {kind}", _recalls(found, "sensia"), _recalls(found, kind)


def _recalls(found: Results, kind: str) -> list[float]:
    """Mean of context and sense recall@1 of each seed."""
    return [fmean(pair) for pair in zip(*(found.values(kind, metric) for metric in RECALLS), strict=True)]
