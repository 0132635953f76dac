"""The examples run from a checkout whose libraries are installed and which itself is not."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from small_backpacks import save, small_backpack, small_tokenizer

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


def copy_of_the_checkout(folder):
    """The code, without what `pip install -e` writes beside it."""
    folder.mkdir()
    for path in (ROOT / "pyproject.toml", *ROOT.glob("examples/*.py")):
        (folder / path.relative_to(ROOT)).parent.mkdir(exist_ok=True)
        shutil.copy2(path, folder / path.relative_to(ROOT))
    for name in ("sensia", "modeling_sensia", "trainers", "corpora", "evaluation", "model_cards"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def python(tmp_path):
    """Runs Python with all that is installed but Sensia."""
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    for folder in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for path in Path(folder).iterdir():
            if not path.name.startswith(("sensia", "__editable__")):
                (libraries / path.name).symlink_to(path)
    checkout = copy_of_the_checkout(tmp_path / "checkout")
    environment = {**os.environ, "PYTHONPATH": f"{checkout}{os.pathsep}{libraries}", "OMP_NUM_THREADS": "1"}

    def run(*words):
        # Without the module `site` no other installed package is found.
        command = [sys.executable, "-S", *map(str, words)]
        return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=300)

    return run


def test_a_model_is_scored(python, tmp_path):
    tokenizer = small_tokenizer()
    model = save(tmp_path / "model", small_backpack(tokenizer, 4, 0), tokenizer)
    (tmp_path / "rated.tsv").write_text("open\tclose\t5\nfile\tdocument\t9\nyes\tno\t3\n", encoding="utf-8")
    found = python("-c", "from importlib.metadata import version; version('sensia')")
    assert "PackageNotFoundError" in found.stderr, "Sensia is not installed here"
    task, output = f"wordsim={tmp_path / 'rated.tsv'}", tmp_path / "scores.json"
    scored = python("examples/score.py", "--model", model, "--tasks", task, "--output", output)
    assert scored.returncode == 0, scored.stderr[-2000:]
    assert json.loads(output.read_text(encoding="utf-8"))["versions"]["sensia"]


@pytest.mark.parametrize("script", ["adapt", "align_dense", "inspect_senses", "pretrain", "steer", "study_senses"])
def test_a_script_starts(python, script):
    started = python(f"examples/{script}.py", "--help")
    assert started.returncode == 0 and "--config FILE.yaml" in started.stdout, started.stderr[-2000:]
