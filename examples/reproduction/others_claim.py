"""The paper's claim that SENSIA beats the language model loss alone and dense alignment."""

from collections.abc import Iterator
from functools import partial
from statistics import fmean

from reproduction.compute import compared_compute
from reproduction.estimates import over_seeds
from reproduction.family import family_p_values
from reproduction.run_results import METRICS, Results
from reproduction.seed_tests import LEVEL
from reproduction.trends import steps_to_no_difference
from reproduction.verdicts import FAILS, HOLDS, SAME, SLACK, UNTOLD, WEAKLY, Judgement

#: Dense alignment, by how a sentence becomes a vector.
DENSE = ("dense-last", "dense-mean", "dense-second-layer")


def beats_others(found: Results) -> Judgement:
    """
    Judges the claim by every metric of [`METRICS`]. It fails if recall is not won, and holds weakly if another figure
    is not won or not measured.

    Args:
        found ([`Results`]): of all runs.
    """
    told, family = [], family_p_values(found)
    wins = {metric: family.get(f"others: {metric}", (1.0, 1.0))[1] < LEVEL for metric in METRICS}
    for metric in METRICS:
        ours, theirs = (found.values(kind, metric) for kind in ("sensia", "lm-only"))
        told.append(f"{metric} {over_seeds(ours)} against LM-only's {fmean(theirs):.3f}")
    told += [*_at_equal_compute(found, wins), *_against_dense(found, wins)]
    missing = [] if found("lm-only-compute") else ["LM-only at equal compute"]
    missing += [] if found("k8") and any(map(found, DENSE)) else ["dense alignment"]
    open_ends = f" Not measured yet: {', '.join(missing)}." if missing else ""
    if min(len(found("sensia")), len(found("lm-only"))) < 2:
        return "; ".join(told), UNTOLD, " ".join([f"One seed each decides nothing.{open_ends}", *_trends(found)])
    lost = [metric for metric, won in wins.items() if not won]
    aligned = not any("recall" in metric for metric in lost)
    fluent = not any(metric.startswith("bits per byte") for metric in lost)
    verdict = FAILS if not aligned else HOLDS if fluent and not missing else WEAKLY
    why = (
        "SENSIA is better than LM-only, with the same data and steps, where p is under 5 % after Holm's correction "
        f"over the {len(family)} tests of all claims. It is better than the others where recall differs by more than "
        f"{SLACK}, or bits per byte by more than {100 * SAME:.0f} % with intervals that do not touch. "
    )
    why += f"It is not better in: {', '.join(lost)}." if lost else "It is better everywhere."
    why += (
        " The claim fails where recall is not better than that of all others, and holds weakly where another figure "
        f"is not.{open_ends}"
    )
    return "; ".join(told), verdict, " ".join([why, *_trends(found)])


def _trends(found: Results) -> Iterator[str]:
    """A sentence for each difference that was measured at several lengths."""
    for metric in ("context recall@1", "bits per byte"):
        points = found.differences("sensia", "lm-only", partial(found.mean, metric=metric))
        if (trend := steps_to_no_difference(points)) is not None:
            yield f"SENSIA's {metric} minus LM-only's: {trend}."
    for kind in DENSE:
        if (trend := steps_to_no_difference(found.differences("k8", kind, found.best_recall))) is not None:
            yield f"Best recall@1 of SENSIA minus that of {kind}, both from equal pretraining: {trend}."


def _at_equal_compute(found: Results, wins: dict[str, bool]) -> list[str]:
    """Figures of LM-only at the compute of SENSIA; records which is better."""
    if not found("lm-only-compute"):
        return []
    bits, recall = (found.mean("lm-only-compute", metric) for metric in ("bits per byte", "context recall@1"))
    wins["recall at equal compute"] = found.mean("sensia", "context recall@1") > recall + SLACK
    wins["bits per byte at equal compute"] = found.writes_better("sensia", "lm-only-compute")
    steps = found("lm-only-compute")[0]["training"]["steps"]
    compute = compared_compute(found, "lm-only-compute", "sensia")
    return [f"LM-only for {steps} steps ({compute}): {bits:.3f} bits per byte, context recall@1 {recall:.3f}"]


def _against_dense(found: Results, wins: dict[str, bool]) -> list[str]:
    """Figures of dense alignment and SENSIA after pretraining of the same length; records which is better."""
    if not found("k8"):
        return []
    told = []
    for kind in filter(found, DENSE):
        ours, theirs = found.best_recall("k8"), found.best_recall(kind)
        our_bits, their_bits = (found.mean(each, "bits per byte") for each in ("k8", kind))
        wins[f"recall of {kind}"] = ours > theirs + SLACK
        wins[f"bits per byte of {kind}"] = found.writes_better("k8", kind)
        told.append(
            f"from equal, shorter pretraining: best recall@1 {ours:.3f} against {theirs:.3f} of {kind}, "
            f"bits per byte {our_bits:.3f} against {their_bits:.3f}"
        )
    return told
