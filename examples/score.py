"""Scores a model, Backpack or dense, on tasks, and writes what came out with what it was measured on.

The same as `sensia score`, for `python` and `accelerate launch` in a checkout, which need not be installed.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sensia.commands.score import run

if __name__ == "__main__":
    run()
