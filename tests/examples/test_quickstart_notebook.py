"""The notebook runs from its first cell to its last, and shows what it promises."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "examples").symlink_to(ROOT / "examples")
    notebook = nbformat.read(ROOT / "examples/quickstart.ipynb", as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        NotebookClient(
            notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": folder}}
        ).execute()
    return notebook


def test_recall_rises(notebook):
    (line,) = [line for line in printed(notebook).splitlines() if line.startswith("sense_recall@1")]
    before, after = map(float, line.removeprefix("sense_recall@1").split("->"))
    assert after > before


def test_it_shows_senses_and_text(notebook):
    assert "sense 0:" in printed(notebook) and "Untuk menyimpan dokumen," in printed(notebook)


def test_it_is_kept_without_outputs():
    kept = nbformat.read(ROOT / "examples/quickstart.ipynb", as_version=4)
    assert not [cell for cell in kept.cells if cell.cell_type == "code" and (cell.outputs or cell.execution_count)]


def printed(notebook) -> str:
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return "".join(output.get("text", "") for output in outputs)
