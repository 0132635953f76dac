"""The command `sensia`: its words, its help, and what it tells a launcher."""

import subprocess
import sys
from pathlib import Path

import pytest

from sensia.bundled import bundled, find_asset, find_config
from sensia.cli import ACCELERATE_CONFIGS, COMMANDS, main, take_launch_options

ROOT = Path(__file__).parents[1]


def sensia(*words, folder=ROOT):
    command = [sys.executable, "-m", "sensia", *words]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_help_is_one_screen_with_every_command(capsys):
    main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 100
    assert all(any(line.split()[:1] == [name] for line in lines) for name in COMMANDS)


def test_a_mistyped_command_gets_the_nearest():
    with pytest.raises(SystemExit, match=r"no command `adpat`\. Did you mean `adapt`\?"):
        main(["adpat"])


def test_a_command_explains_its_settings_and_ends_well():
    done = sensia("adapt", "--help")
    assert done.returncode == 0 and "--source_lm_weight" in done.stdout


def test_wrong_input_is_one_line_from_anywhere(tmp_path):
    done = sensia("adapt", "--config", "quickstart", "--max_stepz", "3", folder=tmp_path)
    assert done.returncode == 1
    assert (
        done.stderr.strip().splitlines()[-1]
        == "sensia adapt: Unknown setting `--max_stepz`. Did you mean `--max_steps`?"
    )


def test_launch_options_are_parted_from_settings():
    words = ["--num_processes", "2", "--max_steps", "3", "--accelerate_config=fsdp2", "--config", "a.yaml"]
    launch, settings = take_launch_options(words)
    assert launch == ["--num_processes", "2", "--config_file", str(ACCELERATE_CONFIGS / "fsdp2.yaml")]
    assert settings == ["--max_steps", "3", "--config", "a.yaml"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--num_processes"], "`--num_processes` needs a value"),
        (["--accelerate_config", "nope"], "must be one of cpu, ddp, fsdp2, multi_node, zero2 or a file, got 'nope'"),
    ],
)
def test_wrong_launch_options_are_one_line(words, message):
    with pytest.raises(SystemExit, match=message):
        take_launch_options(words)


def test_bundled_files_are_found_by_name():
    assert find_config("quickstart") == bundled("configs") / "quickstart.yaml"
    assert find_config("my.yaml") == Path("my.yaml")


def test_bundled_assets_are_found_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = find_asset("NTREX=examples/assets/bitext/en-id.ntrex-dev.parquet")
    assert found.startswith("NTREX=") and Path(found.removeprefix("NTREX=")).is_file()
    assert find_asset("data/mine.tsv") == "data/mine.tsv"


def test_bundled_assets_of_several_languages_are_found_from_another_folder(tmp_path, monkeypatch):
    name = "examples/assets/bitext/en-{target}.train.parquet"
    monkeypatch.chdir(ROOT)
    assert find_asset(name) == name
    monkeypatch.chdir(tmp_path)
    assert Path(find_asset(name).replace("{target}", "sw")).is_file()


@pytest.mark.slow
def test_two_processes_are_launched(tmp_path):
    words = [
        "--config",
        "quickstart",
        "--target_tokenizer",
        "none",
        "--new_token_learning_rate",
        "null",
        "--max_steps",
        "2",
        "--max_train_pairs",
        "200",
        "--eval_data",
        "--output_dir",
        "run",
    ]
    more = ["--eval_strategy", "no", "--eval_on_start", "false", "--prompts", "Virus ini", "--num_processes", "2"]
    done = sensia("adapt", *words, *more, "--per_device_train_batch_size", "4", folder=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "run/final/model.safetensors").exists()
