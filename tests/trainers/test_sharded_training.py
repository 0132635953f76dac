"""Training sharded over two gloo processes by FSDP2, all runs in one start."""

import json

import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from sensia.trainers.checkpoints import is_whole
from tests.trainers.scenarios import sensia_run
from tests.trainers.spawning import ROOT, torchrun

pytestmark = pytest.mark.slow

# What the users' configuration wraps, as the Trainer wants to be told.
LAYERS = yaml.safe_load((ROOT / "sensia/accelerate/fsdp2.yaml").read_text())["fsdp_config"]
SHARDED = {
    "fsdp": True,
    "fsdp_config": {
        "version": LAYERS["fsdp_version"],
        "auto_wrap_policy": LAYERS["fsdp_auto_wrap_policy"],
        "transformer_layer_cls_to_wrap": LAYERS["fsdp_transformer_layer_cls_to_wrap"].split(","),
        "state_dict_type": LAYERS["fsdp_state_dict_type"],
        "reshard_after_forward": LAYERS["fsdp_reshard_after_forward"],
    },
}
COMMON = {
    "max_steps": 5,
    "pairs": 29,
    "adam_epsilon": 1e-2,
    "warmup_steps": 0,
    "dropout": 0.0,
    "source_kl_weight": 0.5,
}
FROZEN = {
    "sense_network": ("backpack.sense_network", "backpack.weight_network"),
    "sense_vectors": ("backpack.sense_network", "backpack.trunk.wte"),
    "none": (),
}
POLISH = 3  # steps done before it begins


def settings(folder, kind, **more):
    return {**COMMON, "output_dir": str(folder / kind), "polish_freeze": kind, **more}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One run for each kind of polish, sharded; and the first of them once more from its checkpoint in the middle."""
    root = tmp_path_factory.mktemp("sharded")
    sharded = {"per_device_train_batch_size": 4, "save_strategy": "steps", "save_steps": 2, **SHARDED}
    runs = [settings(root, kind, **sharded) for kind in FROZEN]
    again = {**runs[0], "output_dir": str(root / "resumed"), "resume": f"{runs[0]['output_dir']}/checkpoint-2"}
    torchrun(2, "sensia_run.py", json.dumps([*runs, again]))
    sensia_run.run(settings(root / "alone", "sense_network", per_device_train_batch_size=8))
    return root


def history(folder):
    return json.loads((folder / "history.json").read_text())["history"]


def trace(folder):
    return torch.load(folder / "trace_0.pt", weights_only=True)


def test_losses_and_gradient_norms_are_those_of_one_process(folder):
    pairs = zip(history(folder / "sense_network"), history(folder / "alone/sense_network"), strict=True)
    for ours, expected in pairs:
        for name in ("loss", "loss_ctx", "loss_sns", "loss_lm", "loss_kl", "grad_norm", "entropy_target"):
            assert ours[name] == pytest.approx(expected[name], rel=1e-4, abs=1e-6), (ours["step"], name)


def test_gradients_and_parameters_are_those_of_one_process(folder):
    ours, expected = trace(folder / "sense_network"), trace(folder / "alone/sense_network")
    for kind in ("gradients", "parameters"):
        for given, wanted in zip(ours[kind], expected[kind], strict=True):
            torch.testing.assert_close(given, wanted, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("kind", FROZEN)
def test_polish_changes_no_bit_of_what_is_frozen_and_something_of_all_else(folder, kind):
    found = trace(folder / kind)
    before, after = found["parameters"][POLISH - 1], found["parameters"][-1]
    for name, value in before.items():
        assert torch.equal(after[name], value) == name.startswith(FROZEN[kind] or "-"), name


def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(folder):
    assert is_whole(folder / "sense_network/checkpoint-2")
    losses = [
        [(entry["step"], entry["loss"], entry["grad_norm"]) for entry in history(folder / name)]
        for name in ("sense_network", "resumed")
    ]
    assert len(losses[0]) == 5 and losses[1] == losses[0]
    weights = [load_file(folder / name / "final/model.safetensors") for name in ("sense_network", "resumed")]
    assert all(torch.equal(weights[1][name], value) for name, value in weights[0].items())


def test_the_saved_model_is_whole_and_tied(folder):
    model, info = AutoModelForCausalLM.from_pretrained(folder / "sense_network/final", output_loading_info=True)
    assert not any(info.values()), info
    assert model.lm_head.weight is model.get_input_embeddings().weight
    last = trace(folder / "sense_network")["parameters"][-1]
    for name, value in model.named_parameters():
        assert torch.equal(value, last[name]), name


def test_the_saved_model_carries_its_own_code(folder):
    final = folder / "sense_network/final"
    auto_map = json.loads((final / "config.json").read_text())["auto_map"]
    assert auto_map["AutoModelForCausalLM"] == "modeling_backpack.BackpackForCausalLM"
    saved = {path.name for path in final.glob("*.py")}
    assert "modeling_backpack.py" in saved and not any("fsdp" in name for name in saved)
