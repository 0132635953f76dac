"""The tensor-parallel plan: that of the stock model with the same trunk, and what two processes compute by it."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_backpacks import tiny_backpack, tiny_config, token_ids
from transformers import AutoModelForCausalLM

from modeling_sensia import BackpackForCausalLM

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = Path(__file__).with_name("scenarios") / "tp_model.py"
LOOPBACK = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "GLOO_SOCKET_IFNAME": LOOPBACK}
IDS = token_ids(2, 9)


@pytest.mark.parametrize("trunk", ["llama", "qwen3"])
def test_the_plan_is_the_one_of_the_stock_model(trunk):
    config = tiny_config(trunk)
    stock = AutoModelForCausalLM.from_config(config.trunk_config).tp_plan
    expected = {name.replace("model.", "backpack.trunk.", 1): style for name, style in stock.items()}
    assert "lm_head" in expected
    assert BackpackForCausalLM(config).tp_plan == expected


def test_a_trunk_without_a_plan_gives_none():
    assert BackpackForCausalLM(tiny_config("gpt2")).tp_plan == {}


def test_models_do_not_share_a_plan():
    BackpackForCausalLM(tiny_config("llama"))
    assert BackpackForCausalLM._tp_plan is None or "lm_head" not in BackpackForCausalLM._tp_plan


@pytest.fixture(scope="module", params=["llama", "qwen3"])
def parallel(request, tmp_path_factory):
    """A model, and the folder of what two processes found with it."""
    root = tmp_path_factory.mktemp("parallel")
    # The vocabulary is divided by the number of processes.
    model = tiny_backpack(tiny_config(request.param, trunk_overrides={"vocab_size": 98}), seed=3)
    model.save_pretrained(root)
    torch.save(IDS, root / "ids.pt")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    where = ("--master_addr", "127.0.0.1", "--master_port", str(port), "--nproc_per_node", "2")
    command = [sys.executable, "-m", "torch.distributed.run", *where, str(SCENARIO), str(root), str(root)]
    run = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=240)
    assert run.returncode == 0, run.stderr[-4000:]
    return model, root


@pytest.mark.slow
def test_two_processes_give_the_logits_of_one(parallel):
    model, root = parallel
    torch.testing.assert_close(torch.load(root / "logits.pt"), model(IDS).logits.detach(), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_two_processes_lose_and_write_what_one_does(parallel):
    model, root = parallel
    found = json.loads((root / "results.json").read_text())
    assert found["losses"] == pytest.approx([model(IDS, labels=IDS).loss.item()] * 2, rel=1e-5)
    text = model.generate(IDS[:, :4], max_new_tokens=5, do_sample=False, pad_token_id=0)
    assert found["text"] == text.tolist()
