"""A first experiment is a command of its own: a group of runs of the plan."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def reproduce(*arguments):
    command = [sys.executable, "examples/reproduce.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_an_experiment_is_the_runs_of_its_group(tmp_path):
    options = ("--data", tmp_path, "--runs", tmp_path / "runs", "--experiment", "low_resource", "--dry-run")
    done = reproduce("--scale", "full", *options)
    assert done.returncode == 0, done.stderr
    made = {
        line.split("--output_dir ")[1].rsplit("/", 1)[1] for line in done.stdout.splitlines() if "adapt.py" in line
    }
    assert made == {*(f"sensia-id-{seed}" for seed in range(3)), *(f"data-{share}-id-0" for share in (2, 5, 20, 100))}


@pytest.mark.slow
def test_an_experiment_names_its_runs_itself(tmp_path):
    done = reproduce("--data", tmp_path, "--experiment", "curves", "--only", "sensia")
    assert done.returncode == 2 and "--experiment names its runs itself" in done.stderr
