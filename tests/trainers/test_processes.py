"""Several gloo processes, and processes that are killed. Each test starts them once and checks all it can."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.trainers.scenarios import gathered_loss

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
LOOPBACK = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
SCENARIOS = ROOT / "tests/trainers/scenarios"
# Ranks meet on the loopback interface, whatever the machine's own name resolves to.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "GLOO_SOCKET_IFNAME": LOOPBACK}


def start(*command, check=True):
    run = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=240)
    assert not check or run.returncode == 0, run.stdout[-2000:] + run.stderr[-4000:]
    return run


def torchrun(world, script, *arguments):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    where = ("--master_addr", "127.0.0.1", "--master_port", str(port), "--nproc_per_node", str(world))
    return start(sys.executable, "-m", "torch.distributed.run", *where, str(SCENARIOS / script), *arguments)


def sensia_run(output, world=1, check=True, **settings):
    arguments = json.dumps({"output_dir": str(output), **settings})
    if world > 1:
        run = torchrun(world, "sensia_run.py", arguments)
    else:
        run = start(sys.executable, str(SCENARIOS / "sensia_run.py"), arguments, check=check)
    history = output / "history.json"
    return run, json.loads(history.read_text()) if history.exists() else None


@pytest.mark.parametrize("world", [2, 4])
def test_gathered_info_nce_equals_one_process_on_the_joined_batch(tmp_path, world):
    torchrun(world, "gathered_loss.py", str(tmp_path / "results.pt"))
    results = torch.load(tmp_path / "results.pt", weights_only=True)
    for one_way, (loss, gradients) in results.items():
        model = gathered_loss.network()
        expected = gathered_loss.loss_of(model, *gathered_loss.inputs(world), one_way)
        expected.backward()
        torch.testing.assert_close(loss, expected.detach())
        for given, parameter in zip(gradients, model.parameters(), strict=True):
            torch.testing.assert_close(given, parameter.grad)


def test_two_ranks_train_and_evaluate_as_one_process_on_the_joined_batch(tmp_path):
    settings = {"max_steps": 5, "label_smoothing_factor": 0.1}
    _, alone = sensia_run(tmp_path / "alone", per_device_train_batch_size=8, **settings)
    _, joined = sensia_run(tmp_path / "joined", world=2, per_device_train_batch_size=4, **settings)
    for one, two in zip(alone["history"], joined["history"], strict=True):
        for name in ("loss", "loss_ctx", "loss_sns", "loss_lm", "loss_lm_plain", "grad_norm", "entropy_target"):
            assert two[name] == pytest.approx(one[name], rel=2e-3), (one["step"], name)
    for name, value in alone["metrics"].items():
        if "recall" in name or "bits" in name or "entropy" in name or "perplexity" in name:
            assert joined["metrics"][name] == pytest.approx(value, rel=5e-3, abs=0.03), name
    weights = [load_file(tmp_path / name / "final/model.safetensors") for name in ("alone", "joined")]
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-2, atol=2e-3)


@pytest.mark.parametrize(
    "settings",
    [
        {"dropout": 0.1},
        {"gradient_accumulation_steps": 2, "per_device_train_batch_size": 4},
        {"align_share": 0.2, "joint_share": 0.1, "polish_freeze": "sense_vectors"},
    ],
    ids=["plain with dropout", "accumulated", "frozen polish"],
)
def test_a_killed_run_resumes_with_the_losses_and_weights_of_an_uninterrupted_one(tmp_path, settings):
    settings = {
        "max_steps": 20,
        "per_device_train_batch_size": 8,
        "save_strategy": "steps",
        "save_steps": 6,
        **settings,
    }
    _, whole = sensia_run(tmp_path / "whole", **settings)
    killed, _ = sensia_run(tmp_path / "killed", check=False, kill_after=9, **settings)
    assert killed.returncode == -signal.SIGKILL
    resumed = tmp_path / "killed"
    _, rest = sensia_run(resumed, resume=str(resumed / "checkpoint-6"), **settings)
    parts = ("step", "loss", "loss_ctx", "loss_sns", "loss_lm", "grad_norm", "learning_rate", "phase")
    assert [[entry[name] for name in parts] for entry in rest["history"]] == [
        [entry[name] for name in parts] for entry in whole["history"]
    ]
    weights = [load_file(tmp_path / name / "final/model.safetensors") for name in ("whole", "killed")]
    assert all(torch.equal(weights[1][name], value) for name, value in weights[0].items())
