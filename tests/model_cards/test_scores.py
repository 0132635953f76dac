import copy
import json

import pytest
import yaml

from sensia.model_cards import check_results, render_card, scored_evaluation, with_scores, write_card
from sensia.model_cards.metadata import card_metadata, eval_results_yaml

SCORES = {
    "model": {"name": "sensia-id-mini"},
    "missing": {},
    "tasks": {
        "xcopa": {
            "kind": "xcopa",
            "settings": {"limit": None},
            "data": [
                {"name": "org/xcopa", "hub_id": "org/xcopa", "sha256": "d4" * 32, "rows": 100, "config_name": "id"}
            ],
            "metrics": {"accuracy": 0.58, "accuracy_pmi": 0.53},
            "intervals": {"accuracy": [0.48, 0.68], "accuracy_pmi": [0.43, 0.63]},
            "chance": {"accuracy": 0.5, "accuracy_pmi": 0.5},
        },
        "rated": {
            "kind": "wordsim",
            "settings": {},
            "data": [{"name": "rated.tsv", "hub_id": None, "sha256": "e5" * 32, "rows": 65}],
            "metrics": {"sense_sum_spearman": 0.31, "sense_3_spearman": 0.2, "best_sense_spearman": 0.35},
            "intervals": {"sense_sum_spearman": [0.1, 0.5]},
            "chance": {"sense_sum_spearman": 0.0, "sense_3_spearman": 0.0},
        },
        "dev": {
            "kind": "bitext",
            "settings": {},
            "data": [{"name": "dev.jsonl", "hub_id": None, "sha256": "f6" * 32, "rows": 1005}],
            "metrics": {"sense_mrr": 0.7, "sense_mrr_source_to_target": 0.6, "bits_per_byte": 2.5},
            "intervals": {},
            "chance": {},
        },
    },
}


@pytest.fixture
def scores():
    return copy.deepcopy(SCORES)


def test_scores_become_evaluation_sets_that_pass_the_check(results, scores):
    updated = with_scores(results, scores)
    check_results(updated)
    assert [entry["dataset"] for entry in updated["evaluation"]] == ["NTREX dev", "xcopa", "rated", "dev"]
    assert updated["evaluation"][3]["after"] == {"sense_mrr": 0.7, "bits_per_byte": 2.5}
    assert "sense_3_spearman" not in updated["evaluation"][2]["after"]


def test_earlier_scores_are_replaced_and_what_training_measured_stays(results, scores):
    once = with_scores(results, scores)
    del scores["tasks"]["rated"]
    twice = with_scores(once, scores)
    assert [entry["dataset"] for entry in twice["evaluation"]] == ["NTREX dev", "xcopa", "dev"]


def test_every_score_stands_in_the_model_index_with_its_task(results, scores):
    data = yaml.safe_load(card_metadata(with_scores(results, scores)).to_yaml())["model-index"][0]["results"]
    found = {(entry["dataset"]["name"], entry["task"]["type"]): entry for entry in data}
    copa = found["xcopa", "multiple-choice"]
    assert copa["dataset"]["type"] == "org/xcopa"
    assert {metric["type"]: metric["value"] for metric in copa["metrics"]} == {"accuracy": 0.58, "accuracy_pmi": 0.53}
    assert ("rated", "sentence-similarity") in found and ("dev", "text-generation") in found


def test_scores_on_hub_data_stand_in_the_eval_results_with_interval_and_chance(results, scores):
    entries = yaml.safe_load(eval_results_yaml(with_scores(results, scores)))
    (entry,) = [entry for entry in entries if entry["dataset"]["task_id"] == "accuracy"]
    assert (entry["dataset"]["id"], entry["value"]) == ("org/xcopa", 0.58)
    assert "95 % interval 0.4800 to 0.6800, chance 0.5000" in entry["notes"]
    assert "100 rows of id/test" in entry["notes"]


def test_the_card_shows_interval_and_chance(results, scores):
    card = render_card(with_scores(results, scores))
    assert "| Accuracy ↑ | not measured | 0.5800 (0.4800 to 0.6800) |" in card
    assert "100 rows of `id/test`, by chance 0.5000" in card


def test_the_base_model_stands_before_where_it_was_measured_on_the_same(results, scores):
    base = copy.deepcopy(scores)
    base["tasks"]["xcopa"]["metrics"]["accuracy"] = 0.51
    base["tasks"]["rated"]["data"][0]["sha256"] = "00" * 32
    by_name = {entry["dataset"]: entry for entry in scored_evaluation(scores, base)}
    assert by_name["xcopa"]["before"]["accuracy"] == 0.51
    assert by_name["rated"]["before"] == {}


def test_a_card_with_scores_is_written_whole(results, scores, tmp_path):
    written = write_card(with_scores(results, scores), tmp_path)
    assert tmp_path / "README.md" in written and tmp_path / ".eval_results" / "sensia.yaml" in written


def test_another_file_is_refused(results):
    with pytest.raises(ValueError, match=r"what examples/score\.py writes"):
        with_scores(results, {"tasks": {"a": {}}})


def test_the_script_puts_scores_into_the_card_and_the_results_beside_the_model(results, scores, tmp_path):
    from sensia.commands import score as script

    (tmp_path / "results.json").write_text(json.dumps(results), encoding="utf-8")
    for _ in range(2):
        script.update_card(tmp_path, scores, None)
    assert "### xcopa" in (tmp_path / "README.md").read_text(encoding="utf-8")
    kept = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert [entry["dataset"] for entry in kept["evaluation"]] == ["NTREX dev", "xcopa", "rated", "dev"]


def test_a_set_that_training_measured_too_gets_a_name_of_its_own(results, scores):
    own = results["evaluation"][0]
    task = next(iter(scores["tasks"].values()))
    task["data"][-1] = {**task["data"][-1], "name": own["file"], "hub_id": None}
    twin = {**scores, "tasks": {own["dataset"]: task}}
    names = [entry["dataset"] for entry in with_scores(results, twin)["evaluation"]]
    assert names[-1] == f"{own['dataset']} (scores)" and len(set(names)) == len(names)
