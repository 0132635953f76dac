"""Steers a Backpack by its senses and prints what that does as JSON: a topic, a swap of knowledge, a bias.

The same as `sensia steer`, for `python` and `accelerate launch` in a checkout, which need not be installed.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sensia.commands.steer import run

if __name__ == "__main__":
    run()
