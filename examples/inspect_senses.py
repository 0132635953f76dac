"""Shows the senses of words, and which senses counted for each token of a sentence.

The same as `sensia inspect`, for `python` and `accelerate launch` in a checkout, which need not be installed.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sensia.commands.inspect_senses import run

if __name__ == "__main__":
    run()
