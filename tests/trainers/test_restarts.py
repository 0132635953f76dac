"""Runs that are killed, inside a checkpoint's writing too, and started again: all of them in one spawned process."""

import json
import signal
import sys

import pytest
import torch
from safetensors.torch import load_file

from tests.trainers.spawning import SCENARIOS, launch

pytestmark = pytest.mark.slow

KINDS = {
    "plain with dropout": {"dropout": 0.1},
    "accumulated": {"gradient_accumulation_steps": 2, "per_device_train_batch_size": 4},
    "gradient-cached with dropout": {"contrastive_batch_size": 8, "per_device_train_batch_size": 4, "dropout": 0.1},
    "streamed": {"streamed": True},
    "frozen polish": {"align_share": 0.2, "joint_share": 0.1, "polish_freeze": "sense_vectors"},
}
PARTS = ("step", "loss", "loss_ctx", "loss_sns", "loss_lm", "grad_norm", "learning_rate", "phase")
FINISHED, KILLED = 0, -signal.SIGKILL


def starts(folder, settings):
    """A run that goes through, and one that is killed inside its second checkpoint and after the same one again."""
    settings = {
        "max_steps": 20,
        "per_device_train_batch_size": 8,
        "save_strategy": "steps",
        "save_steps": 6,
        "save_total_limit": 1,
        **settings,
    }
    killed = {**settings, "output_dir": str(folder / "killed")}
    return [
        {**settings, "output_dir": str(folder / "whole")},
        {**killed, "kill_at_write": [6, 12]},
        {**killed, "resume": True, "kill_at_step": 15},
        {**killed, "resume": True},
    ]


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """Of each kind: the folder, and how its starts ended."""
    root = tmp_path_factory.mktemp("restarts")
    folders = {kind: root / kind.replace(" ", "-") for kind in KINDS}
    asked = [start for kind, folder in folders.items() for start in starts(folder, KINDS[kind])]
    process = launch(sys.executable, SCENARIOS / "restarts.py", json.dumps(asked))
    output, _ = process.communicate(timeout=500)
    assert process.returncode == 0, output[-6000:]
    ends = json.loads(output.splitlines()[-1])
    return {kind: (folder, ends[4 * i : 4 * i + 4]) for i, (kind, folder) in enumerate(folders.items())}


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_run_resumes_with_the_losses_and_weights_of_an_uninterrupted_one(ended, kind):
    folder, ends = ended[kind]
    after_a_step = ends.pop(2)
    assert ends == [
        [FINISHED, ["checkpoint-20"]],
        [KILLED, [".writing/checkpoint-12", "checkpoint-6"]],
        [FINISHED, ["checkpoint-20"]],
    ]
    # The writing goes on beside the steps, and may have got anywhere.
    assert after_a_step[0] == KILLED and {"checkpoint-6", "checkpoint-12"} & set(after_a_step[1])
    whole, resumed = (json.loads((folder / name / "history.json").read_text()) for name in ("whole", "killed"))
    losses = [[[entry[name] for name in PARTS] for entry in run["history"]] for run in (whole, resumed)]
    assert len(losses[0]) == 20 and losses[1] == losses[0]
    weights = [load_file(folder / name / "final/model.safetensors") for name in ("whole", "killed")]
    assert all(torch.equal(weights[1][name], value) for name, value in weights[0].items())
