"""Runs of examples/adapt.py for gpu.py: the quickstart, started by accelerate in a process of its own."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gpu_report import NotRun
from gpu_setup import ROOT, Setup

QUICKSTART = ("--config", "examples/configs/quickstart.yaml", "--report_to", "none", "--disable_tqdm", "true")


def adapt(setup: Setup, launch: Sequence[str], options: Sequence[str] = ()) -> dict[str, Any]:
    """
    Args:
        setup ([`Setup`]): whose time budget ends the run.
        launch (`Sequence` of `str`): options of `accelerate launch`.
        options (`Sequence` of `str`, *optional*): settings other than the quickstart's.

    Returns:
        `dict`: the run's results.json.

    Raises:
        NotRun: if the run takes longer than the time that is left.
        RuntimeError: if it fails, with its last line.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "accelerate.commands.launch", "--quiet", *launch, "examples/adapt.py"]
        command += [*QUICKSTART, "--output_dir", folder, *options]
        try:
            run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=setup.seconds_left)
        except subprocess.TimeoutExpired as error:
            raise NotRun("it would have taken longer than the time that was left") from error
        if run.returncode:
            last = next((line for line in reversed(run.stderr.splitlines()) if line.strip()), "no message")
            raise RuntimeError(f"examples/adapt.py ended with {run.returncode}: {last.strip()}")
        return json.loads(Path(folder, "final", "results.json").read_text(encoding="utf-8"))


__all__ = ["adapt"]
