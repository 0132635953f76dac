import json
import os
import shutil
import signal
import sys

import pytest
from transformers import TrainerCallback

from sensia.trainers import SensiaConfig
from sensia.trainers.checkpoints import (
    MANIFEST_NAME,
    WRITING_FOLDER,
    commit_checkpoint,
    find_checkpoint,
    is_whole,
    newest_checkpoint,
    recover_interrupted,
    rotate,
)
from sensia.trainers.run_arguments import AdaptArguments

# Of two processes, and of a sharded model.
FILES = (
    "model.safetensors",
    "optimizer_0/__0_0.distcp",
    "optimizer_0/.metadata",
    "rng_state_0.pth",
    "rng_state_1.pth",
)


class StepsAtBegin(TrainerCallback):
    """Where training set out from."""

    def __init__(self):
        self.steps = []

    def on_train_begin(self, args, state, control, **kwargs):
        self.steps.append(state.global_step)


def arguments(**settings):
    return AdaptArguments(**{"model": "base", "train_data": "pairs.jsonl", "target_language": "id", **settings})


@pytest.fixture
def config(tmp_path):
    def make(**settings):
        return SensiaConfig(output_dir=str(tmp_path / "run"), **{"max_steps": 10, **settings})

    return make


def write(run, step, content="state"):
    """The files of a checkpoint that is not finished."""
    written = run / WRITING_FOLDER / f"checkpoint-{step}"
    for name in FILES:
        (written / name).parent.mkdir(parents=True, exist_ok=True)
        with open(written / name, "w") as file:
            file.write(f"{content} of {step}")
    return written


def save(run, step, limit=None, content="state"):
    checkpoint = run / f"checkpoint-{step}"
    commit_checkpoint(write(run, step, content), checkpoint)
    rotate(checkpoint, limit)
    return checkpoint


def names(run):
    return sorted(path.name for path in run.glob("checkpoint-*"))


def test_a_new_run_has_no_checkpoint(config):
    assert find_checkpoint(config(), arguments()) is None


def test_the_newest_whole_checkpoint_is_resumed(config, tmp_path):
    find_checkpoint(config(), arguments())
    save(tmp_path / "run", 2)
    newest = save(tmp_path / "run", 10)
    assert find_checkpoint(config(), arguments()) == str(newest)


@pytest.mark.parametrize("name", [*FILES, MANIFEST_NAME])
def test_a_checkpoint_without_one_of_its_files_is_never_resumed(tmp_path, name):
    older, newer = save(tmp_path, 2), save(tmp_path, 4)
    (newer / name).unlink()
    assert newest_checkpoint(tmp_path) == str(older)


@pytest.mark.parametrize("name", [*FILES, MANIFEST_NAME])
def test_a_checkpoint_whose_file_is_cut_short_is_never_resumed(tmp_path, name):
    older, newer = save(tmp_path, 2), save(tmp_path, 4)
    os.truncate(newer / name, 3)
    assert newest_checkpoint(tmp_path) == str(older)


def test_a_checkpoint_under_the_name_of_another_step_is_never_resumed(tmp_path):
    older = save(tmp_path, 2)
    shutil.copytree(older, tmp_path / "checkpoint-4")
    assert newest_checkpoint(tmp_path) == str(older)


def test_what_is_being_written_is_no_checkpoint_and_is_removed_at_the_next_start(config, tmp_path):
    find_checkpoint(config(), arguments())
    whole = save(tmp_path / "run", 2)
    written = write(tmp_path / "run", 4)
    assert find_checkpoint(config(), arguments()) == str(whole)
    assert not written.exists()


def test_the_oldest_checkpoints_are_deleted_but_never_the_best_one(tmp_path):
    for step in (2, 4, 6, 8):
        save(tmp_path, step)
    rotate(tmp_path / "checkpoint-8", 2, best=str(tmp_path / "checkpoint-4"))
    assert names(tmp_path) == ["checkpoint-4", "checkpoint-8"]
    rotate(tmp_path / "checkpoint-8", 1, best=str(tmp_path / "checkpoint-4"))
    assert names(tmp_path) == ["checkpoint-4", "checkpoint-8"]


def test_the_checkpoint_just_written_outlives_one_of_more_steps(tmp_path):
    save(tmp_path, 12)
    save(tmp_path, 4, limit=1)
    assert names(tmp_path) == ["checkpoint-4"]


def save_until(change, run, step, content):
    """Saves in a process of its own, which ends at its nth change of a file; whether it got that far."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    seen = 0

    def watch(event, details):
        nonlocal seen
        opened = event == "open" and details[1] == "w"
        if opened or event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir"):
            seen += 1
            if seen == change:
                os._exit(9)

    sys.addaudithook(watch)
    save(run, step, limit=1, content=content)
    os._exit(0)


@pytest.mark.parametrize("step", [4, 2], ids=["the next checkpoint", "the same checkpoint again"])
def test_a_whole_checkpoint_is_found_wherever_saving_is_killed(tmp_path, step):
    found = []
    for change in range(1, 100):
        run = tmp_path / str(change)
        save(run, 2, content="old")
        killed = save_until(change, run, step, "new")
        recover_interrupted(run)
        (checkpoint,) = {newest_checkpoint(run)} - {None}
        assert list(run.glob(".*")) == []
        contents = {(run / checkpoint / name).read_text() for name in FILES}
        assert contents in ({"old of 2"}, {f"new of {step}"})
        found.append("new" in str(contents))
        if not killed:
            break
    assert found == sorted(found) and not found[0] and found[-1] and len(found) > 10


@pytest.mark.parametrize(
    ("changed", "named"), [({"learning_rate": 0.5}, "learning_rate"), ({"polish_freeze": "none"}, "polish_freeze")]
)
def test_checkpoints_of_other_settings_are_refused_by_name(config, tmp_path, changed, named):
    find_checkpoint(config(), arguments())
    save(tmp_path / "run", 2)
    with pytest.raises(ValueError, match=f"other settings .{named}: .* then, .* now"):
        find_checkpoint(config(**changed), arguments())


def test_checkpoints_of_other_batches_over_all_processes_are_refused(config, tmp_path):
    find_checkpoint(config(per_device_train_batch_size=4), arguments())
    save(tmp_path / "run", 2)
    with pytest.raises(ValueError, match="per_device_train_batch_size x processes: 4 then, 8 now"):
        find_checkpoint(config(per_device_train_batch_size=8), arguments())


def test_checkpoints_of_more_processes_with_smaller_batches_are_resumed(config, tmp_path):
    find_checkpoint(config(per_device_train_batch_size=4), arguments())
    save(tmp_path / "run", 2)
    settings = json.loads((tmp_path / "run/settings.json").read_text())
    assert settings["per_device_train_batch_size x processes"] == 4
    assert not {"per_device_train_batch_size", "processes"} & settings.keys()


@pytest.mark.parametrize(
    "changed",
    [
        {"logging_steps": 1},
        {"save_steps": 3, "save_total_limit": 1},
        {"run_name": "another", "report_to": "none"},
        {"hub_model_id": "org/name", "hub_strategy": "end"},
        {"disable_tqdm": True, "log_level": "error"},
        {"alignment_floor": 0.3, "collapse_entropy": 0.0},
        {"dataloader_num_workers": 1, "per_device_eval_batch_size": 3},
    ],
)
def test_settings_that_compute_nothing_may_change(config, tmp_path, changed):
    find_checkpoint(config(), arguments())
    checkpoint = save(tmp_path / "run", 2)
    assert find_checkpoint(config(**changed), arguments()) == str(checkpoint)


def test_what_only_the_card_tells_may_change(config, tmp_path):
    find_checkpoint(config(), arguments(model_license="mit", model_name="one", prompts=["x"]))
    checkpoint = save(tmp_path / "run", 2)
    licence = {"model_license": "other", "model_license_name": "ours", "data_license": "cc0-1.0"}
    changed = arguments(**licence, model_name="two", prompts=["y", "z"], data="elsewhere", eval_overlap=9)
    assert find_checkpoint(config(), changed) == str(checkpoint)


def test_a_resumed_run_saves_as_often_as_it_is_told_now(make_trainer, tmp_path):
    make_trainer(save_strategy="steps", save_steps=2).train()
    shutil.rmtree(tmp_path / "run/checkpoint-4")
    trainer = make_trainer(save_strategy="steps", save_steps=1)
    trainer.train(resume_from_checkpoint=True)
    assert names(tmp_path / "run") == ["checkpoint-2", "checkpoint-3", "checkpoint-4"]


def test_ctrl_c_says_which_checkpoint_the_run_goes_on_from(make_trainer, tmp_path):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it

    class Interrupt(TrainerCallback):
        def __init__(self, step):
            self.step = step

        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step == self.step:
                signal.raise_signal(signal.SIGINT)

    for step, said in ((1, "begins anew"), (3, f"goes on from {tmp_path}/run/checkpoint-2")):
        trainer = make_trainer(save_strategy="steps", save_steps=2)
        trainer.add_callback(Interrupt(step))
        with pytest.raises(KeyboardInterrupt, match=f"^The same command {said}"):
            trainer.train()


def test_the_trainer_saves_whole_checkpoints_and_rotates_them(make_trainer, tmp_path):
    trainer = make_trainer(save_strategy="steps", save_steps=1, save_total_limit=2)
    trainer.train()
    assert names(tmp_path / "run") == ["checkpoint-3", "checkpoint-4"]
    assert all(is_whole(path) for path in (tmp_path / "run").glob("checkpoint-*"))
    assert not (tmp_path / "run" / WRITING_FOLDER).exists()


def test_the_best_checkpoint_is_known_by_its_final_name(make_trainer, pairs, tmp_path):
    trainer = make_trainer(
        evaluate=pairs,
        eval_strategy="steps",
        eval_steps=2,
        save_strategy="steps",
        save_steps=2,
        save_total_limit=1,
        metric_for_best_model="eval_perplexity",
        greater_is_better=False,
        load_best_model_at_end=True,
    )
    trainer.train()
    best = trainer.state.best_model_checkpoint
    state = json.loads((tmp_path / "run" / "checkpoint-4" / "trainer_state.json").read_text())
    assert best == state["best_model_checkpoint"] and names(tmp_path / "run") == [best.rpartition("/")[2]]


def test_resuming_without_a_name_takes_the_newest_whole_checkpoint(make_trainer, tmp_path):
    settings = {"save_strategy": "steps", "save_steps": 1, "max_steps": 3}
    make_trainer(**settings).train()
    os.truncate(tmp_path / "run/checkpoint-3/optimizer.pt", 100)
    trainer = make_trainer(**settings)
    began = StepsAtBegin()
    trainer.add_callback(began)
    trainer.train(resume_from_checkpoint=True)
    assert began.steps == [2]
