"""Limits of a model, in sentences from the numbers of its own run."""

from collections.abc import Mapping
from typing import Any

from sensia.model_cards.markdown import list_names
from sensia.model_cards.results import targets_of

_SMALL = 100_000_000


def _scale(results: Mapping[str, Any]) -> list[str]:
    parameters = results["model"]["parameters"]
    if parameters >= _SMALL:
        return []
    return [
        f"With {parameters / 1e6:.1f} million parameters this is a small language model: expect texts that lose their "
        "thread and facts that are wrong. It is meant for studying the method."
    ]


def _fertility(results: Mapping[str, Any]) -> list[str]:
    found = [(results["languages"]["target"]["name"], results.get("fertility") or {})]
    others = results["languages"].get("other_targets") or []
    found += [(each["name"], each.get("fertility") or {}) for each in others]
    source, positions = results["languages"]["source"]["name"], f"{results['model']['max_positions']:,}"
    return [
        _of_one_language(target, source, fertility, positions)
        for target, fertility in found
        if fertility.get("source") and fertility.get("target")
    ]


def _of_one_language(target: str, source: str, fertility: Mapping[str, float], positions: str) -> str:
    ratio = fertility["target"] / fertility["source"]
    spends = (
        f"The tokenizer spends {fertility['target']:.2f} tokens on a word of {target} and {fertility['source']:.2f} "
        f"on a word of {source}, a ratio of {ratio:.2f}"
    )
    if ratio <= 1:
        return f"{spends}."
    return (
        f"{spends}: the same text takes more time in {target}, and the {positions} positions of the model hold less "
        "of it."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%" if share >= 0.01 else "Less than 1%"


def _domains(results: Mapping[str, Any]) -> list[str]:
    """Returns the kinds of text, where the data's own description states them. A name tells nothing."""
    sources = [source for data in results["datasets"] if data["role"] == "train" for source in data["sources"]]
    total = sum(source["rows"] for source in sources)
    rows: dict[str, int] = {}
    for source in sources:
        if source.get("domain") and source["rows"]:
            rows[source["domain"]] = rows.get(source["domain"], 0) + source["rows"]
    return [
        f"{_percent(count / total)} of the training rows are {domain}: what the model writes leans to their wording "
        "and views."
        for domain, count in sorted(rows.items(), key=lambda item: (-item[1], item[0]))
    ]


def _trained_on(results: Mapping[str, Any]) -> list[str]:
    return [
        f"{entry['rows_trained_on']:,} of the {entry['rows']:,} rows of {entry['dataset']} are also training rows, so "
        "that its figures are better than those on other text would be."
        for entry in results["evaluation"]
        if entry.get("rows_trained_on")
    ]


def _forgetting(results: Mapping[str, Any]) -> list[str]:
    """The contract's perplexity is the target's; a caller that measures the source language too names it so."""
    measured = {metric for entry in results["evaluation"] for metric in entry["after"]}
    if any("perplexity" in metric and "source" in metric for metric in measured):
        return []
    if any(entry.get("task") == "perplexity" for entry in results["evaluation"]):
        return []
    source = results["languages"]["source"]["name"]
    knobs = results["training"]["hyperparameters"]
    if knobs.get("source_lm_weight") or knobs.get("source_kl_weight"):
        return [f"How much {source} the model can still write was not measured."]
    targets = list_names([each["name"] for each in targets_of(results)])
    return [
        f"Only {targets} text was in the language modelling loss. How much {source} the model can still write was not "
        "measured."
    ]


def _general(results: Mapping[str, Any]) -> list[str]:
    answers = sum(data["rows_kept"] for data in results["datasets"] if data.get("instructions"))
    return [
        f"It was tuned on {answers:,} answers of instruction pairs, but not to be safe, and may write what is false "
        "or offensive."
        if answers
        else "It is a base language model: it continues text. It was tuned neither to follow instructions nor to be "
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
    parts = (_scale, _fertility, _domains, _trained_on, _forgetting, _general)
    return [sentence for part in parts for sentence in part(results)] + list(results["limits"])
