"""The page to play with, as a Hugging Face Space and in a checkout: `python examples/space/app.py`."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# In a Space our packages lie beside this file, in a checkout two folders above it.
sys.path.insert(0, str(HERE if (HERE / "sensia").is_dir() else HERE.parents[1]))

from sensia.commands.space import run  # noqa: E402

if __name__ == "__main__":
    settings = HERE / "space.yaml"  # written by `sensia space --push`
    if settings.is_file():
        sys.argv[1:1] = ["--config", str(settings)]
    run()
