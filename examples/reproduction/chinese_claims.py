"""Claims about Chinese, which the English tokenizer writes in bytes."""

from reproduction.family import family_p_values
from reproduction.run_results import MissingRunsError, Results
from reproduction.seed_tests import LEVEL
from reproduction.verdicts import FAILS, HOLDS, SAME, UNTOLD, Judgement

#: Runs on Chinese text alone: with the English tokenizer, and with one of the run's own.
MONOLINGUAL = ("monolingual", "monolingual-own-tokens")


def chinese_is_behind(found: Results) -> Judgement:
    """
    Judges that Chinese is the weakest language, by recall.

    Args:
        found ([`Results`]): of all runs.
    """
    told, recalls = [], {}
    for language, kind in kinds_by_language(found).items():
        recalls[language] = found.recall(kind, language)
        bits, tokens = found.mean(kind, "bits per byte", language), found.tokens_per_byte(kind, language)
        told.append(
            f"{language}: recall {recalls[language]:.3f}, {bits:.3f} bits per byte, {tokens:.2f} tokens per byte"
        )
    last = min(recalls, key=recalls.__getitem__)
    per_character = 3 * found.tokens_per_byte("others", "zh")
    why = (
        f"{last} has the lowest recall. Bits per byte do not compare scripts: a Chinese character has three bytes. A "
        f"character takes {per_character:.1f} tokens of the English tokenizer."
    )
    return "; ".join(told), HOLDS if last == "zh" else FAILS, why


def kinds_by_language(found: Results) -> dict[str, str]:
    """
    Kind of the runs of SENSIA in each language, Chinese last.

    Raises:
        MissingRunsError: if there is none beside Indonesian and Chinese.
    """
    languages = [language for language in found.languages("others") if language != "zh"]
    if not languages:
        raise MissingRunsError("others, in a language other than zh")
    return {"id": "sensia", **dict.fromkeys([*languages, "zh"], "others")}


def better_than_chinese_alone(found: Results) -> Judgement:
    """
    Judges SENSIA in Chinese against a model that never saw English, trained on the Chinese side of the same pairs
    with the English tokenizer.

    Args:
        found ([`Results`]): of all runs.
    """
    kinds = ("others", *(kind for kind in MONOLINGUAL if found(kind, "zh")))
    if not found("others", "zh"):
        raise MissingRunsError("others in zh")
    if MONOLINGUAL[0] not in kinds:
        raise MissingRunsError(f"{MONOLINGUAL[0]} in zh")
    figures = {kind: found.estimate(kind, "bits per byte", "zh") for kind in kinds}
    told = "; ".join(f"{kind} {each} bits per byte" for kind, each in figures.items())
    ours, alone = "others", MONOLINGUAL[0]
    if not all(figure is not None and figure.ends() for figure in (figures[ours], figures[alone])):
        raise MissingRunsError("bits per byte in zh, with intervals")
    better, worse = found.writes_better(ours, alone, "zh"), found.writes_better(alone, ours, "zh")
    _, p = family_p_values(found).get("monolingual: bits per byte", (0.0, 0.0))  # without seeds, intervals decide
    verdict = HOLDS if better and p < LEVEL else FAILS if worse else UNTOLD
    why = (
        f"It holds if SENSIA has fewer bits per byte by more than {100 * SAME:.0f} %, intervals do not touch, and, "
        "where there are seeds, Welch's t-test says so at 5 % after Holm's correction. Both have the English "
        "tokenizer and read the same Chinese text."
    )
    if MONOLINGUAL[1] in kinds:
        why += f" `{MONOLINGUAL[1]}` has a tokenizer that was trained on these pairs."
    return told, verdict, why
