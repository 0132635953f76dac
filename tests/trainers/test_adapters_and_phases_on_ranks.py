"""An adapter under FSDP2, and a curriculum whose phases end by evaluation, on two gloo ranks: all in one start."""

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from tests.trainers.scenarios import sensia_run
from tests.trainers.spawning import torchrun
from tests.trainers.test_sharded_training import SHARDED

pytestmark = pytest.mark.slow

COMMON = {"adam_epsilon": 1e-2, "warmup_steps": 0, "save_strategy": "steps", "save_steps": 2}
KINDS = {
    "lora": {"lora": True, "polish_freeze": "none", "max_steps": 5},
    "adaptive": {
        "schedule": "adaptive",
        "adaptive_bounds": [0.1, 0.45],
        "adaptive_patience": 1,
        "adaptive_min_delta": 0.9,  # no recall rises as much: a phase ends as soon as it may
        "polish_freeze": "sense_vectors",
        "eval_strategy": "steps",
        "eval_steps": 2,
        "max_steps": 8,
    },
}
OF_RANKS = {"lora": SHARDED, "adaptive": {}}
LOSSES = ("loss", "loss_ctx", "loss_sns", "loss_lm", "grad_norm", "weight_lm", "phase")


def settings(folder, kind, pairs, **more):
    return {**COMMON, **KINDS[kind], "output_dir": str(folder), "per_device_train_batch_size": pairs, **more}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of each kind: one process on the joined batch, two ranks, and these once more from their second checkpoint."""
    root = tmp_path_factory.mktemp("ranks")
    runs = []
    for kind in KINDS:
        sensia_run.run(settings(root / "alone" / kind, kind, 8))
        joined = settings(root / "joined" / kind, kind, 4, **OF_RANKS[kind])
        again = {**joined, "output_dir": str(root / "resumed" / kind), "resume": f"{root}/joined/{kind}/checkpoint-4"}
        runs += [joined, again]
    torchrun(2, "sensia_run.py", json.dumps(runs))
    return root


def history(folder):
    return json.loads((folder / "history.json").read_text())["history"]


@pytest.mark.parametrize("kind", KINDS)
def test_losses_and_phases_are_those_of_one_process(folder, kind):
    found, expected = history(folder / "joined" / kind), history(folder / "alone" / kind)
    assert len(found) == KINDS[kind]["max_steps"]
    for ours, theirs in zip(found, expected, strict=True):
        for name in LOSSES:
            assert ours[name] == pytest.approx(theirs[name], rel=1e-4, abs=1e-6), (ours["step"], name)


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_is_that_of_one_process(folder, kind):
    found, expected = (load_file(folder / name / kind / "final/model.safetensors") for name in ("joined", "alone"))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(folder, kind):
    losses = [
        [(entry["step"], entry["loss"], entry["phase"]) for entry in history(folder / name / kind)]
        for name in ("joined", "resumed")
    ]
    assert losses[0] == losses[1]
    weights = [load_file(folder / name / kind / "final/model.safetensors") for name in ("joined", "resumed")]
    assert all(torch.equal(weights[1][name], value) for name, value in weights[0].items())


def test_evaluations_end_the_phases(folder):
    assert [entry["phase"] for entry in history(folder / "joined/adaptive")] == [0] * 4 + [1] * 2 + [2] * 2


def test_only_the_adapter_has_learned(folder):
    parameters = torch.load(folder / "joined/lora/trace_0.pt", weights_only=True)["parameters"]
    changed = {name for name, value in parameters[0].items() if not torch.equal(parameters[-1][name], value)}
    assert changed and all("lora_" in name for name in changed)


def test_the_merged_model_and_the_adapter_are_saved(folder):
    model, info = AutoModelForCausalLM.from_pretrained(folder / "joined/lora/final", output_loading_info=True)
    assert not any(info.values()), info
    assert model.lm_head.weight is model.get_input_embeddings().weight
    assert (folder / "joined/lora/final/adapter/adapter_model.safetensors").is_file()
    assert not (folder / "joined/lora/checkpoint-4/model.safetensors").exists()
