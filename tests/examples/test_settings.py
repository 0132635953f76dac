"""Every setting of every command, given what it cannot be: one line that names it, before anything is loaded."""

from dataclasses import fields

import pytest
import yaml
from example_scripts import load_example
from transformers import TrainingArguments

from sensia.trainers import SensiaConfig, parse_arguments
from sensia.trainers.pretraining import PretrainArguments
from sensia.trainers.run_arguments import AdaptArguments

OUTPUT = {"output_dir": "out"}
STUDY = {"model": "m", "bitext": "b", "held_out": "h", "lexicon": "l", "target_language": "id", "output": "o"}
COMMANDS = {
    "adapt": ((AdaptArguments, SensiaConfig), {"model": "m", "train_data": "t", "target_language": "id", **OUTPUT}),
    "pretrain": ((PretrainArguments, TrainingArguments), {"texts": ["t"], "use_cpu": True, **OUTPUT}),
    "score": ((load_example("score").ScoreArguments,), {"model": "m", "output": "o"}),
    "inspect_senses": ((load_example("inspect_senses").InspectArguments,), {"model": "m", "words": ["w"]}),
    "steer": ((load_example("steer").SteerArguments,), {"case": "topic"}),
    "study_senses": ((load_example("study_senses").StudyArguments,), STUDY),
}
GIVEN = {
    "nothing": None,
    "empty text": "",
    "text": "text",
    "list": [],
    "nested list": [[1], None],
    "mapping": {"nosuch": 1},
    "number": -5,
    "fraction": 2.5,
    "not a number": float("nan"),
    "truth": True,
}


def refusals(types, arguments, names):
    """The message of a command, or `None` where it takes the settings."""
    try:
        parse_arguments(*types, description="", arguments=arguments)
    except ValueError as error:
        assert "\n" not in str(error)
        # What a setting needs beside it may be said of either.
        assert any(name in str(error) for name in names), f"{arguments}: {error}"
        return str(error)
    return None


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_refusal_of_a_settings_file_is_one_line_that_names_the_setting(command, given, tmp_path):
    types, settings = COMMANDS[command]
    path = tmp_path / "settings.yaml"
    refused = []
    for name in [each.name for dataclass_type in types for each in fields(dataclass_type) if each.init]:
        path.write_text(yaml.safe_dump({**settings, name: GIVEN[given]}), encoding="utf-8")
        # `deepspeed` forbids what polish freezes.
        names = (name, "polish_freeze") if name == "deepspeed" else (name,)
        refused.append(refusals(types, ["--config", str(path)], names))
    assert any(refused)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_refusal_of_typed_settings_is_one_line_that_names_the_setting(command):
    types, settings = COMMANDS[command]
    words = {name: value if isinstance(value, list) else [str(value)] for name, value in settings.items()}
    refused = []
    for name in [each.name for dataclass_type in types for each in fields(dataclass_type) if each.init]:
        arguments = [word for key, values in {**words, name: ["1e-3,"]}.items() for word in (f"--{key}", *values)]
        refused.append(refusals(types, arguments, [name]))
    assert any(refused)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_setting_is_answered_with_the_nearest(command, tmp_path):
    types, settings = COMMANDS[command]
    name = next(each.name for each in fields(types[0]) if each.init)
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump({**settings, f"{name}z": 1}), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"unknown setting `{name}z`\. Did you mean `{name}"):
        parse_arguments(*types, description="", arguments=["--config", str(path)])
    with pytest.raises(ValueError, match=rf"^Unknown setting `--{name}z`\. Did you mean `--{name}"):
        parse_arguments(*types, description="", arguments=[f"--{name}z", "1"])
