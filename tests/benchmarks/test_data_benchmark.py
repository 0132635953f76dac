"""The benchmark of data runs, and says every stage of every size."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_every_stage_of_every_size_is_told():
    command = [sys.executable, ROOT / "benchmarks/data.py", "--sizes", "300", "600"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    stages = [line.split(" | ")[:2] for line in done.stdout.splitlines()[2:]]
    names = ["read", "tokenize", "plan", "second start", "memory, first and second start"]
    assert stages == [[f"| {size}", name] for size in (300, 600) for name in names]
