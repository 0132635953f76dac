from dataclasses import dataclass, field

import pytest
import torch

from sensia.trainers import SensiaConfig, parse_arguments


@dataclass
class Settings:
    name: str
    steps: int = 3
    rate: float = 0.1
    items: list[str] = field(default_factory=list)
    limit: int | None = None
    bounds: list[int] | None = None


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


def test_null_on_the_command_line_takes_an_optional_setting_of_the_file_away(config):
    file = config("name: a\nlimit: 5\nbounds: [1, 2]")
    assert parse("--config", file, "--limit", "null", "--bounds", "null") == Settings("a")
    assert parse("--name", "null").name == "null"
    with pytest.raises(ValueError, match="`steps` must be a whole number, got 'null'"):
        parse("--name", "a", "--steps", "null")


def test_null_empties_a_list_that_may_be_empty(config):
    assert parse("--config", config("name: a\nitems: [x]"), "--items", "null") == Settings("a")
    assert parse("--config", config("name: a\nitems: null")) == Settings("a")


def test_numbers_are_read_by_the_type_of_the_setting(config):
    settings = parse("--config", config("name: a\nsteps: 5.0\nrate: 1e-3\nitems: x"))
    assert settings == Settings("a", 5, 0.001, ["x"]) and type(settings.steps) is int


def test_a_value_of_another_type_is_refused_with_file_and_setting(config):
    with pytest.raises(ValueError, match=r"settings\.yaml: `steps` must be a whole number, got 8\.5\.$"):
        parse("--config", config("name: a\nsteps: 8.5"))


def test_the_text_no_needs_no_quotes(config):
    assert parse("--config", config("name: no")).name == "no"


def test_an_empty_value_is_refused(config):
    with pytest.raises(ValueError, match="`rate` must be a number, got nothing"):
        parse("--config", config("name: a\nrate:"))


def test_an_empty_text_is_refused(config):
    with pytest.raises(ValueError, match="`name` must be text, got an empty one"):
        parse("--config", config('name: ""'))


def test_a_second_file_is_refused(config):
    path = config("name: a")
    with pytest.raises(ValueError, match=r"`--config` is given 2 times.*: put all settings into one file"):
        parse("--config", path, f"--config={path}")


def test_a_list_that_is_typed_twice_is_refused():
    with pytest.raises(ValueError, match="`--items` is given 2 times: write all its values after one"):
        parse("--name", "a", "--items", "x", "--items", "y")


def test_the_last_of_a_single_value_counts():
    assert parse("--name", "a", "--steps", "1", "--steps", "2").steps == 2


def test_settings_that_are_missing_are_named():
    with pytest.raises(ValueError, match=r"^`name` must be given"):
        parse("--steps", "5")


def test_a_word_that_belongs_to_no_setting_is_refused():
    with pytest.raises(ValueError, match=r"`my\.yaml` belongs to no setting.*--config FILE\.yaml"):
        parse("--name", "a", "my.yaml")


def test_the_value_of_an_unknown_option_is_not_shown():
    with pytest.raises(ValueError, match="Unknown setting `--hub_tokn`") as refused:
        parse("--name", "a", "--hub_tokn=hf_secret")
    assert "secret" not in str(refused.value)


def test_an_option_without_its_value_is_named():
    with pytest.raises(ValueError, match=r"--steps.*expected one argument"):
        parse("--name", "a", "--steps")


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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("max_steps: 0", "`max_steps` must be at least 1, or -1 for num_train_epochs, got 0"),
        ("per_device_train_batch_size: 0", "`per_device_train_batch_size` must be at least 1, got 0"),
        ("learning_rate: -1e-4", "`learning_rate` must be 0 or more, got -0.0001"),
        ("adam_beta1: 1", r"`adam_beta1` must lie in \[0, 1\), got 1"),
        ("save_steps: 2.5", "`save_steps` must be a whole number, or below 1, got 2.5"),
        ("seed: -1", "`seed` must lie between 0 and 4294967295, got -1"),
        ("report_to: nothing", "`report_to` must be none, all or of what is installed here .*'nothing'"),
        ("report_to:", "`report_to` must not be empty"),
        ("optim_args: fast", "`optim_args` must be name=value pairs.*'fast'"),
        ("debug: overflow", "`debug` must be of .*'overflow'"),
        ("lr_scheduler_type: cosin", "`lr_scheduler_type` must be one of linear, cosine.*'cosin'"),
        ("lr_scheduler_kwargs: text", "`lr_scheduler_kwargs` must be a mapping"),
        ("accelerator_config: { split: true }", "`accelerator_config` holds split_batches.*'split'"),
        ("fsdp_config: none.json", "`fsdp_config` must be a mapping of names to values, or a JSON file"),
    ],
)
def test_settings_that_transformers_takes_and_cannot_use_are_refused(config, settings, message):
    with pytest.raises(ValueError, match=message):
        parse_arguments(SensiaConfig, description="", arguments=["--config", config(settings)])


@pytest.mark.parametrize("written", ["no", "false", "'no'"])
def test_evaluation_is_off_by_no(config, tmp_path, written):
    path = config(f"eval_strategy: {written}\noutput_dir: {tmp_path}")
    (parsed,) = parse_arguments(SensiaConfig, description="", arguments=["--config", path])
    assert parsed.eval_strategy == "no"


@pytest.mark.skipif(torch.accelerator.is_available(), reason="bfloat16 is for the accelerator then")
def test_bfloat16_is_for_processors_that_multiply_it(tmp_path):
    config = SensiaConfig(output_dir=str(tmp_path), bf16=True)
    assert config.bf16 == torch.ops.mkldnn._is_mkldnn_bf16_supported()


@pytest.mark.parametrize("name", ["org/my name", "a/b/c", "-begins-ill", "ends.git", "x" * 97])
def test_a_repository_that_the_hub_refuses_is_refused_by_name(name, tmp_path):
    with pytest.raises(ValueError, match=r"^`hub_model_id` must be a name as org/name, got "):
        parse_arguments(
            SensiaConfig, description="", arguments=["--output_dir", str(tmp_path), f"--hub_model_id={name}"]
        )


def test_a_run_name_of_two_lines_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^`run_name` must be a name, one line of text"):
        parse_arguments(
            SensiaConfig, description="", arguments=["--output_dir", str(tmp_path), "--run_name", "two\nlines"]
        )


@pytest.mark.parametrize("setting", [("--neftune_noise_alpha", "5"), ("--auto_find_batch_size", "true")])
def test_a_setting_of_the_trainer_that_cannot_be_kept_is_refused_by_name(setting, tmp_path):
    with pytest.raises(ValueError, match=rf"^`{setting[0][2:]}` cannot be used: "):
        parse_arguments(SensiaConfig, description="", arguments=["--output_dir", str(tmp_path), *setting])
