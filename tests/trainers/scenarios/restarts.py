"""Runs that are killed and started again. The argument is a JSON list of starts: settings of `sensia_run.run`, and

- `kill_at_step`: the process kills itself after so many steps;
- `kill_at_write`: [n, step]: it kills itself at the n-th change that it makes to files of the checkpoint of that step.

Each start is a process of its own, forked here so that libraries are imported once, and ends by itself or by SIGKILL.
Printed as the last line: of each start the exit code, and which checkpoints there were then, half-written ones too.
"""

import json
import os
import signal
import sys
from pathlib import Path

from transformers import TrainerCallback

from tests.trainers.scenarios.sensia_run import run


class KillAtStep(TrainerCallback):
    """Ends the process as a power cut would, when a step is done."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def kill_at_write(number: int, step: int):
    """Kills this process in the middle of writing a checkpoint."""
    seen = 0

    def watch(event: str, arguments: tuple):
        nonlocal seen
        changes = event in ("os.mkdir", "os.rename", "os.remove") or (event == "open" and "w" in str(arguments[1]))
        if changes and f"checkpoint-{step}" in str(arguments[0]):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def start(settings: dict) -> tuple[int, list[str]]:
    """Runs in a process of its own; its exit code, or minus the signal that ended it, and what checkpoints it left."""
    sys.stdout.flush()
    if child := os.fork():
        code, output = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), Path(settings["output_dir"])
        return code, sorted(path.relative_to(output).as_posix() for path in output.rglob("checkpoint-*"))
    step, write = settings.pop("kill_at_step", None), settings.pop("kill_at_write", None)
    if write:
        kill_at_write(*write)
    code = 1
    try:
        run(settings, *([KillAtStep(step)] if step else []))
        code = 0
    finally:
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    print(json.dumps([start(settings) for settings in json.loads(sys.argv[1])]))
