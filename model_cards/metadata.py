"""Metadata for the Hub: the card's metadata block and the `.eval_results` file."""

import re
from collections.abc import Mapping
from typing import Any

import yaml
from huggingface_hub import EvalResult, EvalResultEntry, ModelCardData, eval_result_entries_to_yaml

from sensia.model_cards.comparison import comparison_metrics, metric_label
from sensia.model_cards.results import targets_of

#: Tags of a dense model, which has no senses and no code of its own.
DENSE_TAGS = ("sensia", "baseline", "cross-lingual")
TAGS = ("backpack", "sensia", "cross-lingual", "sense-vectors", "sentence-transformers", "custom_code")

# The Hub's task type and the words for it.
_RETRIEVAL = ("sentence-similarity", "Translation retrieval")
_WRITING = ("text-generation", "Text generation")
_TASKS = {
    "topics": ("text-classification", "Topic classification"),
    "lexicon": ("translation", "Word translation"),
    "wordsim": ("sentence-similarity", "Word similarity"),
    **dict.fromkeys(
        ("xcopa", "indocloze", "xstorycloze", "belebele", "belebele_letters", "choices"),
        ("multiple-choice", "Multiple choice"),
    ),
}


def _after_metrics(entry: Mapping[str, Any]) -> list[str]:
    return [metric for metric in comparison_metrics(entry) if metric in entry["after"]]


def _value(entry: Mapping[str, Any], metric: str) -> int | float:
    """NumPy's floats pass for floats, but YAML would write them as Python objects."""
    value = entry["after"][metric]
    return float(value) if isinstance(value, float) else int(value)


def _dataset_type(entry: Mapping[str, Any]) -> str:
    """
    The metadata must name a data set: one that is not on the Hub goes by its name in lower case and dashes, or, where
    that leaves nothing of another alphabet, by what it is.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", entry["dataset"].lower()).strip("-")
    return entry.get("hub_id") or slug or "evaluation"


def _model_index_result(entry: Mapping[str, Any], metric: str) -> EvalResult:
    by_metric = _RETRIEVAL if "recall" in metric or "mrr" in metric else _WRITING
    task_type, task_name = _TASKS.get(entry.get("task") or "", by_metric)
    return EvalResult(
        task_type=task_type,
        task_name=task_name,
        dataset_type=_dataset_type(entry),
        dataset_name=entry["dataset"],
        dataset_config=entry["file"],
        dataset_args={"rows": entry["rows"], **({"sha256": entry["sha256"]} if entry.get("sha256") else {})},
        metric_type=metric,
        metric_name=metric_label(metric),
        metric_value=_value(entry, metric),
    )


def _uncertainty(entry: Mapping[str, Any], metric: str) -> str:
    interval, chance = (entry.get("intervals") or {}).get(metric), (entry.get("chance") or {}).get(metric)
    text = f", 95 % interval {interval[0]:.4f} to {interval[1]:.4f}" if interval else ""
    return text if chance is None else f"{text}, chance {chance:.4f}"


def card_metadata(results: Mapping[str, Any]) -> ModelCardData:
    """
    The metadata block of the card.

    Args:
        results (`Mapping[str, Any]`): checked results.

    Returns:
        `ModelCardData`: languages, licence, tags and every metric measured after adaptation; base model and training
        data only where they have a Hub id.
    """
    languages = [results["languages"]["source"], *targets_of(results)]
    trained_on = [data["hub_id"] for data in results["datasets"] if data["role"] == "train" and data.get("hub_id")]
    measured = [
        _model_index_result(entry, metric) for entry in results["evaluation"] for metric in _after_metrics(entry)
    ]
    return ModelCardData(
        language=[language.get("iso1") or language["iso3"] for language in languages],
        license=results["license"],
        license_name=results.get("license_name"),
        license_link=results.get("license_link"),
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=list(TAGS if results["model"]["num_senses"] else DENSE_TAGS),
        base_model=results["base_model"].get("hub_id"),
        datasets=list(dict.fromkeys(trained_on)) or None,
        # Without results the name would stand in the metadata as a field that the Hub does not know.
        model_name=results["model_name"] if measured else None,
        eval_results=measured or None,
    )


def eval_results_yaml(results: Mapping[str, Any]) -> str | None:
    """
    The evaluation file of the Hub's newer format.

    An entry of that format names a data set on the Hub. Evaluation sets without `hub_id` are therefore left out; their
    values stand in the card's metadata (`model-index`) and tables.

    Args:
        results (`Mapping[str, Any]`): checked results.

    Returns:
        `str`, *optional*: YAML with one entry for each metric measured after adaptation, its task id the metric's key;
        `None` where no evaluation set has a Hub id.
    """
    entries = [
        EvalResultEntry(
            dataset_id=entry["hub_id"],
            task_id=metric,
            value=_value(entry, metric),
            date=results["date"],
            notes=f"{entry['dataset']}, {entry['rows']} rows of {entry['file']}"
            + (f", sha256 {entry['sha256']}" if entry.get("sha256") else "")
            + _uncertainty(entry, metric),
        )
        for entry in results["evaluation"]
        if entry.get("hub_id")
        for metric in _after_metrics(entry)
    ]
    if not entries:
        return None
    return yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False, allow_unicode=True)
