import json
import math
import re

import pytest

from sensia.model_cards.results import check_results, is_absolute


def _parent(results, path):
    *parents, last = re.findall(r"\w+", path)
    for part in parents:
        results = results[int(part) if part.isdigit() else part]
    return results, last


def test_complete_results_are_accepted(results):
    check_results(results)


def test_results_read_back_from_json_are_accepted(results):
    results["training"]["history"] = [{"step": 10, "loss": 3.5}]
    check_results(json.loads(json.dumps(results)))


@pytest.mark.parametrize(
    "path",
    [
        "model_name",
        "base_model.name",
        "languages.target",
        "languages.source.iso3",
        "license_reason",
        "datasets",
        "datasets[0].rows_read",
        "datasets[1].rows_kept",
        "datasets[0].sources[2].rows",
        "model.max_positions",
        "training.steps",
        "training.schedule",
        "training.history[3].step",
        "evaluation[0].before",
        "samples[1].continuation",
        "versions",
        "date",
    ],
)
def test_a_missing_field_is_named(results, path):
    parent, key = _parent(results, path)
    del parent[key]
    with pytest.raises(ValueError, match=re.escape(f"results.{path}: missing")):
        check_results(results)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model_name", ""),
        ("repo_id", "https://example.com/x"),
        ("license", "MPL 2.0"),
        ("languages.target.iso1", "ind"),
        ("languages", ["en", "id"]),
        ("datasets[0].role", "test"),
        ("datasets[0].rows_read", "abc"),
        ("datasets[0].rows_read", -1),
        ("datasets[0].dropped", {"empty": 0.5}),
        ("datasets[0].name", "/home/somebody/en-id.parquet"),
        ("model.parameters", "6M"),
        ("model.num_senses", True),
        ("training.seconds", math.inf),
        ("training.hyperparameters", {"learning_rate": math.nan}),
        ("training.history", {}),
        ("evaluation[0].after", {"perplexity": math.nan}),
        ("evaluation[0].before", {"perplexity": None}),
        ("evaluation[0].file", "C:\\data\\dev.parquet"),
        ("limits", "slow"),
        ("seed", 0.5),
        ("date", "31 January"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(results, path, value):
    parent, key = _parent(results, path)
    parent[key] = value
    with pytest.raises(ValueError, match=re.escape(f"results.{path}: expected")):
        check_results(results)


@pytest.mark.parametrize("path", ["repo_id", "base_model.hub_id", "datasets[0].license", "fertility.target"])
def test_a_field_that_may_be_unknown_may_be_missing_or_null(results, path):
    parent, key = _parent(results, path)
    parent[key] = None
    check_results(results)
    del parent[key]
    check_results(results)


def test_two_evaluations_of_one_file_of_one_dataset_are_refused(results):
    results["evaluation"].append(dict(results["evaluation"][0]))
    with pytest.raises(ValueError, match=re.escape("results.evaluation[1]: same dataset 'NTREX dev'")):
        check_results(results)


def test_a_long_value_is_cut_in_the_message(results):
    results["limits"] = "x" * 5000
    with pytest.raises(ValueError, match="limits") as caught:
        check_results(results)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("text", "absolute"),
    [("/data/x", True), ("C:\\data\\x", True), ("data/x", False), ("org/x", False), ("x.parquet", False)],
)
def test_absolute_paths_of_any_system_are_told_apart(text, absolute):
    assert is_absolute(text) is absolute
