"""The curve of a run as a table."""

from reproduction.estimates import over_seeds
from reproduction.run_results import MissingRunsError, Results
from reproduction.tables import Table

#: What is measured while training, by the name in the table.
_CURVES = {
    "context recall@1": "eval_NTREX_context_recall@1",
    "sense recall@1": "eval_NTREX_sense_recall@1",
    "entropy, English": "eval_NTREX_entropy_source",
    "entropy, Indonesian": "eval_NTREX_entropy_target",
}


def curve_table(found: Results) -> Table:
    """
    A row for each evaluation of the `sensia` runs: the mean over seeds and their range.

    Args:
        found ([`Results`]): of all runs.

    Raises:
        MissingRunsError: if no run was evaluated while it trained.
    """
    curves = [run["curve"] for run in found("sensia") if run["curve"]]
    if not curves:
        raise MissingRunsError("sensia with `eval_strategy`")
    rows = []
    for points in zip(*curves, strict=False):
        step, phases = points[0]["step"], found("sensia")[0]["training"]["phases"]
        phase = next((each["name"] for each in reversed(phases) if each["first_step"] <= step), phases[0]["name"])
        figures = ([point[name] for point in points] for name in _CURVES.values())
        rows.append((f"{step:,}", phase, *(over_seeds(values).text() for values in figures)))
    return Table(("step", "phase", *_CURVES), tuple(rows))
