import json

import pytest
import yaml

from reproduction.plan import Base, Run, language_model_share, read_plan, read_results


@pytest.fixture
def plan(tmp_path):
    def write(**changes):
        plan = {
            "common": {"train_data": "en-{target}.jsonl", "max_steps": 3},
            "suite": {"ntrex": {"kind": "bitext"}},
            "bases": {"small": {"config": "small.yaml", "settings": {"num_senses": 4}}},
            "runs": {"a": {"languages": ["id", "tr"], "seeds": [0, 1]}, "b": {"settings": {"max_steps": 5}}},
        }
        path = tmp_path / "plan.yaml"
        path.write_text(yaml.safe_dump({**plan, **changes}), encoding="utf-8")
        return path

    return write


def test_a_plan_has_a_run_for_each_language_and_seed(plan):
    assert [run.name for run in read_plan(plan())] == ["a-id-0", "a-id-1", "a-tr-0", "a-tr-1", "b-id-0"]


def test_a_run_has_the_common_settings_with_its_own_language_and_seed(plan):
    *_, last, b = read_plan(plan())
    assert last.settings == {"train_data": "en-tr.jsonl", "max_steps": 3, "seed": 1}
    assert b == Run("b", "id", 0, {"train_data": "en-id.jsonl", "max_steps": 5, "seed": 0}, b.suite)


def test_runs_can_be_chosen_by_name(plan):
    assert [run.name for run in read_plan(plan(), ["b"])] == ["b-id-0"]


def test_a_run_may_begin_from_a_model_of_the_plan_and_have_tasks_of_its_own(plan):
    (run,) = read_plan(plan(runs={"c": {"base": "small", "suite": {"more": {"kind": "bitext"}}}}))
    assert run.base == Base("small", "small.yaml", {"num_senses": 4})
    assert set(run.suite) == {"ntrex", "more"} and not run.is_dense


@pytest.mark.parametrize(
    ("changes", "only", "message"),
    [
        ({"runs": {"a": {"setings": {}}}}, None, "run a has languages, seeds, base, settings, suite, not 'setings'"),
        ({"runs": {"a": {"base": "large"}}}, None, "run a has no base 'large' to begin from, only small"),
        ({"bases": {"small": {"steps": 3}}}, None, "base small has config, settings, not 'steps'"),
        ({"more": 1}, None, "must hold common, suite, bases, runs"),
        ({}, ["c"], "has no run 'c', only a, b"),
    ],
)
def test_a_wrong_plan_is_refused_by_name(plan, changes, only, message):
    with pytest.raises(ValueError, match=message):
        read_plan(plan(**changes), only)


def test_a_plan_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"none\.yaml"):
        read_plan(tmp_path / "none.yaml")


def test_results_are_read_in_the_order_of_their_names(tmp_path):
    for name in ("b", "a"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"kind": name}), encoding="utf-8")
    assert [each["kind"] for each in read_results(tmp_path)] == ["a", "b"]


def test_the_language_models_share_counts_steps_by_their_learning_rate():
    history = [{"learning_rate": 3e-4, "weight_lm": 0.1}, {"learning_rate": 1e-4, "weight_lm": 0.7}]
    assert language_model_share(history) == 0.25
