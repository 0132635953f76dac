"""One sentence for each claim: what was found, in figures."""

from collections.abc import Callable

from reproduction.alignment_claim import PAPER_ENTROPY, PAPER_RECALL, end_entropies
from reproduction.benchmark_claim import LANGUAGE, PAPER_SCORES
from reproduction.chinese_claims import MONOLINGUAL, kinds_by_language
from reproduction.curriculum_claims import REPORTED, SEARCHED, chosen_curriculum, common_kind
from reproduction.family import OTHER_CURRICULA, family_p_values
from reproduction.geometry_claim import PAPER_FIGURES
from reproduction.labels import label
from reproduction.mixture_claim import ONE_SENSE, PAPER_NATS, VARIANTS, mixture_changes
from reproduction.others_claim import DENSE
from reproduction.phases_claim import PHASES
from reproduction.run_results import METRICS, RECALLS, Results
from reproduction.seed_tests import LEVEL


def alignment_sentence(found: Results) -> str:
    """Recall before and after, and the entropy of the mixture at the end."""
    before = found("sensia")[0]["before"]["NTREX"]
    parts = [
        f"from {before[METRICS[metric][1]]:.2f} to {found.mean('sensia', metric):.2f} with {metric.split()[0]} vectors"
        for metric in RECALLS
    ]
    lowest, highest, most = end_entropies(found)
    return (
        f"Recall@1 goes {' and '.join(parts)}; the paper reports more than {PAPER_RECALL}. The entropy of the mixture "
        f"ends at {lowest:.2f} to {highest:.2f} nats; the paper's shares of ln K are {PAPER_ENTROPY[0] * most:.2f} to "
        f"{PAPER_ENTROPY[1] * most:.2f}."
    )


def others_sentence(found: Results) -> str:
    """Recall and bits per byte beside those of others, and the measures that are won."""
    recalls, bits = (
        [found.mean(kind, metric) for kind in ("sensia", "lm-only")]
        for metric in ("context recall@1", "bits per byte")
    )
    family = family_p_values(found)
    tested = [family[name][1] for name in (f"others: {metric}" for metric in METRICS) if name in family]
    won = f"By tests over seeds it is better in {sum(p < LEVEL for p in tested)} of {len(METRICS)} measures."
    return (
        f"SENSIA has a context recall@1 of {recalls[0]:.2f}, the language model loss alone {recalls[1]:.2f}. It "
        f"writes {'better' if bits[0] < bits[1] else 'worse'}: {bits[0]:.2f} bits per byte against {bits[1]:.2f}. "
        f"{won if tested else 'One seed is no test.'}{_beside_dense(found)}"
    )


def _beside_dense(found: Results) -> str:
    """Best recall beside the better dense alignment, from equal pretraining."""
    kinds = [kind for kind in DENSE if found(kind)]
    if not kinds or not found("k8"):
        return ""
    best = max(kinds, key=found.best_recall)
    return (
        f" From equal pretraining, best recall@1 is {found.best_recall('k8'):.2f} with senses and "
        f"{found.best_recall(best):.2f} with {label(best)}."
    )


def scratch_sentence(found: Results) -> str:
    """Bits per byte of SENSIA and from scratch."""
    amounts = {"scratch": "as much data", "scratch-2x": "twice as much", "scratch-4x": "four times as much"}
    told = ", ".join(
        f"{found.mean(kind, 'bits per byte'):.2f} with {amount}" for kind, amount in amounts.items() if found(kind)
    )
    bits = found.mean("sensia", "bits per byte")
    return f"SENSIA reaches {bits:.2f} bits per byte; training from scratch reaches {told}."


def phases_sentence(found: Results) -> str:
    """Recall that is lost, and bits per byte that are gained, without each phase."""
    lost = {kind: found.recall("sensia") - found.recall(kind) for kind in PHASES}
    told = ", ".join(f"{-value:+.3f} {label(kind)}" for kind, value in lost.items())
    cost = {kind: found.mean(kind, "bits per byte") - found.mean("sensia", "bits per byte") for kind in PHASES}
    bits = ", ".join(f"{value:+.3f} {label(kind)}" for kind, value in cost.items())
    return f"Recall changes by {told}. Bits per byte change by {bits}."


