"""A disk without room is named: before training where it can be known, else when a save fails."""

import errno
import os
import resource
import shutil
from contextlib import contextmanager

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn
from transformers import TrainingArguments

from sensia.trainers.checkpoints import newest_checkpoint
from sensia.trainers.disk_space import check_free_disk, checkpoint_bytes, naming_a_full_disk, weight_bytes


def settings(folder, **more):
    return TrainingArguments(str(folder), report_to="none", use_cpu=True, **more)


def test_a_model_whose_checkpoints_cannot_fit_is_refused_before_training(tmp_path):
    huge = nn.Linear(2**24, 2**24, device="meta")  # a petabyte
    with pytest.raises(ValueError, match=r"free disk, and this run needs about [\d.]+ TB there: for 2 checkpoints"):
        check_free_disk(settings(tmp_path), huge)
    check_free_disk(settings(tmp_path), nn.Linear(8, 8))


def test_the_estimate_of_a_checkpoint_is_what_it_takes(make_trainer, tmp_path):
    trainer = make_trainer(save_strategy="steps", save_steps=4)
    trainer.train()
    saved = sum(path.stat().st_size for path in (tmp_path / "run/checkpoint-4").rglob("*") if path.is_file())
    beside = sum(
        path.stat().st_size
        for path in (tmp_path / "run/checkpoint-4").iterdir()
        if path.suffix in (".py", ".json", ".pth")
    )
    assert checkpoint_bytes(trainer.args, trainer.model) == pytest.approx(saved - beside, rel=0.1)


def test_a_checkpoint_without_optimizer_takes_the_weights_alone(make_trainer):
    trainer = make_trainer(save_only_model=True)
    assert checkpoint_bytes(trainer.args, trainer.model) == weight_bytes(trainer.model)


@contextmanager
def small_files(size):
    """No file of this process grows over so many bytes; a write beyond ends as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:  # before pytest writes its report, which may be a long file itself
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def largest_file(folder):
    return max(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_save_that_finds_no_room_says_so_and_names_the_last_whole_checkpoint(make_trainer, tmp_path):
    run = tmp_path / "run"
    make_trainer(save_strategy="steps", save_steps=2).train()
    shutil.rmtree(run / "checkpoint-4")
    trainer = make_trainer(save_strategy="steps", save_steps=2)
    room = largest_file(run / "checkpoint-2") // 2  # the weights fit, the moments do not
    said = rf"^checkpoint-4 could not be saved in {run}: .*{run}/checkpoint-2 is whole"
    with pytest.raises(OSError, match=said), small_files(room):
        trainer.train(resume_from_checkpoint=str(run / "checkpoint-2"))
    assert newest_checkpoint(run) == str(run / "checkpoint-2")
    assert [path.name for path in run.iterdir() if path.name.startswith(".writing")] == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_the_systems_word_is_given(tmp_path, number):
    with (
        pytest.raises(OSError, match=os.strerror(number).lower()),
        naming_a_full_disk("The card", tmp_path),
    ):
        raise RuntimeError("unexpected pos 64 vs 0") from OSError(number, os.strerror(number))


def test_a_weights_file_that_does_not_fit_is_told_by_the_room_it_needs(tmp_path):
    weights, size = {"weight": torch.zeros(4096)}, 4 * 4096
    with (
        pytest.raises(OSError, match="The model could not be saved"),
        small_files(4096),
        naming_a_full_disk("The model", tmp_path, size),
    ):
        save_file(weights, tmp_path / "model.safetensors")


def test_another_error_stays_as_it_is(tmp_path):
    for error in (RuntimeError("out of memory"), SafetensorError("bad header"), PermissionError("no")):
        with pytest.raises(type(error), match=str(error)), naming_a_full_disk("The model", tmp_path, 100):
            raise error
