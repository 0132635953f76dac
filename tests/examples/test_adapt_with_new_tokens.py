"""One short run of adapt.py that adds tokens for the target language, then the same command again."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from adaptation_runs import ROOT, adapt, write_bitext
from transformers import AutoModelForCausalLM, AutoTokenizer

pytestmark = pytest.mark.slow

EXTEND = ("--target_tokenizer", "extend", "--new_tokens", "30", "--save_steps", "1", "--bf16", "false")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("new_tokens")
    write_bitext(folder)
    adapt(folder, *EXTEND)
    return folder / "run"


def read_results(folder):
    return json.loads((folder / "final/results.json").read_text(encoding="utf-8"))


def test_results_and_card_tell_what_a_sentence_takes(run):
    change = read_results(run)["tokenizer"]
    assert change["new_tokens"] == 30
    of_source = [change[when]["source"]["tokens_per_sentence"] for when in ("before", "after")]
    assert of_source[0] == pytest.approx(of_source[1], rel=0.01)
    card = (run / "final/README.md").read_text(encoding="utf-8")
    before, after = (change[when]["target"]["tokens_per_sentence"] for when in ("before", "after"))
    assert f"| Tokens a sentence, Indonesian | {before:.2f} | {after:.2f} |" in card


def test_before_is_the_base_model_with_its_own_tokenizer(run, tmp_path):
    write_bitext(tmp_path)
    adapt(tmp_path, "--bf16", "false")
    before, of_base = (read_results(each)["evaluation"][0]["before"] for each in (run, tmp_path / "run"))
    assert before == pytest.approx(of_base, rel=1e-4)


def test_the_model_loads_by_stock_classes(run):
    tokenizer = AutoTokenizer.from_pretrained(run / "final", trust_remote_code=False)
    model = AutoModelForCausalLM.from_pretrained(run / "final")
    assert len(tokenizer) == model.config.vocab_size == 8192 + 30


def test_an_interrupted_run_ends_as_the_whole_one(run):
    whole = read_results(run)["evaluation"][0]["after"]
    for name in ("final", "checkpoint-3"):
        shutil.rmtree(run / name)
    printed = adapt(run.parent, *EXTEND)
    assert "Resuming from" in printed
    assert read_results(run)["evaluation"][0]["after"] == pytest.approx(whole, rel=1e-5)


def test_the_command_prunes_the_adapted_model(run, tmp_path):
    words = ["--target_tokenizer", "prune", "--model", str(run / "final"), "--target_language", "id"]
    words += ["--train_data", str(run.parent / "train.jsonl"), "--output_dir", str(tmp_path / "small")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "examples/tokenizer.py", *words]
    printed = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert printed.returncode == 0, printed.stderr[-2000:]
    smaller = AutoModelForCausalLM.from_pretrained(tmp_path / "small")
    assert smaller.config.vocab_size < 2000
    assert f"{smaller.config.vocab_size:,} tokens" in printed.stdout
