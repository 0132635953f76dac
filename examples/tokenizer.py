"""Gives a Backpack a tokenizer for another language, or prunes the one it has.

The same as `sensia tokenizer`, for `python` and `accelerate launch` in a checkout, which need not be installed.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sensia.commands.tokenizer import run

if __name__ == "__main__":
    run()
