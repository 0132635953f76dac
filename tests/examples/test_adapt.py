"""One short run of adapt.py with the embedded model, then the same command again."""

import json

import pytest
from adaptation_runs import adapt, write_bitext

from modeling_sensia.loading import load_base
from sensia.corpora import clean_pairs, read_pairs
from sensia.evaluation import evaluate_bitext

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapt")
    write_bitext(folder)
    return folder, *((adapt(folder), read_results(folder)) for _ in range(2))


def read_results(folder):
    return json.loads((folder / "run/final/results.json").read_text(encoding="utf-8"))


def test_numbers_are_those_of_the_saved_model(runs):
    folder, (_, results), _ = runs
    model, tokenizer = load_base(str(folder / "run/final"))
    rows = read_pairs(str(folder / "dev.jsonl"), source_language="en", target_language="id")
    pairs, _ = clean_pairs(rows, tokenizer, max_length=256)
    measured = evaluate_bitext(model, tokenizer, pairs, pooling_temperature=0.7)
    assert results["evaluation"][0]["after"] == pytest.approx(measured, rel=1e-4)


def test_results_name_no_folder(runs):
    folder, (_, results), _ = runs
    assert str(folder) not in json.dumps(results) and "train.jsonl" in results["command"]


def test_printed_numbers_stand_in_the_card(runs):
    folder, (printed, _), _ = runs
    card = (folder / "run/final/README.md").read_text(encoding="utf-8")
    lines = (line.split("│")[1:4] for line in printed.splitlines() if line.startswith("│"))
    table = [line for line in lines if line[0].strip() != "dev"]  # the evaluations while training
    assert len(table) == 11
    for label, before, after in table:
        row = next(line for line in card.splitlines() if line.startswith(f"| {label.strip()}"))
        assert [cell.strip() for cell in row.split("|")[2:4]] == [before.strip(), after.strip()]


def test_the_same_command_again_trains_no_further_and_finds_the_same(runs):
    _, (_, first), (printed, second) = runs
    assert "Resuming from" in printed
    assert second["training"]["steps"] == first["training"]["steps"] == 3
    assert second["training"]["history"] == first["training"]["history"]
    for before, after in zip(first["evaluation"], second["evaluation"], strict=True):
        assert after["after"] == pytest.approx(before["after"], rel=1e-4)
