"""The paper's claim that the learned mixture of senses matters."""

import json
from pathlib import Path

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
    "top_1_norm_matched": "the heaviest sense, scaled to the length of the mixture",
    "shared_contextualization": "equal weights of all senses",
    "even_contextualization_norm_matched": "equal weights of all positions, scaled likewise",
}
#: Those that leave a single sense, which the verdict is about.
_ONE_SENSE = ("top_1", "top_1_norm_matched")


def mixture_changes(found: Results, path: Path) -> dict[str, Estimate]:
    """
    Nats per token of the adapted language that each of [`VARIANTS`] adds.

    Args:
        found ([`Results`]): of all runs. Those of `sensia` that were scored on `mixture` are taken.
        path (`Path`): of `examples/study_senses.py`, for where no run was scored; may be missing.

    Raises:
        MissingRunsError: if there is neither.
    """
    scored = {name: found.score("sensia", "mixture", name) for name in VARIANTS}
    if all(scored.values()):
        return {name: each for name, each in scored.items() if each is not None}
    if not path.exists():
        raise MissingRunsError("sensia in id, scored on mixture")
    models = json.loads(path.read_text(encoding="utf-8"))["models"]
    language = next(name for name in models["adapted"]["mixture"] if name != "en")
    variants = models["adapted"]["mixture"][language]["ablation"]["variants"]
    return {name: Estimate(variants[name]["change"]) for name in VARIANTS}


def mixture_matters(found: Results, path: Path) -> Judgement:
    """
    Judges the claim by the least that a single sense costs.

    Args:
        found ([`Results`]), path (`Path`): as in [`mixture_changes`].
    """
    changes = mixture_changes(found, path)
    told = "; ".join(f"{name} {each.text(2, '+')}" for name, each in changes.items())
    least = min(changes[name].value for name in _ONE_SENSE)
    verdict = HOLDS if least >= PAPER_NATS else DIRECTION if least > _LEAST else FAILS
    studied = found.score("sensia", "mixture", "top_1") is None
    source = "; by examples/study_senses.py, model of id.yaml" if studied else ""
    why = f"Nats per token of the adapted language{source}. It holds if the least change is {PAPER_NATS} nats or more."
    return told, verdict, why
