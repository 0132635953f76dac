"""The programs on the page docs/serving.md run as they stand there, and all ways of generating write the same."""

import re
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "serving.md"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The names that the programs leave, run one after the other."""
    for name in ("onnxscript", "onnxruntime", "torchao"):
        pytest.importorskip(name, reason=f"the page uses {name}")
    folder = tmp_path_factory.mktemp("clone")
    (folder / "examples").symlink_to(ROOT / "examples")
    names: dict = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
            exec(compile(code, str(PAGE), "exec"), names)
    return names


@pytest.mark.parametrize("way", ["assisted", "looked_up", "static", "small_text"])
def test_every_way_of_generating_writes_the_same(program, way):
    assert torch.equal(program[way], program["plain"])


def test_the_loop_in_onnxruntime_writes_the_same(program):
    assert torch.equal(program["ids"], program["plain"])


def test_the_pipeline_writes_the_same_in_a_batch(program):
    assert program["texts"][0] == program["tokenizer"].decode(program["plain"][0], skip_special_tokens=True)


def test_every_test_of_the_table_is_there():
    names = set(re.findall(r"`(test_\w+\.py)`", PAGE.read_text(encoding="utf-8")))
    assert len(names) > 5 and names <= {path.name for path in (ROOT / "tests").rglob("test_*.py")}
