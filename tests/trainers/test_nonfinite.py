import json
import math
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from datasets import Dataset
from transformers.trainer_callback import TrainerState
from transformers.utils import logging

from sensia.trainers import PhaseSchedule, SensiaConfig
from sensia.trainers.alignment import (
    AlignmentWatch,
    contrast_over_chance,
    limits_of_run,
    recall_over_chance,
    warn_of_collapse,
)
from sensia.trainers.losses import with_nan_gradient_if_nonfinite
from sensia.trainers.nonfinite import MAX_SKIPPED_IN_A_ROW, NonfiniteSteps
from tests.trainers.spawning import torchrun


@pytest.fixture
def warnings(caplog, monkeypatch):
    monkeypatch.setattr(logging.get_logger("transformers"), "propagate", True)
    logging.enable_propagation()
    return caplog


@pytest.fixture(scope="module")
def numbered(pairs):
    """The first pairs again, all of one length, with the number of their row and data set."""
    rows = [
        {"source_ids": ids[:6], "target_ids": ids[1:7], "row": number, "dataset": number % 2}
        for number, ids in enumerate(pair for pair in pairs["source_ids"] if len(pair) > 8)
    ]
    return Dataset.from_list(rows[:16])


def poison(trainer, numbered, value=math.nan):
    """Gives a token an embedding that is not finite, and says which rows have it."""
    token = numbered[3]["source_ids"][2]
    with torch.no_grad():
        trainer.model.get_input_embeddings().weight[token] = value
    return {row["row"] for row in numbered if token in (*row["source_ids"], *row["target_ids"])}


def snapshot(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name].nan_to_num(7.5), value.nan_to_num(7.5)) for name, value in second.items())


def logged(trainer, name):
    return [entry[name] for entry in trainer.state.log_history if name in entry]


class OneBadStep:
    """Makes the loss of one step infinite, as an overflow would, with a gradient that is finite by itself."""

    def __init__(self, trainer, step):
        self.trainer, self.step, self.original = trainer, step, trainer._micro_batch_scales
        trainer._micro_batch_scales = self

    def __call__(self, num_items_in_batch):
        contrastive, lm = self.original(num_items_in_batch)
        bad = self.trainer.state.global_step == self.step
        return (math.inf if bad else contrastive), lm


class TestStop:
    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_weights_are_untouched_and_the_file_names_the_rows_of_the_step(self, make_trainer, numbered, value):
        trainer = make_trainer(train=numbered, per_device_train_batch_size=16, max_steps=2)
        poison(trainer, numbered, value)
        before = snapshot(trainer.model)
        with pytest.raises(FloatingPointError, match=r"(?s)Step 1: the gradient and .*loss_ctx.* not finite.*skip"):
            trainer.train()
        assert same(before, trainer.model.state_dict())
        report = json.loads(Path(trainer.args.output_dir, "nonfinite-step-1.json").read_text())
        assert report["step"] == 1 and report["grad_norm"] is None
        assert {"gradient", "loss", "loss_ctx", "loss_sns"} <= set(report["not_finite"])
        [process] = report["processes"]
        found = sorted((entry["row"], entry["dataset"]) for entry in process["rows"])
        assert found == [(row["row"], row["dataset"]) for row in numbered]

    def test_rows_are_those_of_all_micro_batches_of_this_step_only(self, make_trainer, numbered):
        trainer = make_trainer(
            train=numbered, per_device_train_batch_size=4, gradient_accumulation_steps=2, max_steps=2
        )
        OneBadStep(trainer, step=1)
        with pytest.raises(FloatingPointError, match="Step 2"):
            trainer.train()
        report = json.loads(Path(trainer.args.output_dir, "nonfinite-step-2.json").read_text())
        order = [number for batch in trainer.get_train_dataloader() for number in batch["row_numbers"][:, 1].tolist()]
        assert [entry["row"] for entry in report["processes"][0]["rows"]] == order[8:16]
        assert "loss_lm" not in report["not_finite"] and report["processes"][0]["losses"]["loss_lm"] > 0

    def test_a_learning_rate_out_of_all_bounds_stops_with_advice(self, make_trainer):
        trainer = make_trainer(learning_rate=1e30, max_steps=4)
        with pytest.raises(FloatingPointError, match=r"lower `learning_rate`"):
            trainer.train()

    def test_data_without_row_numbers_stops_too(self, make_trainer, pairs):
        bare = pairs.select_columns(["source_ids", "target_ids"])
        trainer = make_trainer(train=bare, max_steps=2)
        OneBadStep(trainer, step=0)
        with pytest.raises(FloatingPointError):
            trainer.train()
        report = json.loads(Path(trainer.args.output_dir, "nonfinite-step-1.json").read_text())
        assert report["processes"][0]["rows"] == []

    def test_the_file_is_there_whole_and_nothing_else(self, make_trainer, numbered):
        trainer = make_trainer(train=numbered)
        OneBadStep(trainer, step=0)
        with pytest.raises(FloatingPointError):
            trainer.train()
        assert [path.name for path in Path(trainer.args.output_dir).glob("*nonfinite*")] == ["nonfinite-step-1.json"]


class TestSkip:
    def test_a_skipped_step_changes_neither_weights_nor_optimizer(self, make_trainer, make_model, numbered):
        runs = []
        for steps in (1, 2):
            trainer = make_trainer(
                make_model(), train=numbered, on_nonfinite="skip", max_steps=steps, weight_decay=0.1,
                lr_scheduler_type="constant",
            )  # fmt: skip
            OneBadStep(trainer, step=1)
            trainer.train()
            runs.append((snapshot(trainer.model), trainer.optimizer.state_dict()["state"]))
        (weights, state), (later_weights, later_state) = runs
        assert same(weights, later_weights)
        for number, entry in state.items():
            assert all(torch.equal(value, later_state[number][name]) for name, value in entry.items())

    def test_training_goes_on_after_it_and_the_log_counts_it_and_stays_finite(self, make_trainer, numbered, warnings):
        trainer = make_trainer(train=numbered, on_nonfinite="skip", max_steps=6, logging_steps=2)
        OneBadStep(trainer, step=3)
        result = trainer.train()
        assert logged(trainer, "skipped_steps") == [0, 1, 1]
        assert all(map(math.isfinite, [*logged(trainer, "loss"), result.training_loss]))
        assert "Step 4 is skipped, the 1st of this run" in warnings.text

    def test_the_logged_means_are_those_of_the_other_steps(self, make_trainer, make_model, numbered):
        def losses(logging_steps):
            trainer = make_trainer(
                make_model(), train=numbered, on_nonfinite="skip", max_steps=4, logging_steps=logging_steps
            )
            OneBadStep(trainer, step=1)
            trainer.train()
            return logged(trainer, "loss"), logged(trainer, "loss_lm")

        (each, each_lm), (all_at_once, all_lm) = losses(1), losses(4)
        assert math.isnan(each[1]) and len(each_lm) == 3
        assert all_at_once[0] == pytest.approx((each[0] + each[2] + each[3]) / 3, rel=1e-6)
        assert all_lm[0] == pytest.approx(sum(each_lm) / 3, rel=1e-6)

    def test_weights_that_are_broken_stop_the_run_in_the_end(self, make_trainer, numbered):
        trainer = make_trainer(train=numbered, on_nonfinite="skip", max_steps=30, per_device_train_batch_size=16)
        poison(trainer, numbered)
        before = snapshot(trainer.model)
        with pytest.raises(FloatingPointError, match=f"{MAX_SKIPPED_IN_A_ROW} steps before it were skipped"):
            trainer.train()
        assert trainer.state.global_step == MAX_SKIPPED_IN_A_ROW
        assert same(before, trainer.model.state_dict())

    def test_the_count_goes_on_in_a_resumed_run(self, make_trainer, make_model, numbered):
        settings = {"train": numbered, "on_nonfinite": "skip", "save_strategy": "steps", "save_steps": 2}
        first = make_trainer(make_model(), **settings)
        OneBadStep(first, step=1)
        first.train()
        again = make_trainer(make_model(), **settings)
        OneBadStep(again, step=3)
        again.train(resume_from_checkpoint=str(Path(first.args.output_dir, "checkpoint-2")))
        assert logged(again, "skipped_steps")[-1] == 2

    def test_a_skip_that_was_not_logged_before_the_checkpoint_is_remembered(self, make_trainer, make_model, numbered):
        settings = {"train": numbered, "on_nonfinite": "skip", "save_strategy": "steps", "save_steps": 2}
        settings |= {"max_steps": 4, "logging_steps": 4}
        first = make_trainer(make_model(), **settings)
        OneBadStep(first, step=1)
        first.train()
        again = make_trainer(make_model(), **settings)
        again.train(resume_from_checkpoint=str(Path(first.args.output_dir, "checkpoint-2")))
        assert logged(again, "skipped_steps") == [1]


def test_skipping_is_refused_under_deepspeed(monkeypatch, tmp_path):
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    with pytest.raises(ValueError, match="on_nonfinite"):
        SensiaConfig(output_dir=str(tmp_path), on_nonfinite="skip", polish_freeze="none")


def test_an_infinite_loss_with_a_finite_gradient_is_seen_in_the_gradient():
    weight = torch.tensor(2.0, requires_grad=True)
    with_nan_gradient_if_nonfinite(weight + math.inf).backward()
    assert weight.grad.isnan()


def test_a_finite_loss_keeps_its_value_and_gradient_to_the_bit():
    weight = torch.tensor(2.7, requires_grad=True)
    loss = with_nan_gradient_if_nonfinite(weight**3)
    loss.backward()
    assert loss.item() == (weight**3).item() and weight.grad.item() == (3 * weight**2).item()


def test_an_overflow_that_a_gradient_scaler_handles_is_left_to_it(tmp_path):
    config = SensiaConfig(output_dir=str(tmp_path), use_cpu=True)
    accelerator = Accelerator(cpu=True)
    steps = NonfiniteSteps(config, accelerator)
    model = torch.nn.Linear(2, 2)
    model.weight.grad = torch.ones(2, 2)
    accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    assert not steps.handle(model, 1, math.inf, {}, []) and model.weight.grad is not None
    # A scale of 1 is none: then it is the model's own number that is too large.
    accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=1.0)
    with pytest.raises(FloatingPointError):
        steps.handle(model, 2, math.inf, {}, [])


@pytest.mark.parametrize(
    ("setting", "value"), [("on_nonfinite", "ignore"), ("alignment_floor", 1.0), ("alignment_floor", -0.1)]
)
def test_settings_out_of_range_are_refused_by_name(tmp_path, setting, value):
    with pytest.raises(ValueError, match=f"`{setting}`.*{value}"):
        SensiaConfig(output_dir=str(tmp_path), **{setting: value})


def test_losses_are_not_read_out_one_by_one(tmp_path):
    assert SensiaConfig(output_dir=str(tmp_path)).logging_nan_inf_filter is False


class TestCollapse:
    def test_is_reported_for_the_side_that_it_is_on(self, warnings):
        warn_of_collapse({"entropy_source": 0.01, "entropy_target": 1.0}, step=7, num_senses=4, share=0.05)
        assert "Step 7: the sense mixture of the source side is collapsing" in warnings.text
        assert "target" not in warnings.text


WRITING = {"name": "write", "share": 0.4, "weights": [0, 0, 1]}
ALIGNING = {"name": "align", "share": 0.4, "weights": [1, 1, 0]}
WRITING_LESS = WRITING | {"share": 0.2, "name": "polish"}


class TestAlignment:
    def test_guessing_scores_0_and_finding_all_1_whatever_the_size_of_the_set(self):
        for size in (2, 10, 1000):
            for recall, score in ((1 / size, 0.0), (1.0, 1.0)):
                metrics = {"eval_dev_context_recall@1": recall, "eval_dev_sense_recall@1": recall}
                assert recall_over_chance(metrics, {"eval_dev": size}) == pytest.approx(score)

    def test_score_is_the_mean_over_sets_and_kinds(self):
        metrics = {
            f"{prefix}_{kind}_recall@1": value
            for prefix, kind, value in (
                ("a", "context", 0.1), ("a", "sense", 0.3), ("b", "context", 0.5), ("b", "sense", 0.75)
            )
        }  # fmt: skip
        expected = ((0.1 - 0.1) / 0.9 + (0.3 - 0.1) / 0.9 + (0.5 - 0.25) / 0.75 + (0.75 - 0.25) / 0.75) / 4
        assert recall_over_chance(metrics, {"a": 10, "b": 4}) == pytest.approx(expected)

    def test_in_batch_contrast_scores_0_for_guessing(self):
        guessing = {"loss_ctx": math.log(64), "loss_sns": math.log(64)}
        assert contrast_over_chance(guessing, 64) == pytest.approx(0)
        assert contrast_over_chance({"loss_ctx": 0.0, "loss_sns": 0.0}, 64) == 1
        worse = {name: 1.402 * value for name, value in guessing.items()}
        assert contrast_over_chance(worse, 64) == pytest.approx(-0.402)

    @pytest.mark.parametrize(
        ("align_share", "step", "due"),
        [(0.2, 2, False), (0.2, 3, True), (0.2, 10, True), (1.0, 4, False), (1.0, 5, True), (0.2, 0, False)],
    )
    def test_is_judged_after_the_first_phase_or_half_of_a_run_of_one(self, tmp_path, align_share, step, due):
        schedule = PhaseSchedule(align_share=align_share, joint_share=min(0.3, 1 - align_share))
        config = SensiaConfig(output_dir=str(tmp_path), eval_strategy="steps", eval_steps=1)
        watch = AlignmentWatch(config, lambda step, steps: schedule.at(step, steps).phase)
        state = TrainerState(global_step=step, max_steps=10)
        assert watch.is_due(state, evaluating=True) is due
        assert not watch.is_due(state, evaluating=False)

    @pytest.mark.parametrize(
        ("settings", "first_due"),
        [
            ({"schedule": "fade"}, 20),  # its first phase is over after 10, too early to tell
            ({"schedule": "custom", "phases": [WRITING, ALIGNING, WRITING_LESS]}, 80),
            ({"schedule": "custom", "phases": [WRITING | {"share": 1.0}]}, None),
        ],
        ids=["fade", "late", "never"],
    )
    def test_is_judged_when_the_phase_that_aligns_is_over(self, tmp_path, settings, first_due):
        config = SensiaConfig(output_dir=str(tmp_path), eval_strategy="steps", eval_steps=1, **settings)
        schedule = config.phase_schedule()
        watch = AlignmentWatch(config, lambda step, steps: schedule.at(step, steps).phase)
        due = [watch.is_due(TrainerState(global_step=step, max_steps=100), evaluating=True) for step in range(101)]
        assert (due.index(True) if any(due) else None) == first_due

    def run(self, make_trainer, pairs, **settings):
        settings = {"learning_rate": 0.0, "max_steps": 4, "logging_steps": 1, **settings}
        trainer = make_trainer(
            evaluate={"dev": pairs.select(range(30))}, align_share=0.25, joint_share=0.25, **settings
        )
        trainer.train()
        return trainer

    def test_failure_is_reported_once_while_the_run_goes_on(self, make_trainer, pairs, warnings):
        trainer = self.run(make_trainer, pairs, eval_strategy="steps", eval_steps=1, alignment_floor=0.9)
        assert warnings.text.count("the languages are not aligned") == 1
        assert "Step 2: " in warnings.text and "held-out recall@1" in warnings.text
        assert "learning rate" in warnings.text and "language column" in warnings.text
        [score] = logged(trainer, "alignment")
        evaluation = [entry for entry in trainer.state.log_history if "eval_dev_sense_recall@1" in entry][1]
        recalls = (evaluation["eval_dev_sense_recall@1"], evaluation["eval_dev_context_recall@1"])
        assert score == pytest.approx((sum(recalls) / 2 - 1 / 30) / (29 / 30))

    def test_without_evaluation_the_training_loss_tells(self, make_trainer, pairs, warnings):
        self.run(make_trainer, pairs, alignment_floor=0.99)
        assert warnings.text.count("the languages are not aligned") == 1
        assert "nothing is evaluated, and the in-batch InfoNCE" in warnings.text

    def test_a_score_under_0_is_told_with_a_scale_that_it_is_on(self, warnings):
        scale = "-0.402 (1 is perfect, 0 is guessing, and less than 0 is worse than guessing)"
        config = SensiaConfig(output_dir="unused")
        AlignmentWatch(config, lambda step, steps: "align").judge(-0.402, "recall@1", TrainerState(global_step=3))
        assert scale in warnings.text
        assert scale in next(limits_of_run([{"alignment": -0.402}], config, 4))

    def test_success_is_logged_and_not_warned_of(self, make_trainer, pairs, warnings):
        trainer = self.run(make_trainer, pairs, eval_strategy="steps", eval_steps=1, alignment_floor=0.0)
        assert len(logged(trainer, "alignment")) == 1
        assert "not aligned" not in warnings.text


class TestLimits:
    CONFIG = SensiaConfig(output_dir="unused")

    def test_a_healthy_run_has_none(self):
        history = [{"alignment": 0.5}, {"entropy_source": 1.0, "entropy_target": 1.0, "skipped_steps": 0}]
        assert list(limits_of_run(history, self.CONFIG, 4)) == []

    def test_all_that_went_wrong_is_said_from_the_log_alone(self):
        history = [{"alignment": 0.011, "skipped_steps": 2}, {"entropy_source": 1.0, "entropy_target": 0.02}]
        skipped, aligned, collapsed = limits_of_run(history, self.CONFIG, 4)
        assert skipped.startswith("2 training steps were skipped")
        assert "0.011" in aligned
        assert "target side has collapsed" in collapsed and "0.020 of ln 4" in collapsed


class TestDefinedOutcomes:
    def test_targets_of_one_token_give_a_language_model_loss_of_0(self, make_trainer, pairs):
        rows = [{"source_ids": ids[:5], "target_ids": [40 + number]} for number, ids in enumerate(pairs["source_ids"])]
        trainer = make_trainer(train=Dataset.from_list(rows), max_steps=2)
        trainer.train()
        assert logged(trainer, "loss_lm") == [0, 0]
        assert all(map(math.isfinite, logged(trainer, "loss") + logged(trainer, "grad_norm")))

    def test_a_batch_of_one_pair_over_and_over_cannot_be_told_apart_and_is_no_error(self, make_trainer, pairs):
        trainer = make_trainer(max_steps=1)
        batch = trainer.data_collator([pairs[0]] * 4)
        trainer.state.max_steps, trainer.current_gradient_accumulation_steps = 1, 1
        loss = trainer.compute_loss(trainer.model, batch)
        loss.backward()
        losses = trainer._step_losses
        assert losses["loss_ctx"].item() == pytest.approx(math.log(4), rel=1e-5)
        assert losses["loss_sns"].item() == pytest.approx(math.log(4), rel=1e-5)
        assert all(parameter.grad.isfinite().all() for parameter in trainer.model.parameters())


@pytest.mark.slow
def test_ranks_decide_alike_where_one_alone_sees_it(tmp_path):
    torchrun(2, "nonfinite_ranks.py", tmp_path)
    ranks = [json.loads((tmp_path / f"rank_{rank}.json").read_text()) for rank in (0, 1)]
    for run in ("skip", "skip sharded"):
        for rank in ranks:
            first, second, third, fourth = rank[run]["sums"]
            assert rank[run]["skipped"] == 1 and rank[run]["error"] is None
            assert first != second == third != fourth and math.isfinite(fourth)
        assert ranks[0][run] == ranks[1][run]
    assert all(rank["stop"]["steps"] == 2 and "loss_ctx" in rank["stop"]["error"] for rank in ranks)
    report = json.loads((tmp_path / "stop/nonfinite-step-3.json").read_text())
    assert [process["process"] for process in report["processes"]] == [0, 1]
    first, second = (process["losses"]["loss_ctx"] for process in report["processes"])
    assert first is not None and second is None
    rows = [entry["row"] for process in report["processes"] for entry in process["rows"]]
    assert len(set(rows)) == 8
