"""Python code in a process of its own, which knows nothing of the one that runs the tests."""

import os
import subprocess
import sys


def run_fresh(code, *arguments, folder):
    """Runs `code` in `folder`, off line, with its own cache of remote code."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hub"), "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout
