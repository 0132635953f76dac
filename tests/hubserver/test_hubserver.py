"""The local Hub's own flows, in a process where its address is set before any client is imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
FLOWS = Path(__file__).with_name("flows.py")


def test_genuine_clients_work_against_the_local_hub(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PYTEST_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path}", str(FLOWS)]
    done = subprocess.run(
        command, cwd=FLOWS.parents[2], env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
