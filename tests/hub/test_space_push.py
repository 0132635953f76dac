"""The page to play with goes to a Space in one commit, and what is there starts by itself."""

import json
import os
import re
import socket
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

import pytest
from hub_accounts import TOKEN
from hubserver import cards

ROOT = Path(__file__).parents[2]
SPACE = "acme/page"


@pytest.fixture(scope="module")
def results(scenario, base_model, bitext, tmp_path_factory):
    folder = tmp_path_factory.mktemp("space")
    told = scenario("push_space", base_model, SPACE, bitext / "dev.parquet", folder)
    return told | {"folder": folder}


def test_one_commit_holds_the_app_its_packages_models_and_sentences(results):
    assert results["first"]["commits"] == 2  # the first one makes the repository
    wanted = ["app.py", "README.md", "requirements.txt", "space.yaml", "bitext/dev.parquet"]
    wanted += ["models/tiny-en/config.json", "models/tiny-en/model.safetensors", "models/tiny-en/tokenizer.json"]
    wanted += [
        "sensia/__init__.py",
        "sensia/corpora/reading.py",
        "sensia/space/page.py",
        "modeling_sensia/__init__.py",
    ]
    assert set(wanted) <= set(results["first"]["files"])


def test_no_embedded_model_and_no_cache_is_sent(results):
    assert not [name for name in results["first"]["files"] if re.search(r"assets|__pycache__|backpack-.*-mini", name)]


def test_what_the_page_no_longer_has_is_deleted(results):
    assert [name for name in results["second"]["files"] if name.startswith("models/")] == []


def test_the_card_names_sdk_app_and_the_models_of_the_hub(results):
    card = results["card"]
    assert (card["sdk"], card["app_file"], card["models"]) == ("gradio", "app.py", ["acme/on-the-hub"])


def test_the_card_of_the_template_is_one_that_the_hub_accepts():
    text = (ROOT / "examples/space/README.md").read_text(encoding="utf-8")
    assert cards.validate(text, "space") == ([], [])


def test_the_card_and_requirements_fit_the_project():
    card = cards.parse((ROOT / "examples/space/README.md").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (gradio,) = project["optional-dependencies"]["space"]
    assert gradio.startswith(f"gradio>={card['sdk_version'].rsplit('.', 1)[0]}")
    lines = (ROOT / "examples/space/requirements.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == project["dependencies"]


def test_a_space_that_may_not_be_written_to_is_told_without_the_token(results):
    refused = results["refused"]
    assert refused["kind"] == "OSError" and "Could not push the Space nobody/page" in refused["error"]
    assert TOKEN not in refused["error"]


def test_a_folder_without_a_model_is_refused(results):
    assert results["empty"]["kind"] == "ValueError" and "holds no model" in results["empty"]["error"]


def test_the_files_of_the_space_serve_the_page(results):
    pytest.importorskip("gradio", reason="the page needs gradio")
    settings = results["folder"] / "space.yaml"
    settings.write_text(settings.read_text().replace("- id=acme/on-the-hub\n", ""))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-P", "app.py", "--port", port]  # -P: app.py itself finds what lies beside it
    process = subprocess.Popen(command, cwd=results["folder"], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        address = next(found[0] for line in process.stdout if (found := re.search(r"http://\S+", line)))
        with urllib.request.urlopen(f"{address}/config", timeout=30) as answer:
            config = json.load(answer)
    finally:
        process.terminate()
        process.wait(30)
    assert config["title"] == "Sensia: senses at work"
    assert "tiny-en (en, id)" in json.dumps(config)
