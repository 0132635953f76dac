"""The page of one scale: a table of verdicts, one of all runs, and three plots."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

from reproduction.run_plots import OF_DATA, draw_curves, draw_data, draw_runs
from reproduction.run_results import Results
from reproduction.scales import ABOUT
from sensia.model_cards.drawing import STYLE, save_figure
from sensia.whole_files import write_whole

Result = Mapping[str, Any]

#: Columns of the table of runs: heading, task and metric.
_COLUMNS = (
    ("context recall@1", "ntrex", "context_recall@1"),
    ("sense recall@1", "ntrex", "sense_recall@1"),
    ("bits per byte", "ntrex", "bits_per_byte"),
    ("in-domain", "in-domain", "bits_per_byte"),
    ("lexicon P@1", "lexicon", "sense_precision@1"),
    ("topics, transfer", "topics", "context_accuracy_transfer"),
)


def write_scale_page(
    claims: Sequence[Any],
    results: Sequence[Result],
    folder: Path,
    scale: str = "mini",
    missing: Sequence[str] = (),
) -> None:
    """
    Writes the page `claims-SCALE.md` and its plots.

    Args:
        claims (`Sequence` of [`reproduction.claims.Claim`]): judged.
        results (`Sequence` of `Mapping`): what they were judged by.
        folder (`Path`): the documentation; plots go to `images` in it.
        scale (`str`, *optional*, defaults to `"mini"`): of the plan that the runs are of.
        missing (`Sequence[str]`, *optional*): names of runs of the plan that were not made.
    """
    with matplotlib.rc_context(STYLE):
        if any(each["kind"] == "sensia" for each in results):
            save_figure(draw_curves(results), folder / f"images/claims_curves_{scale}.png")
        if any(each["kind"] in OF_DATA for each in results):
            save_figure(draw_data(results), folder / f"images/claims_data_{scale}.png")
        if any(each["language"] == "id" for each in results):
            save_figure(draw_runs(results), folder / f"images/claims_runs_{scale}.png")
    write_whole(folder / f"claims-{scale}.md", scale_page(claims, results, scale, missing).encode())


def scale_page(
    claims: Sequence[Any], results: Sequence[Result], scale: str = "mini", missing: Sequence[str] = ()
) -> str:
    """
    The page, in Markdown.

    Args:
        claims, results, scale, missing: as in [`write_scale_page`].
    """
    seconds = sum(each["training"]["seconds"] for each in results)
    lines = [
        f"# The paper's claims: the runs of `{scale}`",
        "",
        "[claims.md](claims.md) has each claim with a plot, a table and the reason of the verdict, at all scales.",
        "",
        f"Made by `python examples/reproduce.py --scale {scale} --data DIR` from the files in "
        f"[results/reproduction/{scale}](results/reproduction/{scale}); do not edit. {ABOUT[scale].said}",
        f"{len(results)} runs, {seconds / 3600:.1f} hours of training so far. Intervals: the range over seeds where a "
        "claim has several, else 95 % bootstrap over test items.",
        "",
        "| | claim | paper | here | verdict | `--only` | hours |",
        "|---|---|---|---|---|---|---:|",
        *(_claim_row(claim, results) for claim in claims),
        "",
        *(f"{claim.number}. {claim.why}" for claim in claims),
        "",
        "## Runs",
        "",
        "Recall and bits per byte are of the NTREX pairs, `in-domain` is bits per byte of held-out pairs of the "
        "training sources, `LM share` the weight of the language model loss averaged over the learning rate, `min` "
        "the minutes of training. `best` is the recall@1 of the best kind of vector and layer. A run by itself: "
        f"`python examples/reproduce.py --scale {scale} --data DIR --only NAME`.",
        "",
        "| run | language, seed | " + " | ".join(heading for heading, *_ in _COLUMNS) + " | best | LM share | min |",
        "|---|---|" + "---:|" * (len(_COLUMNS) + 3),
        *(_row(each) for each in results),
        "",
    ]
    if missing:
        lines += [f"{len(missing)} runs of the plan were not made: {_by_kind(missing)}.", ""]
    if any(each["language"] == "id" for each in results):
        lines += [f"![Recall and bits per byte of all runs in Indonesian](images/claims_runs_{scale}.png)", ""]
    if any(each["kind"] == "sensia" for each in results):
        lines += [f"![Recall and entropy through the phases](images/claims_curves_{scale}.png)", ""]
    if any(each["kind"] in OF_DATA for each in results):
        lines += [f"![Quality against data](images/claims_data_{scale}.png)", ""]
    return "\n".join(lines)


def _claim_row(claim: Any, results: Sequence[Result]) -> str:
    hours = sum(each["training"]["seconds"] for each in results if each["kind"] in claim.runs) / 3600
    runs = f"`{' '.join(claim.runs)}`" if claim.runs else ""
    cells = (claim.number, claim.statement, claim.paper, claim.ours, f"**{claim.verdict}**", runs, f"{hours:.1f}")
    return f"| {' | '.join(map(str, cells))} |"


def _by_kind(names: Sequence[str]) -> str:
    """Names of runs as the plan has them, those of a kind together: each with its language and seed."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        kind, language, seed = name.rsplit("-", 2)
        kinds.setdefault(kind, []).append(f"{language} {seed}")
    return "; ".join(f"`{kind}` ({', '.join(runs)})" for kind, runs in kinds.items())


def _row(result: Result) -> str:
    values = [result["scores"][task]["metrics"].get(metric) for _, task, metric in _COLUMNS]
    cells = " | ".join("-" if value is None else f"{value:.3f}" for value in values)
    minutes = result["training"]["seconds"] / 60
    share = f"{result['language_model_share']:.2f}"
    best = f"{Results([result]).best_recall(result['kind'], result['language']):.3f}"
    return (
        f"| {result['kind']} | {result['language']}, {result['seed']} | {cells} | {best} | {share} | {minutes:.0f} |"
    )
