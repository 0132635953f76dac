"""`examples/adapt.py` from training to the Hub, and back into processes that load what it published."""

import re
from pathlib import Path

import pytest
import torch
from hub_accounts import READ_TOKEN, TOKEN, UNKNOWN_TOKEN
from travelling_code import CODE_FILES

from modeling_sensia.loading import load_base
from sensia.evaluation.sentence_vectors import sentence_vectors

pytestmark = pytest.mark.slow
ADAPT = Path(__file__).parents[2] / "examples" / "adapt.py"
REPO = "acme/tiny-id"
PROMPT = "The virus"
TEXTS = ["The virus", "Virus ini menyebar dengan cepat."]
TEMPERATURE = 0.4
MODEL = {"config.json", "model.safetensors", "modules.json", "tokenizer.json", "tokenizer_config.json"}
CODE = set(CODE_FILES)
TOLD = {"README.md", "results.json"}


def settings(base_model: Path, bitext: Path, output: Path, token: str) -> list[str]:
    options = {
        "model": base_model,
        "data": bitext,
        "train_data": "train.parquet",
        "eval_data": "dev=dev.parquet",
        "target_language": "id",
        "output_dir": output,
        "max_steps": 4,
        "save_steps": 2,
        "logging_steps": 1,
        "per_device_train_batch_size": 4,
        "report_to": "tensorboard",
        "prompts": "Virus ini",
        "tau_pool": TEMPERATURE,
        "model_license": "mpl-2.0",
        "hub_model_id": REPO,
        "hub_strategy": "every_save",
        "hub_token": token,
    }
    listed = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    return [*listed, "--push_to_hub", "--hub_always_push"]


@pytest.fixture(scope="module")
def run(client, base_model, bitext, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    # The token is given by option alone, so that a place which forgets it fails.
    done = client(ADAPT, *settings(base_model, bitext, folder / "out", TOKEN), token=None, cwd=folder)
    assert done.returncode == 0, done.stderr[-5000:]
    return {"output": folder / "out", "printed": done.stdout + done.stderr}


@pytest.fixture(scope="module")
def repository(run, scenario, tmp_path_factory):
    folder = tmp_path_factory.mktemp("download")
    return scenario("read_repository", REPO, folder) | {"folder": folder}


@pytest.fixture(scope="module")
def with_package(run, hub, scenario):
    hub.log.clear()
    loaded = scenario("load_with_package", REPO, run["output"] / "final", PROMPT)
    return loaded | {"fetched": [entry.path for entry in hub.log]}


@pytest.fixture(scope="module")
def without_packages(run, hub, scenario):
    hub.log.clear()
    return scenario("load_without_packages", REPO, PROMPT) | {"fetched": [entry.path for entry in hub.log]}


def fetched_code(loaded: dict) -> set[str]:
    return {path.rpartition("/")[2] for path in loaded["fetched"] if path.endswith(".py")}


def test_each_save_is_one_commit_and_the_end_another(repository):
    titles = [commit["title"] for commit in repository["commits"]][1:]
    assert titles == ["Training in progress, step 2", "Training in progress, step 4", "End of training"]


def test_a_commit_while_training_holds_the_model_with_its_code_and_nothing_else(repository):
    files = set(repository["commits"][1]["files"])
    assert files - {".gitattributes", "generation_config.json"} == MODEL | CODE


def test_the_last_commit_adds_card_results_and_plots(repository):
    files = set(repository["commits"][-1]["files"])
    added = files - set(repository["commits"][-2]["files"])
    assert files >= MODEL | CODE | TOLD
    assert added >= TOLD | {"plots/losses.png"}
    assert {path.partition("/")[0] for path in added - TOLD} == {"plots"}


def test_no_pickle_and_no_event_file_is_published(repository):
    files = {path for commit in repository["commits"] for path in commit["files"]}
    allowed = r"\.gitattributes|.*\.(json|safetensors|py|md|png|yaml)"
    assert [path for path in files if not re.fullmatch(allowed, path)] == []


def test_what_is_published_is_what_lies_in_the_final_folder(repository, run):
    for name in MODEL | CODE | TOLD:
        assert (repository["folder"] / name).read_bytes() == (run["output"] / "final" / name).read_bytes()


def test_the_token_is_neither_printed_nor_saved_nor_published(run, repository):
    assert TOKEN not in run["printed"]
    for folder in (run["output"], repository["folder"]):
        files = [path for path in folder.rglob("*") if path.is_file()]
        assert [path.name for path in files if TOKEN.encode() in path.read_bytes()] == []


def test_the_command_in_the_card_is_complete_but_for_the_token(repository):
    card = (repository["folder"] / "README.md").read_text(encoding="utf-8")
    assert "--max_steps 4" in card and "--push_to_hub" in card
    assert re.search(r"--hub_model_id acme/tiny-id", card)


def test_without_our_packages_the_code_comes_from_the_hub(without_packages):
    assert without_packages["package"] is False
    assert fetched_code(without_packages) >= CODE
    names = [name.rpartition(".")[2] for name in without_packages["classes"]]
    assert names == ["BackpackModel", "BackpackForCausalLM", "BackpackForCausalLM"]
    assert all(name.startswith("transformers_modules.") for name in without_packages["classes"])


@pytest.mark.parametrize("what", ["states", "logits", "generated", "written"])
def test_without_our_packages_the_model_gives_what_it_gives_here(without_packages, with_package, what):
    assert len(with_package[what]) > 0
    assert without_packages[what] == with_package[what]


@pytest.fixture(scope="module")
def encoded(run, scenario):
    return scenario("encode_without_packages", REPO, *TEXTS)


@pytest.mark.parametrize("kind", ["context", "sense"])
def test_without_our_packages_sentences_have_the_vectors_that_they_have_here(encoded, run, kind):
    assert encoded["class"].startswith("transformers_modules.acme.")
    model, tokenizer = load_base(str(run["output"] / "final"))
    expected = sentence_vectors(model, tokenizer, TEXTS, pooling_temperature=TEMPERATURE)[kind]
    torch.testing.assert_close(torch.tensor(encoded[kind]), expected, rtol=0, atol=1e-5)


def test_generation_goes_on_from_the_prompt(without_packages):
    assert without_packages["written"].startswith(PROMPT)
    assert len(without_packages["written"]) > len(PROMPT)


def test_with_our_package_no_code_is_fetched_and_nobody_is_asked(with_package):
    assert with_package["is ours"]
    assert fetched_code(with_package) == set()


def test_with_our_package_the_model_from_the_hub_is_the_local_one(with_package):
    assert with_package["hub logits"] == with_package["logits"]


@pytest.mark.parametrize("token", [UNKNOWN_TOKEN, READ_TOKEN], ids=["unknown", "read-only"])
@pytest.mark.usefixtures("run")  # the repository exists, so that only the permission to write is missing
def test_a_token_that_may_not_write_is_refused_before_training(client, base_model, bitext, tmp_path, token):
    done = client(ADAPT, *settings(base_model, bitext, tmp_path / "out", token), token=None, cwd=tmp_path)
    assert done.returncode != 0
    assert f"adapt.py: Could not open {REPO} on the Hub" in done.stderr and "Traceback" not in done.stderr
    assert "Check the token" in done.stderr.splitlines()[-1]
    assert token not in done.stdout + done.stderr
    assert list((tmp_path / "out").glob("checkpoint-*")) == []
    assert "loss_ctx" not in done.stdout + done.stderr


def test_a_refused_push_while_training_is_told_and_does_not_end_the_run(scenario, base_model, bitext, tmp_path):
    repo = "acme/refused-once"
    told = scenario("push_while_training", base_model, bitext, tmp_path / "out", repo)
    assert told["while training"][1:] == ["Training in progress, step 4"]
    assert f"Could not publish to {repo}" in told["stderr"]
