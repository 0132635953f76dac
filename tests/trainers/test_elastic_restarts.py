"""A launcher that starts its ranks again: a killed rank or a killed node changes nothing of what a run computes."""

import json
import subprocess
import sys
import time

import psutil
import pytest
import torch
from safetensors.torch import load_file

from tests.trainers.spawning import ENVIRONMENT, ROOT, SCENARIOS, free_port
from tests.trainers.test_sharded_training import SHARDED

pytestmark = pytest.mark.slow

COMMON = {"per_device_train_batch_size": 4, "max_steps": 8, "save_strategy": "steps", "save_steps": 2, "dropout": 0.1}
WAYS = {"ddp": {}, "fsdp2": SHARDED}
#: With one store for launchers and ranks, a launcher that comes back waits for an address that nobody writes again.
APART = {**ENVIRONMENT, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
#: Seconds that a run may take.
PATIENCE = 300
#: The launchers find out in seconds that a node is gone, where they would wait for minutes.
RENDEZVOUS = "keep_alive_interval=2,keep_alive_max_attempt=5,last_call_timeout=1,join_timeout=120"


def launcher(nodes, port, log, *arguments):
    """Starts one node."""
    where = ("--nnodes", nodes, "--nproc_per_node", 2 // nodes, "--max-restarts", 3, "--local-addr", "127.0.0.1")
    where += ("--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}", "--rdzv-id", "sensia")
    command = [sys.executable, "-m", "torch.distributed.run", *where, "--rdzv-conf", RENDEZVOUS]
    command += [SCENARIOS / "elastic_run.py", *arguments]
    with open(log, "a") as file:
        return subprocess.Popen(list(map(str, command)), cwd=ROOT, env=APART, stdout=file, stderr=file)


def finish(*launchers, log):
    for each in launchers:
        assert each.wait(timeout=PATIENCE) == 0, log.read_text()[-6000:]


def outcome(output):
    """Losses of every step, and the final weights."""
    history = json.loads((output / "history.json").read_text())
    steps = [(entry["step"], entry["loss"], entry["grad_norm"]) for entry in history]
    return steps, load_file(output / "final/model.safetensors")


def assert_equal(found, expected):
    assert [step for step, *_ in expected[0]] == list(range(1, 9))
    assert found[0] == expected[0]
    assert all(torch.equal(found[1][name], value) for name, value in expected[1].items())


def settings(folder, **more):
    return json.dumps({**COMMON, "output_dir": str(folder), **more})


@pytest.mark.parametrize("way", WAYS)
def test_a_rank_that_is_killed_is_started_again_and_the_run_ends_equal(tmp_path, way):
    log = tmp_path / "log.txt"
    for name, killed in (("whole", []), ("killed", [5])):
        given = settings(tmp_path / name, kill_at_steps=killed, **WAYS[way])
        finish(launcher(1, free_port(), log, given), log=log)
    assert "resumed at step 4 after 1 restart" in log.read_text()
    assert_equal(outcome(tmp_path / "killed"), outcome(tmp_path / "whole"))


@pytest.mark.parametrize("way", WAYS)
def test_a_node_that_is_killed_comes_back_and_the_run_ends_equal(tmp_path, way):
    logs = [tmp_path / f"log-{node}.txt" for node in range(2)]
    given = settings(tmp_path / "whole", **WAYS[way])
    port = free_port()
    finish(*(launcher(2, port, log, given) for log in logs), log=logs[0])

    given = settings(tmp_path / "killed", pause_at_step=5, **WAYS[way])
    port = free_port()
    stays = launcher(2, port, logs[0], given)
    wait_until(lambda: listens(port), stays, logs[0])
    goes = launcher(2, port, logs[1], given)
    wait_until(lambda: (tmp_path / "killed/pausing").exists(), stays, logs[0])
    kill_node(goes)
    (tmp_path / "killed/pausing").rename(tmp_path / "killed/paused")
    comes_back = launcher(2, port, logs[1], given)
    finish(stays, comes_back, log=logs[0])
    assert "resumed at step 4" in logs[0].read_text() + logs[1].read_text()
    assert_equal(outcome(tmp_path / "killed"), outcome(tmp_path / "whole"))


def kill_node(launcher):
    """Kills a launcher and all that it started, as a power cut does."""
    processes = [psutil.Process(launcher.pid), *psutil.Process(launcher.pid).children(recursive=True)]
    for each in processes:
        each.kill()
    launcher.wait()


def wait_until(condition, process, log):
    while not condition():
        assert process.poll() is None, log.read_text()[-6000:]
        time.sleep(0.05)


def listens(port):
    connected = subprocess.run(
        [sys.executable, "-c", f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)"],
        stderr=subprocess.DEVNULL,
    )
    return connected.returncode == 0
