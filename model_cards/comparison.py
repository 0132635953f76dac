"""Metrics before and after adaptation: their labels, directions and digits, the same on the card and on the screen."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

Better = Literal["higher", "lower"] | None

#: The label of each metric, in the order in which tables show them.
LABELS = {
    "perplexity": "Perplexity",
    "bits_per_byte": "Bits per byte",
    "source_bits_per_byte": "Bits per byte, source",
    "context_recall@1": "Context recall@1, mean",
    "context_recall@1_source_to_target": "Context recall@1, source to target",
    "context_recall@1_target_to_source": "Context recall@1, target to source",
    "sense_recall@1": "Sense recall@1, mean",
    "sense_recall@1_source_to_target": "Sense recall@1, source to target",
    "sense_recall@1_target_to_source": "Sense recall@1, target to source",
    "entropy_source": "Sense entropy, source (nats)",
    "entropy_target": "Sense entropy, target (nats)",
}

NOT_MEASURED = "not measured"

_SHARES = ("recall", "accuracy", "precision", "mrr", "spearman")
_LOWER = ("perplexity", "bits_per_byte", "loss")

_RECALL = (
    "Recall@1 is the share of sentences whose nearest neighbour in the other language, by cosine, is their "
    "translation. {}"
)
_STATES = (
    "This model has no senses: context vectors are states of its last layer, sense vectors states of an earlier one."
)

_NOTES = {
    "perplexity": "Perplexity is per token of this model's tokenizer; of bitext, on the target side.",
    "bits_per_byte": "Bits per byte measure the same text without regard to how it is cut into tokens.",
    "source_bits_per_byte": "Bits per byte of the source side say how much of the source language the model still "
    "knows.",
    "recall@1": _RECALL.format(
        "Context vectors are the model's output at the last token, sense vectors the pooled senses."
    ),
    "mrr": "MRR is the mean of one over the place of the translation among all sentences of the other language.",
    "margin_recall": "Margin recall divides cosines by those to the nearest neighbours before it looks for the "
    "nearest.",
    "accuracy_per_byte": "Accuracy is of the answer with the highest log-likelihood after its context; per byte, "
    "divided by the answer's length; PMI, less its log-likelihood after a neutral context.",
    "accuracy_transfer": "Accuracy of topics is a linear probe's on frozen sentence vectors: transfer learns on the "
    "source language and is tested on the target language.",
    "precision": "Precision@k is the share of English words with a translation among the k nearest target words.",
    "spearman": "Spearman is the rank correlation of cosines with people's scores of likeness. The best sense is the "
    "best on these very pairs.",
    "entropy": "Sense entropy says over how many senses a position spreads: 0 is one sense.",
}


def metric_label(metric: str) -> str:
    """
    The words for a metric.

    Args:
        metric (`str`): the metric's key, such as `sense_recall@1`.

    Returns:
        `str`: its label; a metric without one is called by its key, underscores as spaces.
    """
    return LABELS.get(metric, metric.replace("_", " ").capitalize())


def metric_better(metric: str) -> Better:
    """
    Returns the direction in which a metric improves.

    Args:
        metric (`str`): the metric's key.

    Returns:
        `"higher"`, `"lower"` or `None` where neither is better, as with an entropy or a count.
    """
    if any(word in metric for word in _SHARES):
        return "higher"
    return "lower" if any(word in metric for word in _LOWER) else None


def _in_order(metrics: Iterable[str]) -> list[str]:
    known = list(LABELS)
    return sorted(metrics, key=lambda metric: (known.index(metric) if metric in LABELS else len(known), metric))


def comparison_metrics(entry: Mapping[str, Any]) -> list[str]:
    """
    The metrics of one evaluation set, in the order of its table.

    Args:
        entry (`Mapping[str, Any]`): one entry of `results["evaluation"]`.

    Returns:
        `list[str]`: keys measured before, after or both; the known ones first, the others by name.
    """
    return _in_order({*entry["before"], *entry["after"]})


def comparison_rows(evaluation_entry: Mapping[str, Any]) -> list[tuple[str, float | None, float | None, Better]]:
    """
    The rows of the before/after table of one evaluation set.

    Args:
        evaluation_entry (`Mapping[str, Any]`): one entry of `results["evaluation"]`.

    Returns:
        `list[tuple]`: (label, before, after, better) for each metric, in the order of [`comparison_metrics`]; a value
        that was not measured is `None`. Show the values through [`format_value`] and [`format_change`], which take
        the label as well as the key.
    """
    before, after = evaluation_entry["before"], evaluation_entry["after"]
    return [
        (metric_label(metric), before.get(metric), after.get(metric), metric_better(metric))
        for metric in comparison_metrics(evaluation_entry)
    ]


def format_value(metric: str, value: float | None) -> str:
    """
    A metric's value with the digits that all tables show.

    Args:
        metric (`str`): the metric's key or its label.
        value (`float`, *optional*): the value, or `None` where there is none.

    Returns:
        `str`: four decimals for a recall or accuracy, whole numbers from 1,000 and for counts, else four significant
        digits; `"not measured"` for `None`.
    """
    if value is None:
        return NOT_MEASURED
    if any(word in metric.lower() for word in _SHARES):
        return f"{value:.4f}"
    if isinstance(value, int) or value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) < 1e-4:
        return f"{value:.3e}"
    return f"{value:.{max(0, 3 - math.floor(math.log10(abs(value))))}f}"


def format_change(metric: str, before: float | None, after: float | None) -> str:
    """
    The change of a metric, signed, with the digits of [`format_value`].

    Args:
        metric (`str`): the metric's key or its label.
        before (`float`, *optional*): the value of the base model.
        after (`float`, *optional*): the value of the adapted model.

    Returns:
        `str`: after minus before, as in `"+0.8134"`; `"0"` where they are equal, empty where one was not measured.
    """
    if before is None or after is None:
        return ""
    if math.isclose(before, after, rel_tol=1e-9):
        return "0"
    return ("+" if after > before else "-") + format_value(metric, abs(after - before))


def metric_notes(evaluation: Iterable[Mapping[str, Any]], *, has_senses: bool = True) -> list[str]:
    """
    Explains the metrics that occur, in a sentence or two for each kind.

    Args:
        evaluation (`Iterable[Mapping[str, Any]]`): `results["evaluation"]`.
        has_senses (`bool`, *optional*, defaults to `True`): whether the model is a Backpack.

    Returns:
        `list[str]`: the explanations, for the kinds of metrics that are there only.
    """
    notes = _NOTES if has_senses else {**_NOTES, "recall@1": _RECALL.format(_STATES)}
    measured = {metric for entry in evaluation for metric in (*entry["before"], *entry["after"])}
    return [note for kind, note in notes.items() if any(kind in metric for metric in measured)]