def bitext_sentence(found: Results) -> str:
    """Recall that is lost with a twentieth of the pairs."""
    lost = 100 * (found.recall("sensia") - found.recall("data-20"))
    return (
        f"With a twentieth of the pairs recall falls by {lost:.0f} points. The paper's scores on benchmarks fall by "
        "2.5 to 3.3 points."
    )


def mixture_sentence(found: Results) -> str:
    """Nats that are lost with a single sense."""
    changes = mixture_changes(found)
    name = min(ONE_SENSE, key=lambda each: changes[each].value)
    return (
        f"Where the mixture is replaced by {VARIANTS[name]}, the model loses {changes[name].value:.1f} nats a token; "
        f"the paper's loses {PAPER_NATS} without its mixture."
    )


def languages_sentence(found: Results) -> str:
    """Recall by language, the lowest last."""
    recalls = {language: found.recall(kind, language) for language, kind in kinds_by_language(found).items()}
    order = sorted(recalls, key=recalls.__getitem__, reverse=True)
    return f"Recall is {', '.join(f'{recalls[each]:.2f} in {each}' for each in order)}."


def curricula_sentence(found: Results) -> str:
    """Recall and bits per byte of other curricula beside the paper's."""
    kinds = [kind for kind in ("sensia", *OTHER_CURRICULA) if found(kind)]
    told = (
        f"{label(kind)}: recall {found.recall(kind):.2f} at {found.mean(kind, 'bits per byte'):.2f} bits per byte"
        for kind in kinds
    )
    return f"{'; '.join(told)}."


def search_sentence(found: Results) -> str:
    """The winner of the search in the languages that were kept for the report."""
    best = chosen_curriculum(found)
    if best is None:
        return f"No candidate is better than the paper's curriculum in both {' and '.join(SEARCHED)}."
    told = []
    for language in REPORTED:
        kinds = [common_kind(kind, language) for kind in (best, "sensia")]
        recall = [f"{found.recall(kind, language):.2f}" for kind in kinds]
        bits = [f"{found.mean(kind, 'bits per byte', language):.2f}" for kind in kinds]
        told.append(f"in {language} recall {recall[0]} against {recall[1]}, bits per byte {bits[0]} against {bits[1]}")
    return f"{label(best)} won the search; beside the paper's curriculum it has {'; '.join(told)}."


def benchmarks_sentence(found: Results) -> str:
    """Accuracy beside the paper's."""
    told = []
    for task, goal in PAPER_SCORES.items():
        figure = found.score("others", task, "accuracy", LANGUAGE)
        if figure is not None:
            told.append(f"{100 * figure.value:.1f} % on {task}, where the paper reports {100 * goal:.1f}")
    return f"The model in {LANGUAGE} has {', and '.join(told)}."


def geometry_sentence(found: Results) -> str:
    """Figures and what they are above shuffled pairs."""
    told = []
    for name, (task, metric, *_) in PAPER_FIGURES.items():
        value, gap = (found.score("sensia", task, each) for each in (metric, f"{metric}_gap"))
        if value is not None and gap is not None:
            told.append(f"{name} {value.value:.3f}, {value.value - gap.value:.3f} with words paired at random")
    return f"Similarity of the senses of a word and of its translation: {'; '.join(told)}."


def monolingual_sentence(found: Results) -> str:
    """Bits per byte of the adapted model and of one from scratch."""
    told, inside = (
        [f"{found.mean(kind, metric, 'zh'):.2f}" for kind in ("others", MONOLINGUAL[0])]
        for metric in ("bits per byte", "in-domain bits per byte")
    )
    return (
        f"SENSIA has {told[0]} bits per byte in Chinese, a model that saw Chinese alone {told[1]}. In-domain, they "
        f"have {' and '.join(inside)}."
    )


SENTENCES: dict[str, Callable[[Results], str]] = {
    "alignment": alignment_sentence,
    "others": others_sentence,
    "scratch": scratch_sentence,
    "phases": phases_sentence,
    "bitext": bitext_sentence,
    "mixture": mixture_sentence,
    "languages": languages_sentence,
    "curricula": curricula_sentence,
    "search": search_sentence,
    "benchmarks": benchmarks_sentence,
    "geometry": geometry_sentence,
    "monolingual": monolingual_sentence,
}
