"""`examples/adapt.py` measures on the held-out rows of a data set on the Hub, and says which those were."""

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow
ADAPT = Path(__file__).parents[2] / "examples" / "adapt.py"
DATA = "acme/bitext"
UPLOAD = """
import sys
from huggingface_hub import HfApi
api, (data, folder) = HfApi(), sys.argv[1:]
api.create_repo(data, repo_type="dataset")
api.upload_folder(folder_path=folder, repo_id=data, repo_type="dataset")
"""


@pytest.fixture(scope="module")
def published(client, bitext, tmp_path_factory):
    """48 pairs to train on and 8 to measure on, as the splits `train` and `dev`."""
    folder = tmp_path_factory.mktemp("upload")
    (folder / "upload.py").write_text(UPLOAD)
    for name in ("train", "dev"):
        pairs = pq.read_table(bitext / f"{name}.parquet", columns=["en", "id"])
        (folder / "data").mkdir(exist_ok=True)
        pq.write_table(pairs, folder / "data" / f"{name}.parquet")
    (folder / "data" / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    done = client(folder / "upload.py", DATA, folder / "data")
    assert done.returncode == 0, done.stderr[-3000:]


def adapt(client, base_model, output, *more):
    options = ["--model", base_model, "--train_data", DATA, "--target_language", "id", "--output_dir", output]
    options += [
        "--max_steps",
        "2",
        "--per_device_train_batch_size",
        "4",
        "--report_to",
        "none",
        "--disable_tqdm",
        "true",
    ]
    return client(ADAPT, *options, "--model_license", "mpl-2.0", *more)


@pytest.mark.usefixtures("published")
def test_the_held_out_split_is_found_and_named(client, base_model, tmp_path):
    done = adapt(client, base_model, tmp_path / "run", "--eval_data", f"dev={DATA}")
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"dev ({DATA}, split validation (found by its name)): kept 8 of 8 pairs" in done.stdout
    card = (tmp_path / "run/final/README.md").read_text(encoding="utf-8")
    assert "8 rows of `default/validation`" in card
    results = json.loads((tmp_path / "run/final/results.json").read_text())
    assert [data["name"] for data in results["datasets"]] == ["default/train", "default/validation"]
    assert results["evaluation"][0]["rows_trained_on"] == 0
    # The licence is that of the data set's card.
    warning = f"The chosen licence, mpl-2.0, is laxer than that of bitext {DATA}, split train, cc-by-nc-4.0"
    assert f"Warning: {warning}" in done.stdout and warning in card
    assert results["evaluation"][0]["license"] == "cc-by-nc-4.0"


@pytest.mark.usefixtures("published")
def test_the_train_split_is_measured_on_only_if_named_and_allowed(client, base_model, tmp_path):
    refused = adapt(client, base_model, tmp_path / "run", "--eval_data", f"dev={DATA}:train")
    assert refused.returncode != 0 and "Traceback" not in refused.stderr
    message = refused.stderr.splitlines()[-1]
    assert re.search(
        r"adapt.py: `eval_data` dev: (\d+) of \1 pairs \(rows 1, 2, .*, \.\.\.\) are also in the training data",
        message,
    )
    assert not list((tmp_path / "run").glob("checkpoint-*"))
    allowed = adapt(client, base_model, tmp_path / "run", "--eval_data", f"dev={DATA}:train", "--eval_overlap", "48")
    assert allowed.returncode == 0, allowed.stderr[-3000:]
    card = (tmp_path / "run/final/README.md").read_text(encoding="utf-8")
    assert re.search(r"(\d+) rows of `default/train`, of which \1 are also training rows", card)
    assert re.search(r"(\d+) of the \1 rows of dev are also training rows", card)
