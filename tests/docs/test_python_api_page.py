"""The program on the page docs/python_api.md runs as it stands there, against a local Hub."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hubserver import HubServer
from hubserver.testing import client_environment

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "hf_WriterOfThisTest0001"
CLIENT_SETTINGS = ("HF_", "HUGGING", "TRANSFORMERS_", "ACCELERATE_")


def program() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python_api.md").read_text(encoding="utf-8"), re.DOTALL)
    return code


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The names of the files that the program published."""
    from huggingface_hub import HfApi

    folder = tmp_path_factory.mktemp("program")
    (folder / "examples").symlink_to(ROOT / "examples")
    (folder / "program.py").write_text(program(), encoding="utf-8")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(CLIENT_SETTINGS)}
    with HubServer(folder / "hub", token=TOKEN) as hub:
        environment = inherited | client_environment(hub.endpoint, folder / "home", TOKEN)
        environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        command = [sys.executable, "program.py"]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
        yield HfApi(endpoint=hub.endpoint, token=TOKEN).list_repo_files("my-name/sensia-id")


def test_the_program_publishes_the_model_with_its_code_and_tokenizer(published):
    assert {"config.json", "model.safetensors", "modeling_backpack.py", "tokenizer.json"} <= set(published)
