"""Verdicts on the claims of the SENSIA paper (arXiv 2601.10310) from the results of runs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from reproduction.alignment_claim import rises_and_holds
from reproduction.benchmark_claim import scores_of_the_paper
from reproduction.chinese_claims import better_than_chinese_alone, chinese_is_behind
from reproduction.curriculum_claims import better_curriculum, other_curricula
from reproduction.geometry_claim import senses_keep_their_geometry
from reproduction.mixture_claim import mixture_matters
from reproduction.others_claim import DENSE, beats_others
from reproduction.run_results import RECALLS, MissingRunsError, Results
from reproduction.trends import other_lengths, steps_to_no_difference
from reproduction.verdicts import FAILS, HOLDS, MISSING, UNTOLD, WEAKLY, Judgement

#: Ablation runs: those that start from the embedded model, and those that start from a shorter pretraining.
_ABLATIONS = ("no-context-loss", "no-sense-loss", "one-way", "no-freezing", "tau-low", "tau-high")
_SENSES = ("k1", "k4", "k16")
#: What stands for the paper's figures where a claim is our own.
NOT_IN_PAPER = "not in the paper"


@dataclass(frozen=True)
class Claim:
    """
    A claim and its verdict.

    Args:
        number (`int`): position in the table.
        name (`str`): of its plot, and of its part of the page.
        statement (`str`): the claim.
        paper (`str`): the paper's figures.
        ours (`str`): the figures measured here.
        verdict (`str`): [`HOLDS`], [`DIRECTION`], [`WEAKLY`], [`FAILS`], [`UNTOLD`] or [`MISSING`].
        why (`str`): reason of the verdict.
        runs (`tuple` of `str`): kinds of the runs that decide the verdict, and of runs that are only reported.
    """

    number: int
    name: str
    statement: str
    paper: str
    ours: str
    verdict: str
    why: str
    runs: tuple[str, ...]


def judge(results: Iterable[Mapping[str, Any]]) -> list[Claim]:
    """
    Judges every claim by the available runs.

    Args:
        results (`Iterable` of `Mapping`): of [`reproduction.plan.read_results`].
    """
    found, claims = Results(results), []
    for number, rule in enumerate(_rules(tuple(found.kinds("curriculum-"))), 1):
        missing = [kind for kind in rule.runs if not found.languages(kind)]
        try:
            if missing:
                raise MissingRunsError(", ".join(missing))
            ours, verdict, why = rule.judge(found)
        except MissingRunsError as error:
            ours, verdict, why = "", MISSING, f"Runs that are missing: {error}."
        told_of = tuple(kind for kind in rule.others if found.languages(kind) and kind not in rule.runs)
        runs = (*rule.runs, *told_of)
        claims.append(Claim(number, rule.name, rule.statement, rule.paper, ours, verdict, why, runs))
    return claims


@dataclass(frozen=True)
class _Rule:
    """A claim, the runs that its verdict needs, those that are told of where there are any, and who judges."""

    name: str
    statement: str
    paper: str
    runs: tuple[str, ...]
    others: tuple[str, ...]
    judge: Callable[[Results], Judgement]


def _rules(curricula: tuple[str, ...]) -> Sequence[_Rule]:
    of_data = ("data-2", "data-5", "data-20", "data-100")
    return (
        _Rule(
            "alignment",
            "Alignment rises and holds",
            "recall@1 above 0.9, entropy 1.4 to 1.5 of 2.77",
            ("sensia",),
            other_lengths("sensia"),
            rises_and_holds,
        ),
        _Rule(
            "others",
            "SENSIA beats LM-only and dense alignment, at equal data and at equal compute",
            "better on every benchmark",
            ("sensia", "lm-only"),
            ("lm-only-compute", "k8", *DENSE, *other_lengths("sensia", "lm-only", "k8", *DENSE)),
            beats_others,
        ),
        _Rule(
            "scratch",
            "SENSIA needs 2 to 4 times less target data than training from scratch",
            "2 to 4 times",
            ("sensia", "scratch"),
            ("scratch-2x", "scratch-4x", "lm-only", *other_lengths("sensia", "scratch", "lm-only")),
            _needs_less_data,
        ),
        _Rule(
            "phases",
            "Removing the joint phase hurts most; every part counts",
            "joint is the phase that counts most",
            ("sensia", "no-joint", "no-align", "no-polish"),
            (*_ABLATIONS, "k8", *_SENSES),
            _joint_counts_most,
        ),
        _Rule(
            "bitext",
            "Twenty times less bitext costs little",
            "2.5 to 3.3 points",
            ("sensia", "data-20"),
            of_data,
            _little_data,
        ),
        _Rule(
            "mixture",
            "The learned mixture matters",
            "+6 nats without it",
            ("sensia",),
            (),
            mixture_matters,
        ),
        _Rule(
            "languages",
            "Chinese with the English tokenizer falls behind",
            "the weakest language",
            ("sensia", "others"),
            (),
            chinese_is_behind,
        ),
        _Rule(
            "curricula",
            "A cosine or an adaptive curriculum does better",
            "open question",
            ("sensia", "cosine", "adaptive"),
            (),
            other_curricula,
        ),
        _Rule(
            "search",
            "Another curriculum is better than the paper's in recall and in bits per byte",
            NOT_IN_PAPER,
            ("sensia", "lm-only", "others", "others-lm-only"),
            curricula,
            better_curriculum,
        ),
        _Rule(
            "benchmarks",
            "The paper's scores on benchmarks in Estonian",
            "XCOPA 51.2, Belebele 29.1",
            ("others",),
            (),
            scores_of_the_paper,
        ),
        _Rule(
            "geometry",
            "The senses of a word are arranged like those of its translation",
            "topology 0.25 to 0.30, Procrustes 0.35 to 0.44",
            ("sensia",),
            (),
            senses_keep_their_geometry,
        ),
        _Rule(
            "monolingual",
            "Adapting to Chinese is better than learning from Chinese alone",
            NOT_IN_PAPER,
            ("others", "monolingual"),
            ("monolingual-own-tokens",),
            better_than_chinese_alone,
        ),
    )


def _needs_less_data(found: Results) -> Judgement:
    goal, (low, high) = found.mean("sensia", "bits per byte"), found.interval("sensia", "bits per byte")
    kinds = {1: "scratch", 2: "scratch-2x", 4: "scratch-4x"}
    reached = {times: found.mean(kind, "bits per byte") for times, kind in kinds.items() if found(kind)}
    if reached[1] > goal and 2 not in reached:  # a model that is ahead with the same data needs no run with more
        raise MissingRunsError(kinds[2])
    told = f"{goal:.3f} bits per byte ({low:.2f} to {high:.2f}); from scratch " + ", ".join(
        f"{v:.3f} ({t}x)" for t, v in reached.items()
    )
    if found("lm-only"):
        alone = found.mean("lm-only", "bits per byte")
        told += f"; the language model loss alone, from the English model, {alone:.3f} (1x)"
    ahead = [times for times, value in reached.items() if value > goal]
    verdict = HOLDS if 2 in ahead else WEAKLY if ahead else FAILS
    if ahead:
        why = f"A model from scratch is behind SENSIA with up to {max(ahead)} times the data."
    else:
        why = "A model from scratch is ahead of SENSIA already with the same data."
    if found("lm-only") and found.mean("lm-only", "bits per byte") < reached[1]:
        why += (
            " English is a help: with the language model loss alone, a model that begins from English is ahead of one "
            "from scratch. SENSIA gives this loss less weight, and loses that lead."
        )
    why += " It is compared by bits per byte. More data means more steps."
    trend = steps_to_no_difference(found.differences("scratch", "sensia", partial(found.mean, metric="bits per byte")))
    return told, verdict, why if trend is None else f"{why} Bits per byte of from scratch minus SENSIA's: {trend}."


def _joint_counts_most(found: Results) -> Judgement:
    kinds = ("no-joint", "no-align", "no-polish")
    lost = {kind: found.recall("sensia") - found.recall(kind) for kind in kinds}
    bits = {kind: found.mean(kind, "bits per byte") - found.mean("sensia", "bits per byte") for kind in kinds}
    told = "; ".join(
        [f"{kind}: recall {-lost[kind]:+.3f}, bits per byte {bits[kind]:+.3f}" for kind in kinds]
        + [_difference(found, kind, "sensia") for kind in _ABLATIONS if found(kind)]
        + [_difference(found, kind, "k8") for kind in _SENSES if found(kind) and found("k8")]
    )
    if len(found("sensia")) < 2:
        return told, UNTOLD, "One seed does not tell how far seeds differ."
    worst = max(lost, key=lost.__getitem__)
    spread = max(_spread(found.values(kind, metric)) for kind in ("sensia", *kinds) for metric in RECALLS)
    if worst == "no-joint":
        verdict = HOLDS if lost[worst] > spread else WEAKLY
    else:
        verdict = FAILS if lost[worst] - lost["no-joint"] > spread else UNTOLD
    why = f"{worst} loses most recall. Context or sense recall differs between seeds by up to {spread:.3f}."
    return told, verdict, why


def _difference(found: Results, kind: str, without: str) -> str:
    recall = found.recall(kind) - found.recall(without)
    bits = found.mean(kind, "bits per byte") - found.mean(without, "bits per byte")
    return f"{kind} (over {without}): recall {recall:+.3f}, bits per byte {bits:+.3f}"


def _little_data(found: Results) -> Judgement:
    shares = {2: "data-2", 5: "data-5", 20: "data-20", 100: "data-100"}
    shares = {share: kind for share, kind in shares.items() if found(kind)}
    whole = found.recall("sensia")
    told = f"all: {whole:.3f}; " + "; ".join(
        f"1/{share}: {found.recall(kind):.3f}, {found.mean(kind, 'bits per byte'):.3f} bits per byte"
        for share, kind in shares.items()
    )
    low, high = found.interval("data-20", "context recall@1")
    told += f"; context recall@1 at 1/20: {found.mean('data-20', 'context recall@1'):.3f} ({low:.3f} to {high:.3f})"
    lost = whole - found.recall("data-20")
    verdict = HOLDS if lost <= 0.033 else WEAKLY if lost <= 0.1 else FAILS
    return (
        told,
        verdict,
        f"With 1/20 of the pairs, each is seen 20 times as often. Recall falls by {100 * lost:.1f} points.",
    )


def _spread(values: Sequence[float]) -> float:
    return max(values) - min(values)
