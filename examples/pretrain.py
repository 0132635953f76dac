"""Pretrains a Backpack, or a dense model to compare with, on text: tokenizer, packed blocks, the stock Trainer.

The same as `sensia pretrain`, for `python` and `accelerate launch` in a checkout, which need not be installed.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sensia.commands.pretrain import run

if __name__ == "__main__":
    run()
