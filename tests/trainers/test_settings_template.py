"""A settings file to start from."""

import pytest
import yaml

from sensia.trainers import SensiaConfig, parse_arguments
from sensia.trainers.run_arguments import AdaptArguments
from sensia.trainers.settings_template import settings_template


def template():
    return settings_template((AdaptArguments, SensiaConfig), "sensia adapt")


def test_only_what_must_be_given_is_open():
    assert list(yaml.safe_load(template())) == ["model", "train_data", "target_language"]


def test_with_its_comment_signs_taken_away_it_is_a_settings_file_of_the_defaults(tmp_path):
    settings = [line.removeprefix("# ") for line in template().splitlines() if line.startswith("# tau_ctx:")]
    path = tmp_path / "a.yaml"
    given = "model: m\ntrain_data: [t]\ntarget_language: id\noutput_dir: out\n"
    path.write_text(given + "\n".join(settings))
    _, config = parse_arguments(AdaptArguments, SensiaConfig, description="", arguments=["--config", str(path)])
    assert settings == ["tau_ctx: 0.07"] and config.tau_ctx == 0.07


def test_the_command_line_prints_it_and_ends(capsys):
    with pytest.raises(SystemExit) as end:
        parse_arguments(AdaptArguments, SensiaConfig, description="", arguments=["--print_config"])
    assert end.value.code == 0 and "# polish_freeze: sense_network" in capsys.readouterr().out


def test_help_leaves_the_commands_of_a_description_on_lines_of_their_own(capsys):
    description = "Adapts a model.\n\n    sensia adapt --config my.yaml\n\nIt takes minutes."
    with pytest.raises(SystemExit):
        parse_arguments(SensiaConfig, description=description, arguments=["--help"])
    assert description in capsys.readouterr().out
