"""Runs examples/reproduce.py of a checkout, which measures the claims of the paper."""

import runpy
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def run():
    """
    Carries out the command.

    Raises:
        SystemExit: with one line, in an installation from a wheel, which holds no plans and no results.
    """
    script = CHECKOUT / "examples" / "reproduce.py"
    if not script.is_file():
        raise SystemExit(
            "sensia reproduce: the plans and results are not part of the installed package. Clone the repository and "
            "give the same command there."
        )
    sys.path.insert(0, str(script.parent))
    runpy.run_path(str(script), run_name="__main__")
