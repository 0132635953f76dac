"""How commands end: what they say, and that they leave no process group open."""

import os
import signal
import sys

import pytest

from sensia.trainers.command_ends import exit_on_input_error
from tests.trainers.spawning import SCENARIOS, free_port, launch


@pytest.mark.parametrize("error", [ValueError("no such word"), FileNotFoundError("no such file")])
def test_wrong_input_ends_the_script_with_the_message(error):
    with pytest.raises(SystemExit, match=f"^look.py: {error}$"), exit_on_input_error("look.py"):
        raise error


def test_other_errors_keep_their_traceback():
    with pytest.raises(KeyError), exit_on_input_error("look.py"):
        raise KeyError("a mistake in the program")


def test_the_message_is_one_line():
    with pytest.raises(SystemExit, match=r"^look\.py: one two$"), exit_on_input_error("look.py"):
        raise ValueError("one\ntwo")


def test_ctrl_c_ends_the_script_with_one_line(capsys):
    with pytest.raises(SystemExit) as ended, exit_on_input_error("look.py"):
        raise KeyboardInterrupt("Go on later.")
    assert ended.value.code == 130
    assert capsys.readouterr().err == "look.py: Stopped by Ctrl-C. Go on later.\n"


def test_sigterm_ends_the_script_with_one_line(capsys):
    with pytest.raises(SystemExit) as ended, exit_on_input_error("look.py"):
        os.kill(os.getpid(), signal.SIGTERM)
    assert ended.value.code == 143
    assert capsys.readouterr().err == "look.py: Stopped by SIGTERM.\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "code", "said"),
    [("well", 0, ""), ("wrong", 1, "command_ends.py, rank 1: no such word"), ("mistake", 1, "KeyError: 'a mistake'")],
)
def test_the_process_group_is_closed_however_a_command_ends(way, code, said):
    where = ("--master_addr", "127.0.0.1", "--master_port", free_port(), "--nproc_per_node", 2)
    started = launch(sys.executable, "-m", "torch.distributed.run", *where, SCENARIOS / "command_ends.py", way)
    output, _ = started.communicate(timeout=200)
    assert started.returncode == code, output
    assert said in output and "group is open: False" in output and "group is open: True" not in output, output
