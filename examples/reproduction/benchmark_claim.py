"""The paper's scores on multiple choice in Estonian, which runs of its size can be held against."""

from statistics import fmean

from reproduction.run_results import MissingRunsError, Results
from reproduction.verdicts import FAILS, HOLDS, UNTOLD, Judgement

LANGUAGE = "et"
#: Accuracy that the paper reports, by task of the plan.
PAPER_SCORES = {"xcopa": 0.512, "belebele": 0.291}


def scores_of_the_paper(found: Results) -> Judgement:
    """
    Judges the scores by 95 % bootstrap intervals over the questions. A score holds if its interval reaches the paper's
    number. An interval that reaches chance too tells nothing: a model that guesses has one.

    Args:
        found ([`Results`]): of all runs.

    Raises:
        MissingRunsError: if no run was scored on these tasks.
    """
    told, verdicts = [], []
    for task, goal in PAPER_SCORES.items():
        scored = [run["scores"][task] for run in found("others", LANGUAGE) if task in run["scores"]]
        if not scored:
            raise MissingRunsError(f"others in {LANGUAGE}, scored on {task}")
        value = fmean(each["metrics"]["accuracy"] for each in scored)
        low, high = (fmean(each["intervals"]["accuracy"][side] for each in scored) for side in (0, 1))
        chance = scored[0]["chance"]["accuracy"]
        told.append(f"{task} {100 * value:.1f} ({100 * low:.1f} to {100 * high:.1f}, by chance {100 * chance:.1f})")
        verdicts.append(FAILS if high < goal else UNTOLD if low <= chance else HOLDS)
    verdict = next(each for each in (FAILS, UNTOLD, HOLDS) if each in verdicts)
    return "; ".join(told), verdict, "It holds if each interval is above chance and reaches the paper's number."
