"""The plot of each claim, and the words for whoever does not see it."""

from collections.abc import Callable, Iterable, Sequence

from matplotlib.figure import Figure

from reproduction.benchmark_claim import LANGUAGE, PAPER_SCORES
from reproduction.chinese_claims import MONOLINGUAL, kinds_by_language
from reproduction.claim_tables import COMPARED, CURRICULA, FROM_SCRATCH, OF_DATA
from reproduction.curriculum_claims import REPORTED, SEARCHED, common_kind
from reproduction.geometry_claim import PAPER_FIGURES
from reproduction.interval_plots import Panel, draw_rows
from reproduction.labels import plain
from reproduction.mixture_claim import PAPER_NATS, VARIANTS, mixture_changes
from reproduction.phases_claim import WITHOUT
from reproduction.run_plots import BEST_AND_BITS, draw_curves, draw_kinds, draw_over_pairs
from reproduction.run_results import Results
from reproduction.tables import difference

_BOTH = {"recall": "recall@1, context and sense", "bits per byte": "bits per byte (less is better)"}


def _plain(kinds: Iterable[str]) -> dict[str, str]:
    return {kind: plain(kind) for kind in kinds}


def draw_alignment(found: Results) -> Figure:
    """Recall and entropy over the steps."""
    return draw_curves(found("sensia"))


def draw_others(found: Results) -> Figure:
    """Best recall@1 and bits per byte of all that is compared, because a dense model has other vectors than SENSIA."""
    return draw_kinds(found, _plain(COMPARED), BEST_AND_BITS, [plain("sensia"), plain("k8")])


def draw_scratch(found: Results) -> Figure:
    """Bits per byte over the pairs seen."""
    starts = ("sensia", "lm-only", "scratch")
    names = {kind: next(plain(each) for each in starts if kind.startswith(each)) for kind in FROM_SCRATCH}
    return draw_over_pairs(found, names, {"bits per byte": _BOTH["bits per byte"]})


def draw_phases(found: Results) -> Figure:
    """Change of recall and of bits per byte without each part."""
    pairs = [(kind, other) for kind, other in WITHOUT if found(kind) and found(other)]
    panels = [
        Panel(
            f"change of {metric}",
            {plain(kind): difference(found, kind, other, metric) for kind, other in pairs},
            line=(0, "no change"),
        )
        for metric in _BOTH
    ]
    return draw_rows(panels)


def draw_bitext(found: Results) -> Figure:
    """Recall and bits per byte over the different pairs seen."""
    return draw_over_pairs(found, dict.fromkeys(OF_DATA, "SENSIA, equal steps"), _BOTH)


def draw_mixture(found: Results) -> Figure:
    """Nats per token that each replacement of the mixture adds."""
    changes = {VARIANTS[name]: each for name, each in mixture_changes(found).items()}
    return draw_rows([Panel("nats per token added", changes, paper=(PAPER_NATS, PAPER_NATS))])


def draw_languages(found: Results) -> Figure:
    """Recall and bits per byte of each language."""
    kinds = kinds_by_language(found)
    panels = [
        Panel(called, {language: found.estimate(kind, metric, language) for language, kind in kinds.items()})
        for metric, called in _BOTH.items()
    ]
    return draw_rows(panels, ["zh"])


def draw_curricula(found: Results) -> Figure:
    """Recall and bits per byte of each curriculum."""
    return draw_kinds(found, _plain(CURRICULA), _BOTH, [plain("sensia")])


def draw_search(found: Results) -> Figure:
    """Recall and bits per byte of all candidates: those of the search, and the winner in the other languages."""
    kinds: Sequence[str] = ("sensia", "lm-only", *found.kinds("curriculum-"))
    rows = [(kind, language) for language in (*SEARCHED, *REPORTED) for kind in kinds]
    of = {f"{plain(k)}, {each}": (common_kind(k, each), each) for k, each in rows if found(common_kind(k, each), each)}
    panels = [
        Panel(called, {name: found.estimate(kind, metric, language) for name, (kind, language) in of.items()})
        for metric, called in _BOTH.items()
    ]
    return draw_rows(panels, [f"{plain('sensia')}, {language}" for language in (*SEARCHED, *REPORTED)])


def draw_benchmarks(found: Results) -> Figure:
    """Accuracy on each benchmark."""
    panels = []
    for task, goal in PAPER_SCORES.items():
        figure = found.score("others", task, "accuracy", LANGUAGE)
        scored = [run["scores"][task] for run in found("others", LANGUAGE) if task in run["scores"]]
        line = (scored[0]["chance"]["accuracy"], "chance") if scored else None
        panels.append(Panel(f"accuracy on {task}", {plain("others"): figure}, paper=(goal, goal), line=line))
    return draw_rows(panels)


def draw_geometry(found: Results) -> Figure:
    """Topology and Procrustes beside the paper's ranges and shuffled pairs."""
    panels = []
    for name, (task, metric, low, high) in PAPER_FIGURES.items():
        value, gap = (found.score("sensia", task, each) for each in (metric, f"{metric}_gap"))
        line = None if value is None or gap is None else (value.value - gap.value, "shuffled pairs")
        panels.append(Panel(name, {plain("sensia"): value}, paper=(low, high), line=line))
    return draw_rows(panels)


def draw_monolingual(found: Results) -> Figure:
    """Recall and bits per byte in Chinese."""
    kinds = [kind for kind in ("others", "others-lm-only", *MONOLINGUAL) if found(kind, "zh")]
    bits = {plain(kind): found.estimate(kind, "bits per byte", "zh") for kind in kinds}
    return draw_rows([Panel(_BOTH["bits per byte"], bits)], [plain("others")])


#: What each plot shows, and the function that draws it.
PLOTS: dict[str, tuple[str, Callable[[Results], Figure]]] = {
    "alignment": ("Recall and entropy of SENSIA over the steps, a line for each seed", draw_alignment),
    "others": ("Best recall and bits per byte of SENSIA and of what it is compared with", draw_others),
    "scratch": ("Bits per byte over the number of pairs seen, from scratch and adapted", draw_scratch),
    "phases": ("Change of recall and of bits per byte without each part of SENSIA", draw_phases),
    "bitext": ("Recall and bits per byte over the number of different pairs", draw_bitext),
    "mixture": ("Nats per token that are added where the mixture is replaced", draw_mixture),
    "languages": ("Recall and bits per byte of each language", draw_languages),
    "curricula": ("Recall and bits per byte of each curriculum", draw_curricula),
    "search": ("Recall and bits per byte of all candidates in each language", draw_search),
    "benchmarks": ("Accuracy on each benchmark beside the paper's and chance", draw_benchmarks),
    "geometry": ("Topology and Procrustes beside the paper's ranges and shuffled pairs", draw_geometry),
    "monolingual": ("Bits per byte in Chinese, adapted from English and from Chinese alone", draw_monolingual),
}
