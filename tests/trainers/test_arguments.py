from dataclasses import dataclass, field

import pytest
import torch

from trainers import SensiaConfig, parse_arguments
from trainers.arguments import end_with_the_message


@dataclass
class Settings:
    name: str
    steps: int = 3
    rate: float = 0.1
    items: list[str] = field(default_factory=list)


def parse(*arguments):
    return parse_arguments(Settings, description="test", arguments=arguments)[0]


@pytest.fixture
def config(tmp_path):
    def write(text):
        path = tmp_path / "settings.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_the_file_fills_what_the_command_line_leaves_out(config):
    settings = parse("--config", config("name: a\nsteps: 5\nitems: [x, y]"))
    assert settings == Settings("a", 5, 0.1, ["x", "y"])


def test_the_command_line_overrides_the_file(config):
    assert parse(f"--config={config('name: a')}", "--steps", "7", "--name", "b") == Settings("b", 7)


def test_numbers_that_yaml_reads_as_text_are_numbers(config):
    assert parse("--config", config("name: a\nrate: 1e-3")).rate == 0.001


def test_an_unknown_key_is_refused_with_the_nearest_name(config):
    with pytest.raises(ValueError, match=r"unknown setting `stesp`\. Did you mean `steps`"):
        parse("--config", config("name: a\nstesp: 5"))


def test_an_unknown_option_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match=r"--stepz.*--steps"):
        parse("--name", "a", "--stepz", "5")


def test_a_missing_file_is_named():
    with pytest.raises(ValueError, match=r"nowhere\.yaml"):
        parse("--config", "nowhere.yaml")


@pytest.mark.parametrize("text", ["- a\n- b", "name: [", "text"])
def test_a_file_that_is_no_mapping_is_refused(config, text):
    with pytest.raises(ValueError, match=r"settings\.yaml"):
        parse("--config", config(text))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"polish_freeze": "all"}, "polish_freeze"),
        ({"tau_pool": 0}, "tau_pool"),
        ({"label_smoothing_factor": 1.0}, "label_smoothing_factor"),
        ({"dataloader_drop_last": False}, "dataloader_drop_last"),
        ({"hub_strategy": "checkpoint"}, "hub_strategy"),
        ({"schedule": "linear"}, "schedule"),
        ({"align_share": 0.9}, "joint_share"),
    ],
)
def test_impossible_sensia_settings_are_refused_by_name(tmp_path, settings, named):
    with pytest.raises(ValueError, match=named):
        SensiaConfig(output_dir=str(tmp_path), **settings)


@pytest.mark.skipif(torch.accelerator.is_available(), reason="bfloat16 is for the accelerator then")
def test_bfloat16_is_for_processors_that_multiply_it(tmp_path):
    config = SensiaConfig(output_dir=str(tmp_path), bf16=True)
    assert config.bf16 == torch.ops.mkldnn._is_mkldnn_bf16_supported()


@pytest.mark.parametrize("error", [ValueError("no such word"), FileNotFoundError("no such file")])
def test_wrong_input_ends_the_script_with_the_message(error):
    with pytest.raises(SystemExit, match=f"^look.py: {error}$"), end_with_the_message("look.py"):
        raise error


def test_other_errors_keep_their_traceback():
    with pytest.raises(KeyError), end_with_the_message("look.py"):
        raise KeyError("a mistake in the program")
