"""Scores as a table for the terminal."""

import io

from rich.console import Console

from sensia.evaluation.tasks.score_tables import scores_table


def test_task_names_that_look_like_markup_are_shown_as_they_are():
    task = {"metrics": {"[/metric]": 0.5}, "intervals": {}, "chance": {}, "data": [{"rows": 3}]}
    scores = {"model": {"name": "[/model]"}, "tasks": {"[/task]": task}, "missing": {"[/gone]": "why"}}
    console = Console(record=True, width=200, file=io.StringIO())
    console.print(scores_table(scores))
    shown = console.export_text()
    assert all(name in shown for name in ("[/model]", "[/task]", "[/metric]", "[/gone]"))
