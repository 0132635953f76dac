"""A local Hub, a tiny Backpack to publish, and genuine clients in processes of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hub_accounts import TOKEN, USERS
from hubserver import HubServer
from hubserver.testing import client_environment

ROOT = Path(__file__).parents[2]
BITEXT = ROOT / "examples" / "assets" / "bitext"
SCENARIOS = Path(__file__).with_name("scenarios")
CLIENT_SETTINGS = ("HF_", "HUGGING", "TRANSFORMERS_", "PYTEST_", "ACCELERATE_")


@pytest.fixture(scope="session")
def hub(tmp_path_factory):
    with HubServer(tmp_path_factory.mktemp("hub"), users=USERS) as server:
        yield server


@pytest.fixture(scope="session")
def client(hub, tmp_path_factory) -> Callable[..., subprocess.CompletedProcess]:
    """Runs a script against the Hub with empty caches; the Hub's address is read when the client is imported."""

    def run(script: Path, *arguments: str, token: str | None = TOKEN, xet: bool = False, cwd: Path | None = None):
        hub.faults.clear()
        home = tmp_path_factory.mktemp("home")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(CLIENT_SETTINGS)}
        environment = inherited | client_environment(hub.endpoint, home, token, xet=xet)
        environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        return subprocess.run(
            [sys.executable, str(script), *map(str, arguments)],
            cwd=cwd or home,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def scenario(client) -> Callable[..., dict]:
    """Runs a script of `scenarios/` and returns what it prints as JSON in its last line."""

    def run(name: str, *arguments: str, **options) -> dict:
        done = client(SCENARIOS / f"{name}.py", *arguments, **options)
        assert done.returncode == 0, done.stderr[-5000:]
        return json.loads(done.stdout.splitlines()[-1]) | {"stderr": done.stderr}

    return run


@pytest.fixture(scope="session")
def bitext(tmp_path_factory) -> Path:
    """A folder with the first pairs of the embedded bitext: 48 to train on, 8 to measure on."""
    folder = tmp_path_factory.mktemp("bitext")
    for name, source, rows in (("train", "en-id.train", 48), ("dev", "en-id.ntrex-dev", 8)):
        pq.write_table(pq.read_table(BITEXT / f"{source}.parquet").slice(0, rows), folder / f"{name}.parquet")
    return folder


@pytest.fixture(scope="session")
def base_model(bitext, tmp_path_factory) -> Path:
    """A saved Backpack of 2 layers and 4 senses with its own tokenizer, as small as one can be."""
    import torch
    from transformers import GPT2Config

    from modeling_sensia import BackpackConfig, BackpackForCausalLM
    from sensia.corpora import read_pairs
    from sensia.trainers.pretraining import train_tokenizer

    folder = tmp_path_factory.mktemp("models") / "tiny-en"
    pairs = read_pairs(str(bitext / "train.parquet"), source_language="en", target_language="id")
    tokenizer = train_tokenizer([*pairs["source"], *pairs["target"]], 600)
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    sizes = {"vocab_size": len(tokenizer), "n_positions": 128, "n_embd": 32, "n_layer": 2, "n_head": 2}
    torch.manual_seed(0)
    BackpackForCausalLM(BackpackConfig(trunk_config=GPT2Config(**sizes, **ids), num_senses=4)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
