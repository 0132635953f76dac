"""Comparison of other curricula with the paper's, in alignment and fluency."""

from collections.abc import Sequence
from statistics import fmean

from reproduction.family import OTHER_CURRICULA, family_p_values
from reproduction.run_results import MissingRunsError, Results
from reproduction.seed_tests import LEVEL
from reproduction.verdicts import FAILS, HOLDS, SAME, SLACK, UNTOLD, WEAKLY, Judgement

#: Languages on which a curriculum is selected, and languages on which it is then reported.
SEARCHED, REPORTED = ("tr", "sw"), ("id", "et")
#: Largest allowed bits per byte of a better curriculum, as a factor of those of LM-only.
_FLUENT = 1.01


def other_curricula(found: Results) -> Judgement:
    """
    Compares the curricula [`OTHER_CURRICULA`] with the paper's.

    Args:
        found ([`Results`]): of all runs.
    """
    told = []
    for kind in ("sensia", *OTHER_CURRICULA):
        low, high = found.interval(kind, "bits per byte")
        bits = found.mean(kind, "bits per byte")
        told.append(f"{kind}: recall {found.recall(kind):.3f}, {bits:.3f} bits per byte ({low:.2f} to {high:.2f})")
    better = [kind for kind in OTHER_CURRICULA if _is_ahead(found, kind, "sensia") and not _is_doubtful(found, kind)]
    worse = [kind for kind in OTHER_CURRICULA if _is_ahead(found, "sensia", kind)]
    verdict = HOLDS if better else FAILS if len(worse) == len(OTHER_CURRICULA) else UNTOLD
    why = (
        f"Better: {', '.join(better) or 'none'}; worse: {', '.join(worse) or 'none'}. It holds if one of the two is "
        f"better. Recall within {SLACK} counts as equal. Bits per byte count as equal within {100 * SAME:.0f} %, and "
        "where intervals touch. With seeds, a curriculum writes better only if Welch's t-test says so at 5 % after "
        "Holm's correction."
    )
    family = family_p_values(found)
    tests = {kind: family[f"curricula: {kind}"][1] for kind in OTHER_CURRICULA if f"curricula: {kind}" in family}
    if tests:
        why += f" The corrected p-value is {', '.join(f'{p:.2g} for {kind}' for kind, p in tests.items())}."
    return "; ".join(told), verdict, why


def _is_doubtful(found: Results, kind: str) -> bool:
    """Tells if runs are no better in recall, and the test over their seeds does not show that they write better."""
    _, p = family_p_values(found).get(f"curricula: {kind}", (0.0, 0.0))  # without seeds, intervals decide
    return p >= LEVEL and found.recall(kind) - found.recall("sensia") <= SLACK


def _is_ahead(found: Results, kind: str, other: str, language: str = "id") -> bool:
    """Tells if runs are better than others in recall or in bits per byte, and not worse in the other of the two."""
    gained = found.recall(kind, language) - found.recall(other, language)
    if gained > SLACK:
        bits, theirs = (found.mean(each, "bits per byte", language) for each in (kind, other))
        return bits < (1 + SAME) * theirs
    return gained > -SLACK and found.writes_better(kind, other, language)


def better_curriculum(found: Results) -> Judgement:
    """
    Compares the curriculum selected on the languages [`SEARCHED`] with the paper's on the languages [`REPORTED`].

    Args:
        found ([`Results`]): of all runs.
    """
    candidates = _candidates(found)
    if not candidates:
        raise MissingRunsError(f"curriculum-... in {' and '.join(SEARCHED)}")
    told = [_curriculum(found, kind, SEARCHED) for kind in (*candidates, "sensia")]
    best = chosen_curriculum(found)
    if best is None:
        why = "In the search, none stays within 1 % of LM-only's bits per byte or is better than the paper's in both."
        return "; ".join(told), FAILS, why
    told.append("reported: " + "; ".join(_curriculum(found, kind, REPORTED) for kind in (best, "sensia")))
    better = [_is_better(found, best, each) for each in REPORTED]
    ahead = [_is_ahead(found, best, common_kind("sensia", each), each) for each in REPORTED]
    kept = all(_cost(found, best, each) <= _FLUENT for each in (*SEARCHED, *REPORTED))
    verdict = HOLDS if all(better) and kept else WEAKLY if all(ahead) else FAILS
    why = (
        f"{best} won the search. Of the {len(REPORTED)} reported languages it is better in recall and in bits per "
        f"byte in {sum(better)}. In {sum(ahead)} it is better in at least one of them and not worse in the other "
        f"(recall within {SLACK}, bits per byte within {100 * SAME:.0f} % or with intervals that touch). Its bits per "
        f"byte are {'' if kept else 'not '}within 1 % of LM-only in all languages. One seed each."
    )
    return "; ".join(told), verdict, why


def chosen_curriculum(found: Results) -> str | None:
    """
    The candidate with the highest recall in the languages of the search, among those that stay within 1 % of the bits
    per byte of LM-only, or, if none does, among those that are better than the paper's on both axes.

    Args:
        found ([`Results`]): of all runs.

    Returns:
        `str`, *optional*: its kind; `None` if there is none.
    """
    candidates = _candidates(found)
    fluent = [kind for kind in candidates if all(_cost(found, kind, each) <= _FLUENT for each in SEARCHED)]
    pool = fluent or [kind for kind in candidates if all(_is_better(found, kind, each) for each in SEARCHED)]
    return max(pool, key=lambda kind: fmean(found.recall(kind, each) for each in SEARCHED), default=None)


def _candidates(found: Results) -> list[str]:
    return [k for k in found.kinds("curriculum-") if all(found(k, language) for language in SEARCHED)]


def _is_better(found: Results, kind: str, language: str) -> bool:
    """Tells if a curriculum is better than the paper's in recall and in bits per byte."""
    paper = common_kind("sensia", language)
    fewer = found.mean(kind, "bits per byte", language) < found.mean(paper, "bits per byte", language)
    return fewer and found.recall(kind, language) > found.recall(paper, language)


def _curriculum(found: Results, kind: str, languages: Sequence[str]) -> str:
    figures = (
        f"{each} {found.recall(common_kind(kind, each), each):.3f} at {100 * (_cost(found, kind, each) - 1):+.1f} %"
        for each in languages
    )
    return f"{kind}: {', '.join(figures)}"


def _cost(found: Results, kind: str, language: str) -> float:
    """Bits per byte divided by those of LM-only."""
    return found.mean(common_kind(kind, language), "bits per byte", language) / found.mean(
        common_kind("lm-only", language), "bits per byte", language
    )


def common_kind(kind: str, language: str) -> str:
    """Name of the runs with the same settings in languages other than Indonesian."""
    return {"sensia": "others", "lm-only": "others-lm-only"}.get(kind, kind) if language != "id" else kind
