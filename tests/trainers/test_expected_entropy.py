"""The entropy that a recipe expects of aligned languages: warned of while training, and a limit on the card."""

import pytest

from sensia.trainers import SensiaConfig
from sensia.trainers.alignment import limits_of_run, warn_of_unexpected_entropy


@pytest.fixture
def warnings(caplog, monkeypatch):
    from transformers.utils import logging

    monkeypatch.setattr(logging.get_logger("transformers"), "propagate", True)
    logging.enable_propagation()
    return caplog


def config(**settings):
    return SensiaConfig(output_dir="unused", **settings)


def metrics(source, target):
    return {"eval_dev_entropy_source": source, "eval_dev_entropy_target": target}


def test_a_side_outside_is_warned_of(warnings):
    warn_of_unexpected_entropy(metrics(1.45, 1.62), ["eval_dev"], 30, config(expected_entropy=[1.4, 1.5]))
    assert "Step 30: eval_dev_entropy_target is 1.620 nats" in warnings.text
    assert "entropy_source" not in warnings.text


@pytest.mark.parametrize("expected", [None, [1.0, 2.0]])
def test_nothing_is_said_within_or_without_a_range(warnings, expected):
    warn_of_unexpected_entropy(metrics(1.45, 1.62), ["eval_dev"], 30, config(expected_entropy=expected))
    assert warnings.text == ""
    assert list(limits_of_run([metrics(1.45, 1.62)], config(expected_entropy=expected), 16)) == []


def test_the_card_tells_of_the_last_evaluation(warnings):
    history = [metrics(1.0, 1.0), {"loss": 1.0}, metrics(1.45, 1.3), {"loss": 1.0}]
    (said,) = limits_of_run(history, config(expected_entropy=[1.4, 1.5]), 16)
    assert "dev_entropy_target" in said and "1.300 nats" in said


def test_a_run_warns_once_after_align(make_trainer, pairs, warnings):
    settings = {"learning_rate": 0.0, "max_steps": 4, "logging_steps": 1, "eval_strategy": "steps", "eval_steps": 1}
    trainer = make_trainer(
        evaluate={"dev": pairs.select(range(30))},
        align_share=0.25,
        joint_share=0.25,
        expected_entropy=[0.0, 0.001],
        **settings,
    )
    trainer.train()
    assert warnings.text.count("eval_dev_entropy_source is") == 1


@pytest.mark.parametrize("given", [[1.5, 1.4], [1.4], [-1, 1]])
def test_a_range_that_is_none_is_refused(given):
    with pytest.raises(ValueError, match="`expected_entropy` must be lowest and highest"):
        config(expected_entropy=given)
