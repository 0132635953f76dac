"""What a reader should not expect of the model, said from the run's own numbers."""

from collections.abc import Mapping
from typing import Any

_SMALL = 100_000_000

_TECHNICAL = (
    "libreoffice",
    "django",
    "python-docs",
    "mozilla",
    "firefox",
    "wikipedia-android",
    "kde",
    "mediawiki",
    "wordpress",
    "phpmyadmin",
)
_RELIGIOUS = ("bible", "quran", "gunnxx-religious")


def _scale(results: Mapping[str, Any]) -> list[str]:
    parameters = results["model"]["parameters"]
    if parameters >= _SMALL:
        return []
    return [
        f"With {parameters / 1e6:.1f} million parameters this is a small language model: expect texts that lose their "
        "thread and facts that are wrong. It is meant for studying the method."
    ]


def _fertility(results: Mapping[str, Any]) -> list[str]:
    fertility = results.get("fertility") or {}
    source, target = fertility.get("source"), fertility.get("target")
    if not source or not target:
        return []
    names = {side: language["name"] for side, language in results["languages"].items()}
    spends = (
        f"The tokenizer spends {target:.2f} tokens on a word of {names['target']} and {source:.2f} on a word of "
        f"{names['source']}, a ratio of {target / source:.2f}"
    )
    if target <= source:
        return [f"{spends}."]
    positions = f"{results['model']['max_positions']:,}"
    return [
        f"{spends}: the same text takes more time in {names['target']}, and the {positions} positions of the model "
        "hold less of it."
    ]


def source_share(results: Mapping[str, Any], prefixes: tuple[str, ...]) -> float | None:
    """
    The share of the training rows that come from sources of one kind.

    Args:
        results (`Mapping[str, Any]`): checked results.
        prefixes (`tuple[str, ...]`): what the names of such sources start with, in lower case.

    Returns:
        `float`, *optional*: from 0 to 1, by the row counts of the sources of all training files; `None` where no
        source is known.
    """
    sources = [
        source for dataset in results["datasets"] if dataset["role"] == "train" for source in dataset["sources"]
    ]
    total = sum(source["rows"] for source in sources)
    if total == 0:
        return None
    return sum(source["rows"] for source in sources if source["name"].lower().startswith(prefixes)) / total


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%" if share >= 0.01 else "Less than 1%"


def _sources(results: Mapping[str, Any]) -> list[str]:
    technical, religious = source_share(results, _TECHNICAL), source_share(results, _RELIGIOUS)
    sentences = []
    if technical:
        sentences.append(
            f"{_percent(technical)} of the training rows are software manuals and interface texts: the model's "
            "wording leans to theirs, short and formulaic."
        )
    if religious:
        sentences.append(
            f"{_percent(religious)} of the training rows are religious texts, mostly scripture in translation: the "
            "model's wording and views lean to theirs."
        )
    return sentences


def _forgetting(results: Mapping[str, Any]) -> list[str]:
    """The contract's perplexity is the target's; a caller that measures the source language too names it so."""
    measured = {metric for entry in results["evaluation"] for metric in entry["after"]}
    if any("perplexity" in metric and "source" in metric for metric in measured):
        return []
    if any(entry.get("task") == "perplexity" for entry in results["evaluation"]):
        return []
    source, target = (results["languages"][side]["name"] for side in ("source", "target"))
    return [
        f"Only {target} text was in the language modelling loss. How much {source} the model can still write was "
        "not measured."
    ]


def _general(results: Mapping[str, Any]) -> list[str]:
    return [
        "It is a base language model: it continues text. It was tuned neither to follow instructions nor to be "
        "safe, and may write what is false or offensive.",
        "It repeats the biases of its data, those of its base model's and those of the parallel sentences. This card "
        "does not measure them.",
    ]


def limit_sentences(results: Mapping[str, Any]) -> list[str]:
    """
    The limits of the model: those that follow from the numbers, those of every such model, and the caller's.

    Args:
        results (`Mapping[str, Any]`): checked results.

    Returns:
        `list[str]`: one entry for each limit; what is not known is not mentioned.
    """
    parts = (_scale, _fertility, _sources, _forgetting, _general)
    return [sentence for part in parts for sentence in part(results)] + list(results["limits"])
