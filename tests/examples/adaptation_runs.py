"""Short runs of adapt.py with the embedded model, as a user starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

from sensia.corpora import read_pairs

ROOT = Path(__file__).resolve().parents[2]
BITEXT = ROOT / "examples/assets/bitext/en-id.dev-indomain.parquet"


def write_bitext(folder):
    """50 pairs to train on and 30 to measure on."""
    rows = read_pairs(str(BITEXT), source_language="en", target_language="id").select(range(80))
    for name, part in (("train", rows.select(range(50))), ("dev", rows.select(range(50, 80)))):
        lines = [json.dumps({"translation": {"en": row["source"], "id": row["target"]}}) + "\n" for row in part]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


def adapt(folder, *more):
    """Three steps on the bitext in a folder, into `run` in it; gives what was printed."""
    settings = {"--train_data": folder / "train.jsonl", "--output_dir": folder / "run", "--max_steps": 3}
    options = [str(word) for pair in settings.items() for word in pair]
    options += ["--eval_data", f"dev={folder / 'dev.jsonl'}", "--prompts", "Simpan"]
    return adapt_as_quickstart(*options, *more)


def adapt_as_quickstart(*options):
    """The quickstart with other settings, and no new tokens, which so few pairs do not teach."""
    small = ("--per_device_train_batch_size", "8", "--disable_tqdm", "true", "--report_to", "none")
    if "--target_tokenizer" not in options:
        small += ("--target_tokenizer", "none", "--new_token_learning_rate", "null")
    command = [sys.executable, "examples/adapt.py", "--config", "examples/configs/quickstart.yaml", *small, *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout
