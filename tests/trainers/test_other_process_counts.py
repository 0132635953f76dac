"""A run goes on with another number of processes as if nothing had happened, where all together have one batch."""

import json

import pytest
import torch

from tests.trainers.scenarios import sensia_run
from tests.trainers.spawning import torchrun

pytestmark = pytest.mark.slow

PAIRS = 8  # of one forward, over all processes
COMMON = {"max_steps": 8, "adam_epsilon": 1e-2, "warmup_steps": 0, "save_strategy": "steps", "save_steps": 2}
KINDS = {
    "plain": {"polish_freeze": "none"},
    "accumulated": {"gradient_accumulation_steps": 2, "polish_freeze": "none"},
    "gradient-cached": {"contrastive_batch_size": 2 * PAIRS, "polish_freeze": "none"},
    "streamed": {"streamed": True, "polish_freeze": "none"},
}
LOSSES = ("loss", "loss_ctx", "loss_sns", "loss_lm", "grad_norm", "learning_rate")


def start(world, folder, kind, **settings):
    settings = {"output_dir": str(folder), "per_device_train_batch_size": PAIRS // world, **COMMON, **settings}
    settings |= KINDS[kind]
    if world == 1:
        sensia_run.run(settings)
    else:
        torchrun(world, "sensia_run.py", json.dumps([settings]))
    history = json.loads((folder / "history.json").read_text())["history"]
    return history, torch.load(folder / "trace_0.pt", weights_only=True)["parameters"][-1]


@pytest.mark.parametrize("kind", KINDS)
def test_two_then_one_then_four_processes_are_one(tmp_path, kind):
    start(2, tmp_path / "run", kind, stop_at=4)
    start(1, tmp_path / "run", kind, resume=True, stop_at=6)
    found, parameters = start(4, tmp_path / "run", kind, resume=True)
    expected, alone = start(1, tmp_path / "alone", kind)
    assert [entry["step"] for entry in found] == list(range(1, 9))
    for ours, theirs in zip(found, expected, strict=True):
        for name in LOSSES:
            assert ours[name] == pytest.approx(theirs[name], rel=1e-4), (ours["step"], name)
    for name, parameter in parameters.items():
        torch.testing.assert_close(parameter, alone[name], rtol=1e-3, atol=1e-5)


def test_two_processes_that_stop_in_a_later_epoch_go_on_in_its_order(tmp_path):
    start(2, tmp_path / "run", "accumulated", stop_at=6)  # an epoch is four steps
    found, _ = start(2, tmp_path / "run", "accumulated", resume=True)
    expected, _ = start(2, tmp_path / "whole", "accumulated")
    assert [entry["loss"] for entry in found] == [entry["loss"] for entry in expected]
