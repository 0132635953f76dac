"""Curricula from settings to training and to what the card is told."""

import json

import pytest
import torch
import yaml

from sensia.model_cards.curriculum import curriculum_sentence, phase_rows
from sensia.trainers import PhaseSchedule, SensiaConfig, parse_arguments
from sensia.trainers.run_record import describe_training
from sensia.trainers.schedule import Phase

PHASES = [
    {"name": "warm", "share": 0.5, "weights": [1, 1, 0]},
    {"name": "write", "share": 0.5, "weights": [1, 1, 2], "end_weights": [0, 0, 1], "freeze": True},
]
CUSTOM = PhaseSchedule(
    name="custom",
    phases=(Phase("warm", 0.5, (1, 1, 0)), Phase("write", 0.5, (1, 1, 2), (0, 0, 1), freeze=True)),
)


def parse(*arguments):
    return parse_arguments(SensiaConfig, description="test", arguments=arguments)[0]


def test_phases_come_from_a_settings_file(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump({"schedule": "custom", "phases": PHASES, "output_dir": str(tmp_path)}))
    assert parse("--config", str(path)).phase_schedule() == CUSTOM


def test_phases_come_from_the_command_line_as_json(tmp_path):
    config = parse("--schedule", "custom", "--phases", json.dumps(PHASES), "--output_dir", str(tmp_path))
    assert config.phase_schedule() == CUSTOM


def test_phases_are_kept_with_the_settings_of_a_run_as_they_were_given(tmp_path):
    config = SensiaConfig(output_dir=str(tmp_path), schedule="custom", phases=PHASES)
    assert json.loads(config.to_json_string())["phases"] == PHASES
    assert SensiaConfig(output_dir=str(tmp_path), schedule="custom", phases=json.dumps(PHASES)).phases == PHASES


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"schedule": "custom"}, "`schedule` custom needs `phases`"),
        ({"phases": PHASES}, "`phases` belong to `schedule` custom"),
        ({"schedule": "custom", "phases": "[{"}, "`phases` must be a list in JSON"),
        ({"schedule": "custom", "phases": {"warm": 1}}, "`phases` must be a list"),
        ({"schedule": "custom", "phases": [{**PHASES[0], "shar": 1}]}, r"`shar` of a phase\. Did you mean `share`"),
        ({"schedule": "custom", "phases": PHASES, "joint_share": 0.1}, "`joint_share` means nothing"),
        ({"schedule": "cosine", "joint_weights": [1, 1, 1]}, "`joint_weights` means nothing to `schedule` cosine"),
        ({"schedule": "stepwise", "adaptive_patience": 3}, "`adaptive_patience` means nothing"),
        ({"schedule": "adaptive"}, "`eval_strategy`"),
        ({"schedule": "adaptive", "eval_strategy": "epoch", "align_share": 0.3}, "`align_share` means nothing"),
        ({"schedule": "adaptive", "eval_strategy": "epoch", "adaptive_patience": 0}, "`adaptive_patience`"),
        ({"schedule": "adaptive", "eval_strategy": "epoch", "adaptive_min_delta": -0.1}, "`adaptive_min_delta`"),
        ({"schedule": "adaptive", "eval_strategy": "epoch", "adaptive_bounds": [0.3, 0.2]}, "`adaptive_bounds`"),
        ({"schedule": "adaptive", "eval_strategy": "epoch", "adaptive_bounds": [0.1, 0.5]}, "`adaptive_bounds`"),
        ({"schedule": "adaptive", "eval_strategy": "epoch", "adaptive_bounds": [0.1]}, "`adaptive_bounds`"),
    ],
)
def test_settings_that_do_not_fit_the_curriculum_are_refused_by_name(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        SensiaConfig(output_dir=str(tmp_path), **settings)


def test_what_a_custom_phase_freezes_keeps_every_bit_from_then_on(make_trainer):
    trainer = make_trainer(schedule="custom", phases=PHASES, polish_freeze="sense_vectors", max_steps=4)
    senses = []

    def keep(*_):
        senses.append([value.clone() for value in trainer.model.backpack.sense_network.parameters()])

    trainer.model.register_forward_pre_hook(keep)
    trainer.train()
    keep()

    def changed(step):
        return any(not torch.equal(old, new) for old, new in zip(senses[step], senses[step + 1], strict=True))

    # "warm" has the step on which it ends.
    assert [changed(step) for step in range(4)] == [True, True, True, False]


def test_cosine_freezes_nothing_up_to_the_last_step(make_trainer):
    trainer = make_trainer(schedule="cosine", polish_freeze="sense_vectors", max_steps=3)
    trainer.state.max_steps = 3
    assert not any(trainer.phase_schedule.at(step, 3).freeze for step in range(4))
    trainer.train()
    assert [entry["phase"] for entry in trainer.state.log_history if "loss_ctx" in entry] == [0, 0, 0]


def described(trainer):
    trainer.train()
    return json.loads(json.dumps(describe_training(trainer.args, trainer)))


@pytest.mark.parametrize(
    ("settings", "rows"),
    [
        (
            {"schedule": "phased", "joint_share": 0.4},
            [
                ["align", "1 to 3", "0.441, 0.539, 0.020", "0.400, 0.400, 0.200", "nothing"],
                ["joint", "4 to 6", "0.363, 0.363, 0.273", "0.187, 0.187, 0.627", "nothing"],
                ["polish", "7 to 10", "0.150, 0.150, 0.700", "0.150, 0.150, 0.700", "`sense_network`"],
            ],
        ),
        (
            {"schedule": "cosine"},
            [["cosine", "1 to 10", "0.441, 0.539, 0.020", "0.157, 0.160, 0.683", "nothing"]],
        ),
        (
            {"schedule": "custom", "phases": PHASES, "polish_freeze": "none"},
            [
                ["warm", "1 to 6", "0.500, 0.500, 0.000", "0.500, 0.500, 0.000", "nothing"],
                ["write", "7 to 10", "0.244, 0.244, 0.513", "0.074, 0.074, 0.852", "nothing"],
            ],
        ),
    ],
    ids=lambda value: value["schedule"] if isinstance(value, dict) else "",
)
def test_the_card_is_told_the_phases_as_they_were(make_trainer, settings, rows):
    training = described(make_trainer(max_steps=10, **settings))
    assert phase_rows(training) == rows
    assert {entry["phase"] for entry in training["history"]} == {row[0] for row in rows}
    unused = {"align_share", "adaptive_patience"} - ({"align_share"} if settings["schedule"] == "phased" else set())
    assert not unused & (training["schedule"].keys() | training["hyperparameters"].keys())


def test_the_card_is_told_where_adaptive_phases_ended(make_trainer, pairs):
    training = described(
        make_trainer(
            evaluate=pairs.select(range(8)),
            schedule="adaptive",
            adaptive_bounds=[0.2, 0.3],
            eval_strategy="steps",
            eval_steps=10,
            max_steps=10,
        )
    )
    assert [row[:2] for row in phase_rows(training)] == [
        ["align", "1 to 3"],
        ["joint", "4 to 6"],
        ["polish", "7 to 10"],
    ]
    assert curriculum_sentence(training).endswith("align ended after step 3 and joint ended after step 6.")
    assert training["hyperparameters"]["adaptive_bounds"] == [0.2, 0.3]
