"""One short run of adapt.py with the embedded model, then the same command again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from corpora import clean_pairs, read_pairs
from evaluation import evaluate_bitext
from trainers.adaptation import load_base

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
BITEXT = ROOT / "examples/assets/bitext/en-id.dev-indomain.parquet"


def adapt(folder):
    settings = {"--train_data": folder / "train.jsonl", "--output_dir": folder / "run", "--max_steps": 3}
    options = [str(word) for pair in settings.items() for word in pair]
    options += ["--eval_data", f"dev={folder / 'dev.jsonl'}", "--disable_tqdm", "true", "--report_to", "none"]
    options += ["--per_device_train_batch_size", "8", "--prompts", "Simpan"]
    command = [sys.executable, "examples/adapt.py", "--config", "examples/configs/quickstart.yaml", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout, json.loads((folder / "run/final/results.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapt")
    rows = read_pairs(str(BITEXT), source_language="en", target_language="id").select(range(80))
    for name, part in (("train", rows.select(range(50))), ("dev", rows.select(range(50, 80)))):
        lines = [json.dumps({"translation": {"en": row["source"], "id": row["target"]}}) + "\n" for row in part]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder, adapt(folder), adapt(folder)


def test_numbers_are_those_of_the_saved_model(runs):
    folder, (_, results), _ = runs
    model, tokenizer = load_base(str(folder / "run/final"))
    rows = read_pairs(str(folder / "dev.jsonl"), source_language="en", target_language="id")
    pairs, _ = clean_pairs(rows, tokenizer, max_length=256)
    measured = evaluate_bitext(model, tokenizer, pairs, pooling_temperature=0.7)
    assert results["evaluation"][0]["after"] == pytest.approx(measured, rel=1e-4)


def test_results_name_no_folder(runs):
    folder, (_, results), _ = runs
    assert str(folder) not in json.dumps(results) and "train.jsonl" in results["command"]


def test_printed_numbers_stand_in_the_card(runs):
    folder, (printed, _), _ = runs
    card = (folder / "run/final/README.md").read_text(encoding="utf-8")
    table = [line.split("│")[1:4] for line in printed.splitlines() if line.startswith("│")]
    assert len(table) == 10
    for label, before, after in table:
        row = next(line for line in card.splitlines() if line.startswith(f"| {label.strip()}"))
        assert [cell.strip() for cell in row.split("|")[2:4]] == [before.strip(), after.strip()]


def test_the_same_command_again_trains_no_further_and_finds_the_same(runs):
    _, (_, first), (printed, second) = runs
    assert "Resuming from" in printed
    assert second["training"]["steps"] == first["training"]["steps"] == 3
    assert second["training"]["history"] == first["training"]["history"]
    for before, after in zip(first["evaluation"], second["evaluation"], strict=True):
        assert after["after"] == pytest.approx(before["after"], rel=1e-4)
