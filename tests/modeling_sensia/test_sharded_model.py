"""A Backpack sharded over two gloo processes by FSDP2: one start per model, its results in several tests."""

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

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = Path(__file__).with_name("scenarios") / "fsdp_model.py"
LOOPBACK = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
# Ranks meet on the loopback interface, whatever the machine's own name resolves to.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "GLOO_SOCKET_IFNAME": LOOPBACK}
IDS = token_ids(4, 9)
NO_DROPOUT = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}


def torchrun(*arguments):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    where = ("--master_addr", "127.0.0.1", "--master_port", str(port), "--nproc_per_node", "2")
    command = [sys.executable, "-m", "torch.distributed.run", *where, str(SCENARIO), *map(str, arguments)]
    run = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=240)
    assert run.returncode == 0, run.stderr[-4000:]


def one_process(folder):
    """The same step without shards."""
    model = AutoModelForCausalLM.from_pretrained(folder).train()
    loss = model(IDS, labels=IDS).loss
    loss.backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    return loss.item(), model.eval()


@pytest.fixture(scope="module", params=["decoder", "all"])
def sharded(request, tmp_path_factory):
    """What the ranks found, the folder they saved, and the loss and model of one process."""
    root = tmp_path_factory.mktemp("sharded")
    config = tiny_config(num_senses=8, sense_dropout=0.0, trunk_overrides=NO_DROPOUT)
    tiny_backpack(config, seed=3).save_pretrained(root / "first")
    torch.save(IDS, root / "first" / "ids.pt")
    torchrun(root / "first", root, request.param)
    return json.loads((root / "results.json").read_text()), root / "saved", one_process(root / "first")


def test_trains_as_one_process_does(sharded):
    results, _, (loss, _) = sharded
    assert results["train"] == pytest.approx(loss, rel=1e-5)


def test_is_saved_whole_and_tied(sharded):
    _, folder, (_, expected) = sharded
    model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values()), info
    assert model.lm_head.weight is model.get_input_embeddings().weight
    torch.testing.assert_close(model.state_dict(), expected.state_dict(), rtol=1e-4, atol=1e-5)


def test_measures_and_writes_as_the_saved_model_does(sharded):
    results, folder, _ = sharded
    model = AutoModelForCausalLM.from_pretrained(folder)
    text = model.generate(IDS[:, :4], max_new_tokens=5, do_sample=False, pad_token_id=0)
    assert results["write"] == text.tolist()
    assert results["measure"] == pytest.approx(model(IDS, labels=IDS).loss.item(), rel=1e-5)
