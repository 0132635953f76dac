"""Verdicts on the claims of the SENSIA paper (arXiv 2601.10310) from the results of runs."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reproduction.alignment_claim import rises_and_holds
from reproduction.benchmark_claim import scores_of_the_paper
from reproduction.chinese_claims import better_than_chinese_alone, chinese_is_behind
from reproduction.curriculum_claims import better_curriculum, other_curricula
from reproduction.data_claims import little_data, needs_less_data
from reproduction.geometry_claim import senses_keep_their_geometry
from reproduction.mixture_claim import mixture_matters
from reproduction.others_claim import DENSE, beats_others
from reproduction.phases_claim import PARTS, PHASES, SENSES, joint_counts_most
from reproduction.run_results import MissingRunsError, Results
from reproduction.trends import other_lengths
from reproduction.verdicts import MISSING, Judgement

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
    for number, rule in enumerate(_RULES, 1):
        missing = [kind for kind in rule.runs if not found.languages(kind)]
        try:
            if missing:
                raise MissingRunsError(", ".join(missing))
            ours, verdict, why = rule.judge(found)
        except MissingRunsError as error:
            ours, verdict, why = "", MISSING, f"Runs that are missing: {error}."
        others = (kind for each in rule.others for kind in (found.kinds(each) if each.endswith("-") else (each,)))
        told_of = tuple(kind for kind in others if found.languages(kind) and kind not in rule.runs)
        runs = (*rule.runs, *told_of)
        claims.append(Claim(number, rule.name, rule.statement, rule.paper, ours, verdict, why, runs))
    return claims


@dataclass(frozen=True)
class _Rule:
    """
    A claim, the runs that its verdict needs, those that are told of where there are any, and who judges. A name that
    ends in `-` stands for all kinds that begin with it.
    """

    name: str
    statement: str
    paper: str
    runs: tuple[str, ...]
    others: tuple[str, ...]
    judge: Callable[[Results], Judgement]


_RULES = (
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
        ("lm-only-compute", "k8", "k8-no-freezing", *DENSE, *other_lengths("sensia", "lm-only", "k8", *DENSE)),
        beats_others,
    ),
    _Rule(
        "scratch",
        "SENSIA needs 2 to 4 times less target data than training from scratch",
        "2 to 4 times",
        ("sensia", "scratch"),
        ("scratch-2x", "scratch-4x", "lm-only", *other_lengths("sensia", "scratch", "lm-only")),
        needs_less_data,
    ),
    _Rule(
        "phases",
        "Removing the joint phase hurts most; every part counts",
        "joint is the phase that counts most",
        ("sensia", *PHASES),
        (*PARTS, "k8", *SENSES),
        joint_counts_most,
    ),
    _Rule(
        "bitext",
        "Twenty times less bitext costs little",
        "2.5 to 3.3 points",
        ("sensia", "data-20"),
        ("data-2", "data-5", "data-20", "data-100"),
        little_data,
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
        ("sensia", "lm-only"),
        ("others", "others-lm-only", "curriculum-"),
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
