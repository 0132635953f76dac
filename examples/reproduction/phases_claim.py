"""The claim that every part of SENSIA counts, and the joint phase most."""

from collections.abc import Sequence

from reproduction.family import family_p_values
from reproduction.labels import label
from reproduction.run_results import RECALLS, Results
from reproduction.verdicts import FAILS, HOLDS, SAME, UNTOLD, WEAKLY, Judgement

#: Runs without a phase, runs without or with another part of SENSIA, and runs with other numbers of senses. The last
#: begin from a shorter pretraining, and are compared with 8 senses from the same.
PHASES = ("no-joint", "no-align", "no-polish")
PARTS = ("no-context-loss", "no-sense-loss", "one-way", "no-freezing", "tau-low", "tau-high")
SENSES = ("k1", "k4", "k16")
#: The same, each with what it is compared with.
WITHOUT = (*((kind, "sensia") for kind in (*PHASES, *PARTS)), *((kind, "k8") for kind in SENSES))


def joint_counts_most(found: Results) -> Judgement:
    """
    Judges that recall falls most without the joint phase, and that something gets worse without each phase.

    Args:
        found ([`Results`]): of all runs.
    """
    told = "; ".join(_difference(found, kind, other) for kind, other in WITHOUT if found(kind) and found(other))
    if len(found("sensia")) < 2:
        return told, UNTOLD, "One seed does not tell how far seeds differ."
    lost = {kind: found.recall("sensia") - found.recall(kind) for kind in PHASES}
    cost = {kind: found.mean(kind, "bits per byte") / found.mean("sensia", "bits per byte") for kind in PHASES}
    spread = max(_spread(found.values(kind, metric)) for kind in ("sensia", *PHASES) for metric in RECALLS)
    idle = [kind for kind in PHASES if lost[kind] <= spread and cost[kind] <= 1 + SAME]
    worst, least_fluent = max(lost, key=lost.__getitem__), max(cost, key=cost.__getitem__)
    if worst == "no-joint":
        verdict = HOLDS if lost[worst] > spread and not idle else WEAKLY
    else:
        verdict = FAILS if lost[worst] - lost["no-joint"] > spread else UNTOLD
    parts = (
        _worst(worst, least_fluent),
        _seeds(found, lost[worst], spread),
        _fluent(found, spread),
        _idle(idle, spread),
    )
    return told, verdict, " ".join(filter(None, parts))


def _worst(worst: str, least_fluent: str) -> str:
    if worst == least_fluent:
        return f"Recall falls and bits per byte rise most {label(worst)}."
    return f"Recall falls most {label(worst)}, and bits per byte rise most {label(least_fluent)}."


def _seeds(found: Results, lost: float, spread: float) -> str:
    """The spread of recall over seeds beside the largest loss of recall, and the test of the loss without joint."""
    more = ", which is more than recall falls" if lost <= spread else ""
    told = f"Context or sense recall differs between seeds by up to {spread:.3f}{more}."
    if (test := family_p_values(found).get("phases: no-joint")) is not None:
        told += f" The test of whether recall falls without joint gives p = {test[1]:.2g} after Holm's correction."
    return told


def _fluent(found: Results, spread: float) -> str:
    """The runs that write better without a part, at equal recall, and one reason for it."""
    kept = (kind for kind in (*PHASES, *PARTS) if found.writes_better(kind, "sensia"))
    names = [label(kind) for kind in kept if found.recall("sensia") - found.recall(kind) <= spread]
    told = (
        f"These runs have fewer bits per byte than SENSIA, and lose no more than {spread:.3f} of recall: "
        f"{', '.join(names)}. "
        if names
        else ""
    )
    return (
        f"{told}The steps of a phase that is left out go to the others, so a run without align or joint has more of "
        "the language model loss."
    )


def _idle(idle: Sequence[str], spread: float) -> str:
    """The phases that nothing shows to count."""
    if not idle:
        return ""
    return (
        f"{' and '.join(map(label, idle)).capitalize()}, recall falls by no more than {spread:.3f}, and bits per byte "
        f"rise by no more than {100 * SAME:.0f} %: nothing shows that "
        f"{'this phase counts' if len(idle) == 1 else 'these phases count'}. This part of the rule was written after "
        "the runs; it can only lower a verdict."
    )


def _difference(found: Results, kind: str, without: str) -> str:
    recall = found.recall(kind) - found.recall(without)
    bits = found.mean(kind, "bits per byte") - found.mean(without, "bits per byte")
    return f"{kind} (over {without}): recall {recall:+.3f}, bits per byte {bits:+.3f}"


def _spread(values: Sequence[float]) -> float:
    return max(values) - min(values)
