"""Predicted memory and time of several GPUs, against what is counted of a step and what one process takes."""

import importlib
import sys
from pathlib import Path

import pytest

from modeling_sensia import BackpackConfig, BackpackForCausalLM
from sensia.trainers.step_flops import flop_counter

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def modules(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield importlib.import_module("scaling"), importlib.import_module("training_memory")
    for name in ("scaling", "training_memory", "training_setup", "sense_memory", "trunk_sizes"):
        sys.modules.pop(name, None)


def small_model(width=96):
    trunk = {"vocab_size": 211, "n_positions": 64, "n_embd": width, "n_layer": 3, "n_head": 4}
    return BackpackForCausalLM(BackpackConfig(trunk_config=trunk, num_senses=4))


def plan_of(scaling, memory, pairs=8, **options):
    batch = memory.BatchSizes(rows=9, length=40, tokens=150, predicted=120)
    return scaling.plan(small_model(), pairs, batch, batch, **options)


def test_the_operations_are_those_that_are_counted(modules, tmp_path):
    scaling, memory = modules
    tokenizer = memory.load_tokenizer(None)
    batch = memory.make_batches(memory.load_pairs(None, tokenizer, 16), tokenizer, 16, 256)[0]
    model = memory.build_model("mini", "sdpa")
    sizes = memory.BatchSizes.of(batch)
    trainer = memory.make_trainer(model, tokenizer, str(tmp_path), per_device_train_batch_size=16)
    samples, items = trainer.get_batch_samples(iter([batch]), 1, trainer.args.device)
    with flop_counter() as counter:
        trainer.training_step(model, samples[0], items)
    predicted = scaling.step_flops(scaling.plan(model, 16, sizes, sizes))
    assert predicted == pytest.approx(counter.get_total_flops(), rel=0.01)


def test_a_batch_takes_what_the_prediction_of_one_process_says(modules):
    scaling, memory = modules
    plan = plan_of(scaling, memory)
    parts = memory.predict(plan.config, plan.largest).parts
    kept = sum(parts[name] for name in ("trunk", "sense network", "mixing", "bf16 weights", "loss"))
    gradient_of_head = 4 * plan.sizes["embeddings"]  # counted with the gradients here
    found = scaling.activation_bytes(plan) + scaling.autocast_bytes(plan, "DDP")
    assert found == pytest.approx(kept - gradient_of_head, rel=1e-6)


@pytest.mark.parametrize("gpus", [2, 8])
def test_sharded_state_is_a_share_of_sixteen_bytes_a_parameter_and_what_is_gathered(modules, gpus):
    scaling, memory = modules
    plan = plan_of(scaling, memory)
    gathered = scaling.state_bytes(plan, "FSDP2", 10**12)
    total = plan.sizes["total"]
    assert scaling.state_bytes(plan, "FSDP2", gpus) == pytest.approx(gathered + 16 * total / gpus, abs=1)
    assert scaling.state_bytes(plan, "DDP", gpus) == 20 * total


def test_each_gpu_compares_its_pairs_with_those_of_all(modules):
    scaling, memory = modules
    plan = plan_of(scaling, memory)
    vectors, similarities = 4 * (16 * 96), 4 * 3 * (8 * 16)  # of two kinds and two sides, over 2 GPUs of 8 pairs
    assert scaling.contrast_bytes(plan, 2) == 4 * (vectors + similarities)


def test_a_ring_sends_each_gradient_nearly_twice(modules):
    scaling, memory = modules
    plan = plan_of(scaling, memory)
    assert scaling.sent_bytes(plan, "DDP", 1) == 0
    assert scaling.sent_bytes(plan, "DDP", 4) == pytest.approx(2 * 3 / 4 * 4 * plan.sizes["total"])


def test_layers_that_are_computed_again_keep_their_inputs_and_one_layer(modules):
    scaling, memory = modules
    whole, again = plan_of(scaling, memory), plan_of(scaling, memory, checkpointing=True)
    places = 9 * 40
    block = places * (4 * 2 * 96 + 2 * 14 * 96 + 4 * 4)
    saved = 3 * block - (3 * 4 * places * 96 + block)
    assert scaling.activation_bytes(whole) - scaling.activation_bytes(again) == saved


def test_the_slower_of_arithmetic_and_sending_decides(modules):
    scaling, memory = modules
    plan = plan_of(scaling, memory)
    fast, slow = (scaling.predict(plan, "DDP", scaling.Machine(4, link=link)) for link in (1e15, 1e6))
    assert fast["pairs/s"] == pytest.approx(4 * 8 / fast["arithmetic"])
    assert slow["pairs/s"] == pytest.approx(4 * 8 / slow["sending"])


def test_the_public_sizes_are_planned_without_memory(modules):
    scaling, _ = modules
    plan = scaling.plan_of("GPT-2 small", 32)
    assert plan.sizes["total"] == 170_471_424
    assert plan.largest.rows == round(scaling.LARGEST.rows / 2)
    assert plan.sizes["multiplied"] == 12 * 12 * 768**2
