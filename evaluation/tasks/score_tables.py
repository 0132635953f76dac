"""Scores as a table for the terminal."""

import re
from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

# Metrics that are only in the results file, to keep the table short: single directions and single senses.
_DETAIL = re.compile(r".*_(source_to_target|target_to_source)|sense_\d+_spearman")


def scores_table(scores: Mapping[str, Any]) -> Table:
    """
    A table of metrics with their intervals and chance levels.

    Args:
        scores (`Mapping`): of [`score_tasks`].

    Returns:
        `Table`: a row for each metric, except those of single directions and single senses. Tasks without scores come
        last.
    """
    table = Table(title=Text(scores["model"]["name"]), title_justify="left", caption_justify="left")
    for heading in ("task", "metric", "value", "95 % interval", "chance", "rows"):
        table.add_column(heading, justify="left" if heading in ("task", "metric") else "right")
    for name, entry in scores["tasks"].items():
        shown = [metric for metric in entry["metrics"] if not _DETAIL.fullmatch(metric)]
        for place, metric in enumerate(shown):
            low_high = entry["intervals"].get(metric)
            table.add_row(
                Text(name if place == 0 else ""),
                Text(metric),
                _number(entry["metrics"][metric]),
                " to ".join(map(_number, low_high)) if low_high else "",
                _number(entry["chance"][metric]) if metric in entry["chance"] else "",
                f"{entry['data'][-1]['rows']:,}" if place == 0 else "",
                end_section=place == len(shown) - 1,
            )
    for said, field in (("not measured", "missing"), ("not offered", "not_offered")):
        for name in scores.get(field, {}):
            table.add_row(Text(name), said, "", "", "", "")
    return table


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2f}" if abs(value) >= 10 else f"{value:.3f}"
