"""The wheel, installed beside folders of somebody else's that are named like ours, adapts a model."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the wheel's packages, and links to all libraries but an installed copy of ours."""
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", folder, ROOT]
    done = subprocess.run(build, capture_output=True, text=True, timeout=300)
    if "setuptools" in done.stderr and done.returncode:
        done = subprocess.run(
            [each for each in build if each != "--no-build-isolation"], capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = folder.glob("sensia-*.whl")
    site = folder / "site-packages"  # by this name, pickling knows libraries
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "-q", "--target", site, wheel]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for path in Path(place).iterdir():
            if not (site / path.name).exists() and not path.name.startswith(("sensia", "__editable__")):
                (site / path.name).symlink_to(path)
    return site


def test_three_steps_are_made_beside_modules_of_the_same_names(installed, tmp_path):
    for name in ("evaluation.py", "corpora.py", "trainers/__init__.py", "model_cards.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("raise RuntimeError('a module of somebody else')\n")
    words = [
        "adapt",
        "--config",
        "quickstart",
        "--target_tokenizer",
        "none",
        "--new_token_learning_rate",
        "null",
        "--max_steps",
        "3",
        "--max_train_pairs",
        "200",
        "--eval_strategy",
        "no",
    ]
    words += ["--eval_on_start", "false", "--save_strategy", "no", "--prompts", "Virus ini", "--output_dir", "run"]
    environment = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-S", "-m", "sensia", *words]  # without `site`, no other copy is found
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "run/final/README.md").exists()
