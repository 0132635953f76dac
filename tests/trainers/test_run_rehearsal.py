"""The record of a run from made-up numbers, before training, is of the form of the real one."""

import json

import pytest

from sensia.corpora import read_pairs
from sensia.evaluation import evaluate_bitext
from sensia.model_cards import write_card
from sensia.trainers.run_arguments import AdaptArguments
from sensia.trainers.run_record import describe_run
from sensia.trainers.run_rehearsal import MADE_UP_METRICS, made_up_record
from sensia.trainers.training_data import load_eval_pairs, load_train_pairs
from tests.trainers.scenarios.sensia_run import BITEXT


def shape(value):
    """The names and the kinds of values; a mapping of any names is told by its names."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) else type(value).__name__


@pytest.fixture
def data(tmp_path, tokenizer):
    rows = read_pairs(BITEXT, source_language="en", target_language="id").select(range(40))
    for name, part in (("train", rows.select(range(30))), ("dev", rows.select(range(30, 40)))):
        lines = [json.dumps({"en": row["source"], "id": row["target"]}) + "\n" for row in part]
        (tmp_path / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    args = AdaptArguments(
        "base", ["train.jsonl"], "id", data=str(tmp_path), eval_data=["dev=dev.jsonl"], prompts=["Halo"]
    )
    return args, load_train_pairs(args, tokenizer, 64, seed=0), load_eval_pairs(args, tokenizer, 64)


@pytest.mark.parametrize("schedule", ["phased", "adaptive"])
def test_the_made_up_record_has_the_form_of_the_real_one(data, make_trainer, tokenizer, schedule):
    args, train, evals = data
    more = {"eval_strategy": "steps", "eval_steps": 1, "schedule": schedule}
    trainer = make_trainer(train=train.pairs, evaluate={"dev": evals[0].pairs}, **more)
    state = trainer.state
    made_up = made_up_record(args, trainer.args, trainer, train, evals, "command")
    assert trainer.state is state and not state.log_history
    trainer.train()
    metrics = {"dev": evaluate_bitext(trainer.model, tokenizer, evals[0].pairs, pooling_temperature=0.7)}
    samples = [{"prompt": "Halo", "continuation": " dunia"}]
    real = describe_run(args, trainer.args, trainer, train, evals, metrics, metrics, samples, "command")
    told = [
        {**results, "training": {**results["training"], "history": [], "evaluations": [], "phases": []}, "limits": []}
        for results in (made_up, real)
    ]
    assert shape(told[0]) == shape(told[1])
    assert metrics["dev"].keys() == MADE_UP_METRICS.keys()
    for logged in ("history", "evaluations"):
        first, second = (results["training"][logged][-1] for results in (made_up, real))
        assert first.keys() <= second.keys()


def test_all_that_a_card_consists_of_is_written_from_it(data, make_trainer, tmp_path):
    args, train, evals = data
    trainer = make_trainer(train=train.pairs, evaluate={"dev": evals[0].pairs})
    write_card(made_up_record(args, trainer.args, trainer, train, evals, "command"), tmp_path / "card")
    written = {path.name for path in (tmp_path / "card").rglob("*") if path.is_file()}
    assert written == {"README.md", "losses.png", "recall.png", "bits_per_byte.png", "entropy.png"}


def test_what_a_card_refuses_is_refused_before_training(data, make_trainer, tmp_path):
    args, train, evals = data
    trainer = make_trainer(train=train.pairs)
    args.model_license = "No Licence!"  # as a fault in the checks of settings would let through
    with pytest.raises(ValueError, match=r"results\.license"):
        write_card(made_up_record(args, trainer.args, trainer, train, evals, "command"), tmp_path / "card")
