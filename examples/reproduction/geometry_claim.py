"""The paper's claim that the senses of a word are arranged like those of its translation."""

from reproduction.family import family_p_values
from reproduction.run_results import MissingRunsError, Results
from reproduction.seed_tests import LEVEL
from reproduction.verdicts import DIRECTION, FAILS, HOLDS, WEAKLY, Judgement

#: Ranges of the paper's figures, by measure: task, metric and both ends.
PAPER_FIGURES = {
    "topology": ("topology", "topology", 0.25, 0.30),
    "Procrustes": ("procrustes", "procrustes", 0.35, 0.44),
}


def senses_keep_their_geometry(found: Results) -> Judgement:
    """
    Judges the claim by what words have in common with their translations and not with other words: the gap to pairs
    that are shuffled. The paper's figures come without this comparison.

    Args:
        found ([`Results`]): of all runs.

    Raises:
        MissingRunsError: if no run was scored on the tasks.
    """
    family, told, real, reached, beside = family_p_values(found), [], [], [], []
    for name, (task, metric, low, high) in PAPER_FIGURES.items():
        value, gap = found.score("sensia", task, metric), found.score("sensia", task, f"{metric}_gap")
        if value is None or gap is None:
            raise MissingRunsError(f"sensia in id, scored on {task}")
        p = family[f"geometry: {name}"][1]
        real.append(p < LEVEL and gap.value > 0)
        reached.append(value.value >= low)
        place = "below" if value.value < low else "above" if value.value > high else "in"
        beside.append(f"{name} is {place} the paper's range")
        told.append(f"{name} {value}, {gap.text(sign='+')} over shuffled pairs, p {p:.3f}")
    verdict = FAILS if not any(real) else WEAKLY if not all(real) else HOLDS if all(reached) else DIRECTION
    why = (
        "It holds if both figures reach the paper's and both are above those of shuffled pairs, at 5 % after Holm's "
        "correction. All words share a common arrangement of senses, so a figure without this comparison says little. "
        f"Here {', and '.join(beside)}."
    )
    return "; ".join(told), verdict, why
