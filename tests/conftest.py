"""Lets every test import the packages and the local Hub, however pytest was started."""

import sys
from pathlib import Path

TESTS = Path(__file__).parent
# The root has to be there too: in tests/ alone, the folder tests/corpora would be taken for the package.
for folder in (TESTS, TESTS.parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
