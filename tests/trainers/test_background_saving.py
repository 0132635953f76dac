"""Checkpoints are written beside the training, from copies; whole or not at all, and an error ends the run."""

import threading
import time

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from sensia.trainers.background_saving import BackgroundSaving, copy_on_cpu, fits_in_memory
from sensia.trainers.checkpoints import newest_checkpoint


class WhileWriting(TrainerCallback):
    """Holds the writing of checkpoints back until so many more steps are done, and notes what is there meanwhile."""

    def __init__(self, trainer, steps):
        self.steps, self.seen = steps, []
        self.released = threading.Event()
        commit = trainer._commit

        def held_back(*given):
            self.released.wait(timeout=60)
            commit(*given)

        trainer._commit = held_back

    def on_step_end(self, args, state, control, **kwargs):
        self.seen.append((state.global_step, newest_checkpoint(args.output_dir)))
        if state.global_step == self.steps:
            self.released.set()


def test_training_goes_on_while_a_checkpoint_is_written(make_trainer, tmp_path):
    trainer = make_trainer(save_strategy="steps", save_steps=2, max_steps=5)
    watch = WhileWriting(trainer, steps=3)
    trainer.add_callback(watch)
    trainer.train()
    # What is being written is no checkpoint, also when all of its files are there.
    assert watch.seen[:3] == [(1, None), (2, None), (3, None)]
    assert newest_checkpoint(tmp_path / "run") == str(tmp_path / "run/checkpoint-5")


def test_a_checkpoint_holds_the_weights_of_its_step_and_not_of_a_later_one(make_trainer, make_model, tmp_path):
    trainer = make_trainer(save_strategy="steps", save_steps=2, max_steps=4, save_total_limit=3)
    trainer.add_callback(WhileWriting(trainer, steps=3))
    kept = {}

    class Keep(TrainerCallback):
        def on_step_end(self, args, state, control, model=None, **kwargs):
            kept[state.global_step] = {name: value.detach().clone() for name, value in model.named_parameters()}

    trainer.add_callback(Keep())
    trainer.train()
    saved = load_file(tmp_path / "run/checkpoint-2/model.safetensors")
    assert all(torch.equal(saved[name], value) for name, value in kept[2].items())
    assert not all(torch.equal(saved[name], value) for name, value in kept[3].items())


def test_a_run_resumed_from_such_a_checkpoint_is_the_uninterrupted_one(make_trainer, make_model, tmp_path):
    weights = []
    for resumed in (False, True):
        trainer = make_trainer(model=make_model(dropout=0.1), save_strategy="steps", save_steps=2, max_steps=5)
        trainer.add_callback(WhileWriting(trainer, steps=3))
        trainer.train(resume_from_checkpoint=str(tmp_path / "run/checkpoint-2") if resumed else None)
        weights.append(load_file(tmp_path / "run/checkpoint-5/model.safetensors"))
    assert all(torch.equal(weights[1][name], value) for name, value in weights[0].items())


def test_the_log_has_the_time_of_checkpoints_beside_that_of_steps(make_trainer, capsys):
    trainer = make_trainer(save_strategy="steps", save_steps=1, max_steps=4)
    trainer.train()
    logged = [entry for entry in trainer.state.log_history if "checkpoint_seconds" in entry]
    # The seconds of waiting for a checkpoint may be logged after those of its writing.
    assert sum(entry["checkpoint_write_seconds"] for entry in logged) > 0 and all("loss" in entry for entry in logged)
    assert "s beside the steps" in capsys.readouterr().out


def test_an_error_of_the_writing_ends_the_run_at_the_next_step(make_trainer):
    trainer = make_trainer(save_strategy="steps", save_steps=2, max_steps=400)

    def fail(*_):
        raise PermissionError("not yours")

    trainer._commit = fail
    with pytest.raises(PermissionError, match="not yours"):
        trainer.train()
    assert trainer.state.global_step < 400


def test_what_does_not_fit_twice_into_the_memory_is_written_in_place(make_trainer, tmp_path, monkeypatch):
    monkeypatch.setattr("sensia.trainers.background_saving._SHARE", 0.0)
    trainer = make_trainer(save_strategy="steps", save_steps=2)
    trainer.train()
    assert not trainer._copies and newest_checkpoint(tmp_path / "run") == str(tmp_path / "run/checkpoint-4")


def test_memory_is_asked_for():
    assert fits_in_memory(2**20) and not fits_in_memory(2**60)


def test_copies_do_not_change_and_tied_weights_stay_one():
    weight, step = torch.ones(3), torch.tensor(4.0)
    state = {"head": weight, "embeddings": weight, "groups": [{"lr": 0.1, "step": step}], "view": weight[1:]}
    copied = copy_on_cpu(state)
    weight.zero_()
    step.add_(1)
    assert copied["head"] is copied["embeddings"] and copied["head"].tolist() == [1, 1, 1]
    assert copied["view"].tolist() == [1, 1] and copied["groups"] == [{"lr": 0.1, "step": torch.tensor(4.0)}]


def test_an_error_is_raised_once_and_in_the_thread_that_waits():
    saving = BackgroundSaving()

    def fail():
        raise OSError("disk")

    saving.start(fail, 0.0)
    with pytest.raises(OSError, match="disk"):
        saving.wait()
    saving.wait()


def test_seconds_are_told_when_the_writing_is_over():
    saving, over = BackgroundSaving(), threading.Event()
    saving.start(lambda: bool(over.wait(timeout=60)), stood=0.5)
    assert saving.seconds() == {}
    time.sleep(0.05)
    over.set()
    saving.wait()
    found = saving.seconds()
    assert found["checkpoint_seconds"] >= 0.5 and found["checkpoint_write_seconds"] >= 0.05
    assert saving.seconds() == {}
