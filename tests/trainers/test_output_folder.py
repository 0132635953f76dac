"""The folder of a run is checked before anything is computed, and belongs to one run at a time."""

import subprocess
import sys

import pytest
from transformers import TrainingArguments

from sensia.trainers.output_folder import check_new_folder, claim_output_folder
from tests.trainers.spawning import ENVIRONMENT, ROOT

HOLD = """
import sys
from sensia.trainers.output_folder import claim_output_folder
from transformers import TrainingArguments
with claim_output_folder(TrainingArguments(sys.argv[1], report_to="none", use_cpu=True)):
    print("held", flush=True)
    sys.stdin.read()
"""


def settings(folder):
    return TrainingArguments(str(folder), report_to="none", use_cpu=True)


def test_a_folder_is_made_with_those_above_it(tmp_path):
    with claim_output_folder(settings(tmp_path / "runs/new/one")):
        assert (tmp_path / "runs/new/one").is_dir()


@pytest.mark.parametrize("below", ["", "run", "runs/one"])
def test_a_file_in_the_place_of_the_folder_is_named(tmp_path, below):
    (tmp_path / "taken").write_text("something")
    with pytest.raises(ValueError, match=r"`output_dir` must be a folder.*taken is a file"):
        claim_output_folder(settings(tmp_path / "taken" / below)).__enter__()
    assert (tmp_path / "taken").read_text() == "something"


def test_a_folder_that_cannot_be_written_to_is_refused():
    # Nobody may write there, whatever the rights of the user.
    with pytest.raises(ValueError, match=r"^`output_dir` /proc/self/run cannot be written to: .*another folder"):
        claim_output_folder(settings("/proc/self/run")).__enter__()


@pytest.mark.slow
def test_a_second_run_into_the_folder_is_refused_until_the_first_has_ended(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, **pipes) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match=r"^Another run writes to `output_dir`"):
            claim_output_folder(settings(tmp_path)).__enter__()
        other.kill()  # not by its own end: a lock must not outlive its process
    with claim_output_folder(settings(tmp_path)):
        pass


def test_a_new_folder_is_checked_and_not_made(tmp_path):
    check_new_folder(str(tmp_path / "runs/new"))
    assert not list(tmp_path.iterdir())


def test_a_new_folder_that_is_there_is_refused(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("", "link"):
        with pytest.raises(ValueError, match=r"`output_dir` .* exists: give a new folder"):
            check_new_folder(str(tmp_path / name))


def test_a_file_above_a_new_folder_is_named(tmp_path):
    (tmp_path / "taken").write_text("something")
    with pytest.raises(ValueError, match=r"`output_dir` must be a folder.*taken is a file"):
        check_new_folder(str(tmp_path / "taken/new"))


def test_a_new_folder_where_nobody_may_write_is_refused():
    with pytest.raises(ValueError, match=r"`output_dir` /proc/new/one cannot be written to"):
        check_new_folder("/proc/new/one")
