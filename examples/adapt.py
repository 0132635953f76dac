"""Adapts an English Backpack to another language with SENSIA, measures it before and after, and writes its card.

The same as `sensia adapt`, for `python` and `accelerate launch` in a checkout, which need not be installed.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sensia.commands.adapt import run

if __name__ == "__main__":
    run()
