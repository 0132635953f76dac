"""The paper's claim that the learned mixture of senses matters."""

from reproduction.estimates import Estimate
from reproduction.run_results import MissingRunsError, Results
from reproduction.verdicts import DIRECTION, FAILS, HOLDS, Judgement

#: What the paper loses without the learned mixture.
PAPER_NATS = 6
#: A smaller loss is none.
_LEAST = 0.2
#: What stands in the place of the mixture, and how it is called.
VARIANTS = {
    "top_1": "the heaviest sense alone",
    "top_1_norm_matched": "the heaviest sense, its vector scaled to the norm of the mixture",
    "shared_contextualization": "one attention for all senses, the mean of theirs",
    "even_contextualization_norm_matched": "equal attention to all earlier tokens, scaled likewise",
}
#: Those that leave a single sense, which the verdict is about.
ONE_SENSE = ("top_1", "top_1_norm_matched")


def mixture_changes(found: Results) -> dict[str, Estimate]:
    """
    Nats per token of the adapted language that each of [`VARIANTS`] adds.

    Args:
        found ([`Results`]): of all runs. Those of `sensia` that were scored on `mixture` are taken.

    Raises:
        MissingRunsError: if there is none.
    """
    scored = {name: found.score("sensia", "mixture", name) for name in VARIANTS}
    if not all(scored.values()):
        raise MissingRunsError("sensia in id, scored on mixture")
    return {name: each for name, each in scored.items() if each is not None}


def mixture_matters(found: Results) -> Judgement:
    """
    Judges the claim by the least that a single sense costs.

    Args:
        found ([`Results`]): of all runs.
    """
    changes = mixture_changes(found)
    told = "; ".join(f"{name} {each.text(2, '+')}" for name, each in changes.items())
    least = min(changes[name].value for name in ONE_SENSE)
    verdict = HOLDS if least >= PAPER_NATS else DIRECTION if least > _LEAST else FAILS
    why = (
        f"Nats per token of Indonesian. Judged by the two rows that keep a single sense: it holds if both add "
        f"{PAPER_NATS} nats or more."
    )
    return told, verdict, why
