"""The report: every claim judged at every scale, and all pages made from the files of results alone."""

from pathlib import Path

from reproduction.claims import Claim, judge
from reproduction.claims_page import Measured, write_claims_page
from reproduction.experiments import write_experiments
from reproduction.plan import read_plan, read_results
from reproduction.run_results import Results
from reproduction.scale_page import write_scale_page
from reproduction.scales import ABOUT


def write_report(root: Path, scale: str) -> list[Claim]:
    """
    Writes `claims-SCALE.md` of one scale, `claims.md` of all scales and `experiments.md`, with their plots.

    Args:
        root (`Path`): the project; pages go to `docs` in it.
        scale (`str`): of [`ABOUT`].

    Returns:
        `list` of [`Claim`]: judged at this scale.
    """
    docs = root / "docs"
    measured, results = {}, {}
    for name in ABOUT:
        planned = [run.name for run in read_plan(root / f"examples/configs/reproduce_{name}.yaml")]
        folder = docs / "results/reproduction" / name
        results[name] = read_results(folder)
        made = [run for run in planned if (folder / f"{run}.json").exists()]
        claims = judge(results[name])
        measured[name] = Measured(claims, Results(results[name]), len(made), len(planned))
        if name == scale and results[name]:
            missing = [run for run in planned if run not in made]
            write_scale_page(claims, results[name], docs, name, missing)
    write_claims_page(measured, docs)
    write_experiments(measured, docs)
    return list(measured[scale].claims)
