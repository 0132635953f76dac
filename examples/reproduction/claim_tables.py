"""The table of each claim."""

import math
from collections.abc import Callable, Iterator, Mapping

from reproduction.alignment_claim import PAPER_ENTROPY, PAPER_RECALL
from reproduction.benchmark_claim import LANGUAGE, PAPER_SCORES
from reproduction.chinese_claims import MONOLINGUAL, kinds_by_language
from reproduction.curriculum_claims import REPORTED, SEARCHED, common_kind
from reproduction.estimates import Estimate, over_seeds
from reproduction.family import family_p_values
from reproduction.geometry_claim import PAPER_FIGURES
from reproduction.labels import label
from reproduction.mixture_claim import VARIANTS, mixture_changes
from reproduction.others_claim import DENSE
from reproduction.phases_claim import WITHOUT
from reproduction.run_results import BEST_RECALL, METRICS, RECALLS, Results
from reproduction.tables import Table, cell, differences_table, runs_table
from reproduction.trends import other_lengths

#: What is compared, by the claim that it is about.
COMPARED = ("sensia", "lm-only", "lm-only-compute", "k8", "k8-no-freezing", *DENSE)
FROM_SCRATCH = (
    *("sensia", "lm-only", "scratch", "scratch-2x", "scratch-4x"),
    *other_lengths("sensia", "lm-only", "scratch"),
)
OF_DATA = ("sensia", "data-2", "data-5", "data-20", "data-100")
CURRICULA = ("sensia", "cosine", "adaptive", "fade", "balanced")
BOTH = ("recall", "bits per byte")


def alignment_table(found: Results) -> Table:
    """Recall and entropy before and after, at every length that there is."""
    rows: list[tuple[str, ...]] = []
    lengths = {kind: found(kind)[0]["training"]["steps"] for kind in found.kinds("sensia") if found(kind)}
    for kind, steps in sorted(lengths.items(), key=lambda each: each[1]):
        before = found(kind)[0].get("before", {}).get("NTREX")
        for metric in RECALLS:
            started = "-" if before is None else f"{before[METRICS[metric][1]]:.3f}"
            cells = (started, cell(found.estimate(kind, metric)), f"above {PAPER_RECALL}")
            rows.append((f"{metric}, {steps:,} steps", str(len(found(kind))), *cells))
        if found(kind)[0]["curve"]:
            rows += [(f"{name}, {steps:,} steps", *cells) for name, *cells in _entropy_rows(found, kind, before or {})]
    return Table(("figure", "seeds", "before", "after", "the paper"), tuple(rows))


def _entropy_rows(found: Results, kind: str, before: Mapping[str, float]) -> Iterator[tuple[str, ...]]:
    """Entropy of the mixture at the end of the curve, beside the paper's share of ln K."""
    most = math.log(found(kind)[0]["num_senses"])
    paper = " to ".join(f"{share * most:.2f}" for share in PAPER_ENTROPY)
    for side, name in (("source", "English"), ("target", "target")):
        ends = [run["curve"][-1][f"eval_NTREX_entropy_{side}"] for run in found(kind) if run["curve"]]
        started = f"{before[f'entropy_{side}']:.3f}" if f"entropy_{side}" in before else "-"
        yield f"entropy, {name} side", str(len(ends)), started, over_seeds(ends).text(), f"{paper} of {most:.2f}"


def others_table(found: Results) -> Table:
    """All metrics of what is compared, and what a test over seeds says of the language model loss alone."""
    kinds = (*COMPARED, *other_lengths("sensia", "lm-only", "k8", *DENSE))
    table, family = runs_table(found, kinds, (*METRICS, BEST_RECALL, "English bits per byte")), family_p_values(found)
    values = [family.get(f"others: {metric}") for metric in METRICS]
    cells = ("-" if each is None else f"{each[1]:.2g}" for each in values)
    last = ("p that SENSIA is better than the language model loss alone, Holm", "", *cells, "-", "-")
    return Table(table.headings, (*table.rows, last))


def scratch_table(found: Results) -> Table:
    """Bits per byte against the data seen."""
    return runs_table(found, FROM_SCRATCH, ("bits per byte", "in-domain bits per byte", "recall"))


