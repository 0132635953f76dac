import numpy as np
import yaml
from huggingface_hub import ModelCardData

from sensia.model_cards.metadata import card_metadata, eval_results_yaml


def _parsed(results):
    """As the Hub reads it: the YAML, by a loader that makes no Python objects."""
    return yaml.safe_load(card_metadata(results).to_yaml())


def test_metadata_names_languages_licence_task_and_tags(results):
    data = _parsed(results)
    assert data["language"] == ["en", "id"]
    assert data["license"] == "mpl-2.0"
    assert data["library_name"] == "transformers"
    assert data["pipeline_tag"] == "text-generation"
    assert data["tags"] == [
        "backpack",
        "sensia",
        "cross-lingual",
        "sense-vectors",
        "sentence-transformers",
        "custom_code",
    ]


def test_a_language_without_a_two_letter_code_goes_by_three(results):
    results["languages"]["target"] = {"iso1": None, "iso3": "ceb", "tag": "ceb_Latn", "name": "Cebuano"}
    assert _parsed(results)["language"] == ["en", "ceb"]


def test_what_has_no_hub_id_is_not_linked(results):
    results["datasets"][1]["hub_id"] = None
    assert not {"base_model", "datasets"} & _parsed(results).keys()


def test_hub_ids_of_base_model_and_training_data_are_linked(results):
    results["base_model"]["hub_id"] = "org/backpack-en-mini"
    results["datasets"][0]["hub_id"] = "org/en-id"
    data = _parsed(results)
    assert data["base_model"] == "org/backpack-en-mini"
    assert data["datasets"] == ["org/en-id"]


def test_every_after_metric_stands_in_the_model_index_in_full(results):
    data = _parsed(results)["model-index"]
    assert data[0]["name"] == "sensia-id-mini"
    metrics = {m["type"]: m["value"] for result in data[0]["results"] for m in result["metrics"]}
    assert metrics == results["evaluation"][0]["after"]


def test_two_files_of_one_dataset_stay_two_results(results):
    results["evaluation"][0]["hub_id"] = "org/ntrex"
    second = {**results["evaluation"][0], "dataset": "NTREX other", "file": "other.parquet"}
    results["evaluation"].append(second | {"after": {"perplexity": 99.5}})
    found = {
        (result["dataset"]["name"], metric["value"])
        for result in _parsed(results)["model-index"][0]["results"]
        for metric in result["metrics"]
        if metric["type"] == "perplexity"
    }
    assert found == {("NTREX dev", 57.2381), ("NTREX other", 99.5)}


def test_model_index_survives_the_hubs_own_reading(results):
    read = ModelCardData(**_parsed(results))
    assert {result.metric_type: result.metric_value for result in read.eval_results} == results["evaluation"][0][
        "after"
    ]


def test_without_evaluation_there_is_no_model_index_and_no_stray_name(results):
    results["evaluation"] = []
    assert not {"model-index", "model_name", "eval_results"} & _parsed(results).keys()


def test_numpy_floats_become_plain_numbers(results):
    results["evaluation"][0] |= {"hub_id": "org/ntrex", "after": {"perplexity": np.float64(12.5)}}
    assert _parsed(results)["model-index"][0]["results"][0]["metrics"][0]["value"] == 12.5
    assert yaml.safe_load(eval_results_yaml(results))[0]["value"] == 12.5


def test_evaluation_sets_without_a_hub_id_are_left_out_of_the_eval_results(results):
    assert eval_results_yaml(results) is None


def test_eval_results_name_dataset_task_value_and_date(results):
    results["evaluation"][0] |= {"hub_id": "org/ntrex", "after": {"perplexity": 57.2381}}
    (entry,) = yaml.safe_load(eval_results_yaml(results))
    assert entry["dataset"] == {"id": "org/ntrex", "task_id": "perplexity"}
    assert entry["value"] == 57.2381
    assert entry["date"] == "2026-01-31"
