"""A saved model goes to the Hub whole or not at all; every failure is told, and undone by trying again."""

import re

import pytest
from hub_accounts import READ_TOKEN
from travelling_code import CODE_FILES

PUBLISHED = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
PUBLISHED += ["modules.json", *CODE_FILES]
TOKENS = r"hf_[A-Z]"


@pytest.fixture(scope="module", params=["lfs", pytest.param("xet", marks=pytest.mark.slow)])
def results(request, hub, scenario, base_model):
    hub.log.clear()
    repo = f"acme/{request.param}"
    told = scenario("publish_folder", base_model, repo, READ_TOKEN, xet=request.param == "xet")
    return told | {"folder": str(base_model), "paths": [entry.path for entry in hub.log], "way": request.param}


def test_one_commit_publishes_the_model_its_tokenizer_and_its_code(results):
    assert results["published"]["state"]["files"] == sorted([".gitattributes", *PUBLISHED])
    assert len(results["published"]["state"]["commits"]) == len(results["before"]["commits"]) + 1


def test_weights_go_the_way_that_was_chosen(results):
    ways = {"lfs": "/info/lfs/objects/batch", "xet": "/v1/shards"}
    used = {way for way, path in ways.items() if any(path in each for each in results["paths"])}
    assert used == {results["way"]}


def test_publishing_again_changes_nothing(results):
    assert results["again"]["commit"] == results["published"]["commit"]
    assert results["again"]["state"] == results["published"]["state"]


@pytest.mark.parametrize("case", ["weights refused", "commit refused", "commit cut off"])
def test_a_failure_leaves_nothing_visible(results, case):
    assert results[case]["state"] == results["before"]


@pytest.mark.parametrize("case", ["weights refused", "commit refused", "commit cut off"])
def test_a_failure_is_an_os_error_that_names_repository_and_folder(results, case):
    assert results[case]["is OSError"]
    assert results["repo"] in results[case]["error"]
    assert results["folder"] in results[case]["error"]
    assert not re.search(TOKENS, results[case]["error"])


def test_failures_leave_the_folder_as_it_was(results):
    assert results["folder before"]["model.safetensors"]
    assert results["folder after"] == results["folder before"]


@pytest.mark.parametrize(
    ("case", "words"),
    [("missing", ["-missing", "404"]), ("read-only", ["403"]), ("wrong token", ["401", "Invalid credentials"])],
)
def test_who_may_not_publish_is_told_why(results, case, words):
    assert results[case]["is OSError"]
    assert [word for word in words if word not in results[case]["error"]] == []
    assert results["repo"] in results[case]["error"]
    assert not re.search(TOKENS, results[case]["error"])


def test_a_folder_without_weights_is_refused(results):
    assert results["no model"]["kind"] == "ValueError"
    assert ".safetensors" in results["no model"]["error"]


def test_a_commit_whose_answer_was_lost_is_not_denied(results):
    lost = results["answer lost"]
    assert lost["is OSError"] and len(lost["state"]["commits"]) == 2
    assert "Nothing was published" not in lost["error"]


def test_trying_again_after_a_lost_answer_finds_the_commit(results):
    assert results["after the lost answer"]["state"] == results["answer lost"]["state"]
    assert results["after the lost answer"]["commit"] == results["answer lost"]["state"]["commits"][0]
