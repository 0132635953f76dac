"""Studies the senses of a Backpack across two languages: mixture, ablations, meanings and geometry, in one JSON file.

The same as `sensia study`, for `python` and `accelerate launch` in a checkout, which need not be installed.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sensia.commands.study_senses import run

if __name__ == "__main__":
    run()
