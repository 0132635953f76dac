"""The first experiments that the paper's reading list asks for, each a group of runs of the plan."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from reproduction.claim_plots import draw_alignment, draw_bitext, draw_mixture
from reproduction.claim_tables import OF_DATA, bitext_table, mixture_table
from reproduction.claims_page import Measured
from reproduction.curve_table import curve_table
from reproduction.run_results import MissingRunsError, Results
from reproduction.tables import Table
from sensia.model_cards.drawing import STYLE, save_figure
from sensia.whole_files import write_whole


@dataclass(frozen=True)
class Experiment:
    """
    One experiment.

    Args:
        title (`str`): heading.
        question (`str`): what it asks, in a sentence or two.
        kinds (`tuple` of `str`): runs of the plan that it needs.
        table (`Callable`), draw (`Callable`): as for claims.
        alt (`str`): the plot in words.
    """

    title: str
    question: str
    kinds: tuple[str, ...]
    table: Callable[[Results], Table]
    draw: Callable[[Results], Figure]
    alt: str


EXPERIMENTS = {
    "curves": Experiment(
        "Indonesian: recall and entropy over the steps",
        "Recall@1 should rise in align, stay through joint and polish, and end above 0.9. The entropy of the mixture "
        "should end between 1.4 and 1.5 of ln 16 = 2.77 nats: less is a collapse to one sense, more is no choice. The "
        "curve is of the first 200 NTREX pairs; a translation is found more easily among 200 than among all 1,005, of "
        "which [claims.md](claims.md) has the recall at the end. Brackets are the range over seeds.",
        ("sensia",),
        curve_table,
        draw_alignment,
        "Recall and entropy of the mixture over the steps, a line for each seed; dotted lines begin joint and polish",
    ),
    "mixture": Experiment(
        "The mixture, replaced",
        "A model that has learned to mix its senses should lose much where the mixture is replaced and nothing else "
        "changes. The paper's loses 6 nats a token.",
        ("sensia",),
        mixture_table,
        draw_mixture,
        "Nats per token that each replacement of the mixture adds",
    ),
    "low_resource": Experiment(
        "Less bitext",
        "SENSIA should keep its recall with a twentieth of the pairs: the paper loses 2.5 to 3.3 points. Steps are "
        "equal, so pairs are seen more often.",
        OF_DATA,
        bitext_table,
        draw_bitext,
        "Recall and bits per byte over the number of different pairs",
    ),
}


def write_experiments(scales: Mapping[str, Measured], folder: Path) -> None:
    """
    Writes `experiments.md` and a plot for each experiment that has runs.

    Args:
        scales (`Mapping` of [`Measured`]): by the name of the scale, the smallest first.
        folder (`Path`): the documentation; plots go to `images` in it.
    """
    lines = ["# The first experiments", ""]
    lines += ["Three experiments tell early if an adaptation goes as in the paper. Each is one command. Made by", ""]
    lines += ["    python examples/reproduce.py --report", "", "from the files of all runs; do not edit.", ""]
    for name, experiment in EXPERIMENTS.items():
        lines += [f"## {experiment.title}", "", experiment.question, "", f"    {_command(name)}", ""]
        lines += _result_lines(name, experiment, scales, folder)
    write_whole(folder / "experiments.md", "\n".join(lines).encode())


def _command(name: str) -> str:
    return f"python examples/reproduce.py --scale mini_long --data DIR --experiment {name}"


def _result_lines(name: str, experiment: Experiment, scales: Mapping[str, Measured], folder: Path) -> list[str]:
    """Plot and table of the largest scale that has all runs, or what is missing everywhere."""
    missing = ""
    for scale, measured in reversed([*scales.items()]):
        found = measured.found
        lacking = [kind for kind in experiment.kinds if not found(kind)]
        try:
            if lacking:
                raise MissingRunsError(", ".join(lacking))
            table = experiment.table(found)
        except MissingRunsError as error:
            missing = f"Runs that are missing at `{scale}`: {error}."
            continue
        with matplotlib.rc_context(STYLE):
            save_figure(experiment.draw(found), folder / f"images/experiment_{name}.png")
        return [f"At `{scale}`:", "", f"![{experiment.alt}](images/experiment_{name}.png)", "", *table.lines(), ""]
    return [missing, ""]
