"""A dense model from its pretraining to aligned weights and scores, by the scripts that a user starts."""

import json
import os
import subprocess
import sys

import pytest
import yaml
from adaptation_runs import ROOT, write_bitext
from transformers import AutoModelForCausalLM

pytestmark = pytest.mark.slow
SIZES = {"num_senses": 0, "hidden_size": 16, "num_layers": 4, "num_heads": 2, "vocabulary_size": 300}
TRAINING = {"use_cpu": True, "report_to": "none", "disable_tqdm": True, "max_steps": 2, "logging_steps": 1}


def run(script, folder, *more):
    command = [sys.executable, f"examples/{script}.py", "--config", str(folder / f"{script}.yaml"), *map(str, more)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dense")
    write_bitext(folder)
    (folder / "texts.txt").write_text((ROOT / "README.md").read_text(encoding="utf-8"), encoding="utf-8")
    pretraining = {
        **SIZES,
        "num_positions": 128,
        "texts": [str(folder / "texts.txt")],
        "output_dir": str(folder / "base"),
    }
    settings = {
        "pretrain": {**pretraining, **TRAINING, "per_device_train_batch_size": 4, "output_dir": str(folder / "base")},
        "align_dense": {
            **TRAINING,
            "model": str(folder / "base/final"),
            "train_data": str(folder / "train.jsonl"),
            "target_language": "id",
            "output_dir": str(folder / "run"),
            "per_device_train_batch_size": 8,
            "max_length": 128,
            "representation": "mean",
            "polish_freeze": "none",
            "eval_data": [f"dev={folder / 'dev.jsonl'}"],
            "eval_strategy": "steps",
            "eval_steps": 1,
            "prompts": ["Simpan"],
        },
        "score": {"suite": {"dev": {"kind": "bitext", "source": str(folder / "dev.jsonl"), "layer": 2}}},
    }
    for name, values in settings.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    pretrained = run("pretrain", folder)
    assert pretrained.returncode == 0, pretrained.stderr[-3000:]
    return folder


def test_it_is_aligned_saved_as_what_it_is_described_and_scored(folder):
    done = run("align_dense", folder)
    assert done.returncode == 0, done.stderr[-3000:]
    assert AutoModelForCausalLM.from_pretrained(folder / "run/final").config.model_type == "gpt2"
    results = json.loads((folder / "run/final/results.json").read_text(encoding="utf-8"))
    (evaluation,) = results["evaluation"]
    assert evaluation["before"]["perplexity"] != evaluation["after"]["perplexity"] > 1
    assert not any("entropy" in name for name in evaluation["after"]) and results["samples"][0]["prompt"] == "Simpan"
    assert [entry["step"] for entry in results["training"]["evaluations"]] == [1, 2]
    card = (folder / "run/final/README.md").read_text(encoding="utf-8")
    assert "A dense language model adapted from English to Indonesian" in card and "the mean of its states" in card
    assert "trust_remote_code" not in card and "get_senses" not in card and "modeling_sensia" not in card
    assert "dev: tokens, " in done.stdout and "a word of Indonesian" in done.stdout
    assert results["model"]["num_senses"] == 0 and results["training"]["history"][-1]["loss_ctx"] > 0
    scored = run("score", folder, "--model", folder / "run/final", "--output", folder / "scores.json")
    assert scored.returncode == 0, scored.stderr[-3000:]
    assert "mean_recall@1" in json.loads((folder / "scores.json").read_text())["tasks"]["dev"]["metrics"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("--representation", "senses"), "`representation` must be one of last_token, mean"),
        (("--dropout", "0.1"), "`dropout` means nothing to dense alignment"),
        (("--polish_freeze", "sense_network"), "`polish_freeze` must be none"),
        (("--tau_pool", "9"), "`tau_pool` must be 0.7"),
        (("--use_peft", "true"), "`use_peft` means nothing to dense alignment"),
        (("--push_to_hub", "true", "--hub_model_id", "a/b"), "`push_to_hub` means nothing to dense alignment"),
        (("--middle_layer", "5"), "`middle_layer` must be at most 4, the last layer, got 5"),
    ],
)
def test_wrong_input_ends_with_one_line(folder, settings, message):
    done = run("align_dense", folder, *settings, "--output_dir", folder / "wrong")
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr
