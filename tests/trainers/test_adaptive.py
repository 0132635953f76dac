import json

import pytest
from transformers import TrainerState

from sensia.trainers import SensiaConfig
from sensia.trainers.adaptive_phases import AdaptivePhases

STEPS = 100


def recall(value):
    return {"eval_context_recall@1": value, "eval_sense_recall@1": value}


def run(callback, recalls, steps=STEPS, state=None):
    """Takes all steps that are left, with the recalls as they are measured: {step: value}."""
    state = state or TrainerState(max_steps=steps, stateful_callbacks=[callback])
    callback.on_train_begin(None, state, None)
    while True:
        if state.global_step in recalls:
            callback.on_evaluate(None, state, None, metrics=recall(recalls[state.global_step]))
        if state.global_step == steps:
            return callback.ends
        state.global_step += 1
        callback.on_step_end(None, state, None)


def each(interval, values, start=0):
    return dict(zip(range(start, STEPS + 1, interval), values, strict=False))


@pytest.mark.parametrize(("patience", "end"), [(1, 15), (2, 20), (3, 25)])
def test_a_phase_ends_at_the_evaluation_that_exhausts_its_patience(patience, end):
    recalls = each(5, [0.1, 0.3, 0.5, 0.5, 0.5, 0.5, 0.5])
    assert run(AdaptivePhases(patience=patience, bounds=(0, 0.49)), recalls)[0] == end


def test_a_rise_by_no_more_than_min_delta_is_none():
    slow, quick = each(5, [0.1, 0.14, 0.145, 0.15]), each(5, [0.1, 0.16, 0.22, 0.28, 0.34, 0.34, 0.34])
    assert run(AdaptivePhases(patience=2, min_delta=0.05, bounds=(0, 0.49)), slow)[0] == 10
    assert run(AdaptivePhases(patience=2, min_delta=0.05, bounds=(0, 0.49)), quick)[0] == 30


def test_a_slow_rise_counts_once_it_has_added_up():
    recalls = each(5, [0.1, 0.13, 0.16, 0.19, 0.22, 0.22, 0.22])
    assert run(AdaptivePhases(patience=2, min_delta=0.05, bounds=(0, 0.49)), recalls)[0] == 30


def test_a_phase_lasts_its_shortest_share_at_least():
    recalls = each(5, [0.5] * 21)
    assert run(AdaptivePhases(patience=1, bounds=(0.18, 0.49)), recalls) == [20, 40]


def test_a_phase_lasts_its_longest_share_at_most_without_an_evaluation():
    assert run(AdaptivePhases(bounds=(0.05, 0.23)), {}) == [23, 46]
    assert run(AdaptivePhases(bounds=(0.05, 0.23)), each(5, [0.01 * step for step in range(21)])) == [23, 46]


def test_a_bound_between_two_steps_ends_a_phase_at_the_later_one():
    assert run(AdaptivePhases(bounds=(0.05, 0.25)), {}, steps=10) == [3, 6]


def test_the_next_phase_starts_with_a_fresh_best_and_full_patience():
    # Joint first loses recall, then gains; only rises above where it started count.
    recalls = each(5, [0.1, 0.5, 0.5, 0.5, 0.3, 0.6, 0.6, 0.6, 0.6])
    assert run(AdaptivePhases(patience=2, bounds=(0, 0.49)), recalls) == [15, 35]


def test_what_an_earlier_phase_reached_is_no_measure_for_one_that_a_bound_began():
    # 0.9 in align; joint begins at step 23 without an evaluation, so its own first one, 0.2, is the one to rise above.
    recalls = each(5, [0.1, 0.3, 0.6, 0.8, 0.9, 0.2, 0.3, 0.3, 0.3])
    assert run(AdaptivePhases(patience=2, bounds=(0.05, 0.23)), recalls) == [23, 40]


def test_polish_never_ends():
    assert len(run(AdaptivePhases(patience=1, bounds=(0, 0.1)), each(1, [0.5] * 101))) == 2


def test_the_mean_of_both_recalls_over_all_sets_decides():
    callback, state = AdaptivePhases(), TrainerState(max_steps=STEPS, global_step=5)
    metrics = {
        "eval_dev_sense_recall@1": 0.2,
        "eval_dev_context_recall@1": 0.4,
        "eval_other_sense_recall@1": 0.6,
        "eval_other_context_recall@1": 1.0,
        "eval_dev_sense_recall@1_source_to_target": 9.0,
        "eval_dev_perplexity": 9.0,
        "test_sense_recall@1": 9.0,
    }
    callback.on_evaluate(None, state, None, metrics=metrics)
    assert callback.best == pytest.approx(0.55)


def test_an_evaluation_without_recalls_changes_nothing():
    callback, state = AdaptivePhases(), TrainerState(max_steps=STEPS, global_step=5)
    callback.on_evaluate(None, state, None, metrics={"eval_perplexity": 3.0})
    assert (callback.best, callback.waited) == (None, 0)


@pytest.mark.parametrize("stop", range(1, STEPS, 7))
def test_a_run_that_goes_on_from_its_state_ends_phases_where_the_whole_run_does(stop, tmp_path):
    recalls = each(5, [0.1, 0.3, 0.5, 0.5, 0.5, 0.3, 0.6, 0.6, 0.7, 0.7, 0.7, 0.7])
    whole = run(AdaptivePhases(bounds=(0, 0.49)), recalls)
    assert whole == [20, 50]

    interrupted = AdaptivePhases(bounds=(0, 0.49))
    state = TrainerState(max_steps=STEPS, stateful_callbacks=[interrupted])
    interrupted.on_train_begin(None, state, None)
    for step in range(stop + 1):
        state.global_step = step
        interrupted.on_step_end(None, state, None)
        if step in recalls:
            interrupted.on_evaluate(None, state, None, metrics=recall(recalls[step]))
    state.stateful_callbacks["AdaptivePhases"] = interrupted.state()
    state.save_to_json(str(tmp_path / "state.json"))

    resumed = TrainerState.load_from_json(str(tmp_path / "state.json"))
    # A resumed run may begin with an evaluation that the interrupted one did not have.
    assert run(AdaptivePhases(bounds=(0, 0.49)), {stop: 0.5} | recalls, state=resumed) == whole


def test_the_state_holds_all_that_makes_the_callback_again():
    callback = AdaptivePhases(patience=3, min_delta=0.1, bounds=(0.1, 0.3))
    callback.ends, callback.best, callback.waited = [7], 0.5, 1
    again = AdaptivePhases.from_state(json.loads(json.dumps(callback.state())))
    assert again.state() == callback.state()
    assert (again.patience, again.min_delta, again.bounds) == (3, 0.1, (0.1, 0.3))


def test_a_new_run_forgets_the_one_before():
    callback = AdaptivePhases(bounds=(0.05, 0.23))
    assert run(callback, {}) == run(callback, {}) == [23, 46]


def test_a_checkpoint_of_another_curriculum_is_refused():
    with pytest.raises(ValueError, match="`schedule` adaptive cannot go on from step 5"):
        AdaptivePhases().restore(TrainerState(global_step=5, max_steps=STEPS, stateful_callbacks=[]))


def test_adaptive_without_an_evaluation_set_is_refused(make_trainer):
    with pytest.raises(ValueError, match=r"`schedule` adaptive .* evaluation set"):
        make_trainer(schedule="adaptive", eval_strategy="steps", eval_steps=1)


def test_the_settings_of_the_configuration_reach_the_callback(tmp_path):
    config = SensiaConfig(
        output_dir=str(tmp_path),
        schedule="adaptive",
        eval_strategy="epoch",
        adaptive_patience=4,
        adaptive_min_delta=0.1,
        adaptive_bounds=[0.1, 0.2],
    )
    callback = AdaptivePhases.from_config(config, ["pairs"])
    assert callback.state()["args"] == {"patience": 4, "min_delta": 0.1, "bounds": [0.1, 0.2]}


def adaptive_trainer(make_trainer, pairs, **settings):
    return make_trainer(
        evaluate={"dev": pairs.select(range(16))},
        schedule="adaptive",
        adaptive_bounds=[0.1, 0.45],
        adaptive_patience=1,
        adaptive_min_delta=0.9,  # no recall of 16 pairs rises as much: a phase ends as soon as it may
        polish_freeze="sense_vectors",
        max_steps=10,
        eval_strategy="steps",
        eval_steps=2,
        save_strategy="steps",
        save_steps=5,
        **settings,
    )


@pytest.mark.slow
@pytest.mark.parametrize("restored_by_transformers", [False, True])
def test_phases_end_in_training_and_a_resumed_run_ends_them_alike(
    make_trainer, make_model, pairs, tmp_path, restored_by_transformers
):
    whole = adaptive_trainer(make_trainer, pairs, model=make_model())
    whole.train()
    # Evaluations at 2, 4, 6, 8: the first sets the mark, the second ends align, the third joint.
    assert whole.phase_ends == (4, 6)
    phases = [entry["phase"] for entry in whole.state.log_history if "loss_ctx" in entry]
    assert phases == [0] * 4 + [1] * 2 + [2] * 4
    weights = [entry["weight_lm"] for entry in whole.state.log_history if "loss_ctx" in entry]
    assert weights == pytest.approx([0.02 / 1.02] * 4 + [0.2] * 2 + [0.7] * 4)

    resumed = adaptive_trainer(
        make_trainer,
        pairs,
        model=make_model(),
        eval_on_start=True,
        restore_callback_states_from_checkpoint=restored_by_transformers,
    )
    resumed.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-5"))
    assert resumed.phase_ends == (4, 6)
    losses = [
        {entry["step"]: entry["loss"] for entry in trainer.state.log_history if "loss_ctx" in entry}
        for trainer in (whole, resumed)
    ]
    assert losses[0] == losses[1]

    loaded = adaptive_trainer(make_trainer, pairs, model=make_model())
    loaded.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-10"))
    assert loaded.phase_ends == (4, 6)
