"""Scores of tasks as evaluation sets of a card: its tables, its `model-index` and its `.eval_results`."""

from collections.abc import Mapping
from typing import Any

# Far too many for a card; the scores file has them.
_LEFT_OUT = ("_source_to_target", "_target_to_source")


def scored_evaluation(after: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """
    Scores in the form of a run's evaluation sets, so that tables and metadata are made of them as of those.

    Args:
        after (`Mapping[str, Any]`): what `examples/score.py` wrote of the model.
        before (`Mapping[str, Any]`, *optional*): the same of its base model. A task counts only where both were
            measured on the same data with the same settings.

    Returns:
        `list[dict]`: an entry of `results["evaluation"]` for each task, with `chance` and `intervals`; retrieval in
        single directions and single senses stay in the scores file.

    Raises:
        `ValueError`: if the scores have another form.
    """
    try:
        return [_entry(name, task, _earlier(name, task, before)) for name, task in after["tasks"].items()]
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"scores: expected what examples/score.py writes, but {error!r}") from error


def _earlier(name: str, task: Mapping[str, Any], before: Mapping[str, Any] | None) -> Mapping[str, Any]:
    found = before["tasks"].get(name) if before is not None else None
    same = found is not None and all(found[field] == task[field] for field in ("kind", "settings", "data"))
    return _told(found["metrics"]) if found is not None and same else {}


def _told(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in metrics.items()
        if not name.endswith(_LEFT_OUT) and not (name.startswith("sense_") and name.split("_")[1].isdigit())
    }


def _entry(name: str, task: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    data = task["data"][-1]
    metrics = _told(task["metrics"])
    return {
        "dataset": name,
        "task": task["kind"],
        "hub_id": data["hub_id"],
        # The Hub tells the results on one data set apart by this.
        "file": data["name"] if data["hub_id"] is None else _part(data),
        "sha256": data["sha256"],
        "rows": data["rows"],
        "before": dict(before),
        "after": metrics,
        "chance": {metric: value for metric, value in task["chance"].items() if metric in metrics},
        "intervals": {metric: value for metric, value in task["intervals"].items() if metric in metrics},
    }


def _part(data: Mapping[str, Any]) -> str:
    return "/".join([data.get("config_name") or "default", data.get("split") or "test"])


def with_scores(
    results: Mapping[str, Any], after: Mapping[str, Any], before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """
    The results of a run with scores of tasks among its evaluation sets; those of earlier scores are replaced.

    Args:
        results (`Mapping[str, Any]`): the results of a run.
        after (`Mapping[str, Any]`), before (`Mapping[str, Any]`, *optional*): as in [`scored_evaluation`].

    Returns:
        `dict`: new results, for [`write_card`].
    """
    own = [entry for entry in results["evaluation"] if entry.get("task") is None]
    taken = {(entry["dataset"], entry["file"]) for entry in own}
    scored = [
        {**entry, "dataset": f"{entry['dataset']} (scores)"} if (entry["dataset"], entry["file"]) in taken else entry
        for entry in scored_evaluation(after, before)
    ]
    return {**results, "evaluation": [*own, *scored]}