def phases_table(found: Results) -> Table:
    """The worth of each part: differences without it."""
    return differences_table(found, WITHOUT, BOTH)


def bitext_table(found: Results) -> Table:
    """Recall and bits per byte at each share of the pairs."""
    return runs_table(found, OF_DATA, (*RECALLS, *BOTH))


def mixture_table(found: Results) -> Table:
    """Nats per token that each replacement of the mixture adds."""
    changes = mixture_changes(found)
    return Table(
        ("instead of the mixture", "nats per token"),
        tuple((VARIANTS[name], each.text(2, "+")) for name, each in changes.items()),
    )


def languages_table(found: Results) -> Table:
    """Recall, bits per byte and tokens per byte of each language."""
    rows = []
    for language, kind in kinds_by_language(found).items():
        figures = (cell(found.estimate(kind, metric, language)) for metric in BOTH)
        tokens = found.tokens_per_byte(kind, language)
        rows.append((language, str(len(found(kind, language))), *figures, f"{tokens:.2f}"))
    return Table(("language", "seeds", *BOTH, "tokens per byte"), tuple(rows))


def curricula_table(found: Results) -> Table:
    """Recall and bits per byte of each curriculum."""
    return runs_table(found, CURRICULA, (*BOTH, "English bits per byte"))


def search_table(found: Results) -> Table:
    """Recall and bits per byte of each candidate in each language."""
    rows = []
    for kind in ("sensia", "lm-only", *found.kinds("curriculum-")):
        for language in (*SEARCHED, *REPORTED):
            of = common_kind(kind, language)
            if found(of, language):
                figures = (cell(found.estimate(of, metric, language)) for metric in BOTH)
                rows.append((f"{label(of)}, {language}", str(len(found(of, language))), *figures))
    return Table(("runs", "seeds", *BOTH), tuple(rows))


def benchmarks_table(found: Results) -> Table:
    """Accuracy on each benchmark beside the paper's."""
    rows = []
    for task, goal in PAPER_SCORES.items():
        scored = [run["scores"][task] for run in found("others", LANGUAGE) if task in run["scores"]]
        figure = found.score("others", task, "accuracy", LANGUAGE)
        chance = f"{100 * scored[0]['chance']['accuracy']:.1f}" if scored else "-"
        rows.append((task, cell(_percent(figure), 1), chance, f"{100 * goal:.1f}"))
    return Table(("benchmark", "here, %", "by chance", "the paper"), tuple(rows))


def _percent(figure: Estimate | None) -> Estimate | None:
    return None if figure is None else Estimate(*(100 * each for each in (figure.value, *figure.ends())))


def geometry_table(found: Results) -> Table:
    """Topology and Procrustes beside shuffled pairs and the paper's figures."""
    rows, family = [], family_p_values(found)
    for name, (task, metric, low, high) in PAPER_FIGURES.items():
        figures = [found.score("sensia", task, each) for each in (metric, f"{metric}_gap")]
        p = family.get(f"geometry: {name}")
        told = (cell(figures[0]), cell(figures[1], sign="+"), "-" if p is None else f"{p[1]:.2g}")
        rows.append((name, *told, f"{low:.2f} to {high:.2f}"))
    return Table(("figure", "translations", "more than shuffled pairs", "p, Holm", "the paper"), tuple(rows))


def monolingual_table(found: Results) -> Table:
    """Bits per byte in Chinese, adapted and from scratch."""
    kinds = ("others", "others-lm-only", *MONOLINGUAL)
    return runs_table(found, kinds, ("bits per byte", "in-domain bits per byte"), "zh")


TABLES: dict[str, Callable[[Results], Table]] = {
    "alignment": alignment_table,
    "others": others_table,
    "scratch": scratch_table,
    "phases": phases_table,
    "bitext": bitext_table,
    "mixture": mixture_table,
    "languages": languages_table,
    "curricula": curricula_table,
    "search": search_table,
    "benchmarks": benchmarks_table,
    "geometry": geometry_table,
    "monolingual": monolingual_table,
}
