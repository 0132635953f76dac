"""What adapt.py prints at the end."""

import sys

from example_scripts import load_example


def test_names_and_texts_that_look_like_markup_are_shown_as_they_are(tmp_path, capsys):
    entry = {"dataset": "dev [/x]", "rows": 2, "before": {"perplexity": 3.0}, "after": {"perplexity": 2.0}}
    samples = [{"prompt": "[INST] Apa? [/INST]", "continuation": " [bold]ya[/] [/]"}]
    load_example("adapt").show(
        {"evaluation": [entry], "samples": samples, "model": {"num_senses": 16}}, tmp_path / "fi[/x]nal", sys.stdout
    )
    shown = capsys.readouterr().out
    assert "dev [/x] (2 pairs)" in shown
    assert "> [INST] Apa? [/INST] [bold]ya[/] [/]" in shown
    assert "fi[/x]nal" in shown
