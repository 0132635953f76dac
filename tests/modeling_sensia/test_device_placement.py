"""Models that do not fit: weights on disk or in memory beside the device, as accelerate places them."""

import copy

import pytest
import torch
from accelerate import (
    cpu_offload,
    dispatch_model,
    infer_auto_device_map,
    init_empty_weights,
    load_checkpoint_and_dispatch,
)
from tiny_backpacks import padded_batch, tiny_backpack, tiny_config, token_ids
from transformers import AutoModelForCausalLM, GenerationConfig

from modeling_sensia import BackpackForCausalLM

IDS, MASK = padded_batch([token_ids(7, seed=1), token_ids(4, seed=2)], "left")
NETWORKS = ("backpack.sense_network", "backpack.weight_network")
BLOCKS = {"gpt2": "backpack.trunk.h.", "llama": "backpack.trunk.layers."}


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def model(request):
    return tiny_backpack(tiny_config(request.param, num_senses=8), seed=3)


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    place = tmp_path_factory.mktemp("saved")
    model.save_pretrained(place, max_shard_size="60KB")
    return place


@pytest.fixture
def load(folder, tmp_path):
    def load(**placement):
        return AutoModelForCausalLM.from_pretrained(folder, offload_folder=tmp_path / "offloaded", **placement)

    return load


def generate(model, **options):
    settings = GenerationConfig(max_new_tokens=6, do_sample=False, pad_token_id=0, **options)
    return model.generate(IDS, attention_mask=MASK, generation_config=settings)


@torch.no_grad()
def does_the_same(found, expected):
    """Scores, sentence vectors, senses and texts by every kind of cache."""
    inputs = {"attention_mask": MASK, "labels": IDS, "pooling_temperature": 0.7, "output_senses": True}
    outputs = [model(IDS, output_attentions=True, output_hidden_states=True, **inputs) for model in (found, expected)]
    for name in ("loss", "logits", "sense_vectors", "context_vectors", "senses", "attentions", "hidden_states"):
        torch.testing.assert_close(outputs[0][name], outputs[1][name], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.get_senses(IDS), expected.get_senses(IDS))
    text = generate(expected, use_cache=False)
    for options in ({"use_cache": False}, {"use_cache": True}, {"cache_implementation": "static"}):
        assert torch.equal(generate(found, **options), text), options


def places(model):
    return {weight.device.type for weight in model.parameters()}


def split_modules(model, device_map):
    """Modules that the model says to keep whole, of which only a part has a place of its own."""
    whole = [name for name, module in model.named_modules() if type(module).__name__ in model._no_split_modules]
    return [name for name in whole if any(entry.startswith(f"{name}.") for entry in device_map)]


@pytest.mark.parametrize("device_map", ["cpu", "auto", {"": "cpu"}], ids=str)
def test_a_model_that_fits_is_placed_whole(model, load, device_map):
    placed = load(device_map=device_map)
    assert placed.lm_head.weight is placed.get_input_embeddings().weight
    does_the_same(placed, model)


@pytest.mark.parametrize("size", ["60KB", "160KB", "210KB", "240KB"])
def test_what_memory_cannot_hold_is_read_from_disk(model, load, size):
    placed = load(device_map="auto", max_memory={"cpu": size})
    assert "disk" in placed.hf_device_map.values()
    assert "meta" in places(placed)
    does_the_same(placed, model)


@pytest.mark.parametrize("size", ["160KB", "210KB", "240KB"])
def test_a_network_or_a_block_is_never_split(load, size):
    placed = load(device_map="auto", max_memory={"cpu": size})
    assert split_modules(placed, placed.hf_device_map) == []


def test_what_may_not_be_split_is_the_trunks_blocks_and_our_networks(model):
    block = type(model.get_submodule(BLOCKS[model.config.trunk_config.model_type] + "0")).__name__
    assert set(model._no_split_modules) == {block, "BackpackSenseNetwork", "BackpackWeightNetwork"}


@pytest.mark.parametrize("sizes", [("100KB", "100KB", "200KB"), ("200KB", "200KB"), ("250KB", "200KB")], ids=str)
def test_several_devices_keep_head_and_embeddings_together(model, sizes):
    device_map = infer_auto_device_map(
        model, max_memory=dict(enumerate(sizes)), no_split_module_classes=model._no_split_modules
    )
    assert split_modules(model, device_map) == []

    def place(name):
        return next(device for module, device in device_map.items() if f"{name}.".startswith(f"{module}."))

    assert len(set(device_map.values())) > 1
    assert place("lm_head") == place(model._embedding_name().removesuffix(".weight"))


@pytest.mark.parametrize("away", [("backpack.trunk", "lm_head"), *((name,) for name in NETWORKS)], ids=str)
def test_each_part_can_be_on_disk(model, tmp_path, away):
    parts = ("backpack.trunk", *NETWORKS, "lm_head")
    device_map = {name: "disk" if name in away else "cpu" for name in parts}
    placed = dispatch_model(copy.deepcopy(model), device_map, main_device="cpu", offload_dir=str(tmp_path))
    assert "meta" in places(placed)
    does_the_same(placed, model)


def test_a_model_can_be_offloaded_from_its_device(model):
    placed = cpu_offload(copy.deepcopy(model), execution_device=torch.device("cpu"))
    assert places(placed) == {"meta"}
    does_the_same(placed, model)


def test_shards_are_dispatched_to_a_model_without_memory(model, folder, tmp_path):
    with init_empty_weights():
        planned = BackpackForCausalLM(copy.deepcopy(model.config))
    planned.tie_weights()
    placed = load_checkpoint_and_dispatch(
        planned, folder, {"backpack": "cpu", "lm_head": "cpu"}, offload_folder=str(tmp_path)
    )
    assert places(placed) == {"cpu"}
    does_the_same(placed.eval(), model)


@pytest.mark.filterwarnings("ignore:Attempting to save a model with offloaded modules:UserWarning")
def test_a_model_that_is_partly_on_disk_is_saved_whole(model, load, tmp_path):
    load(device_map="auto", max_memory={"cpu": "160KB"}).save_pretrained(tmp_path / "again")
    does_the_same(AutoModelForCausalLM.from_pretrained(tmp_path / "again"), model)


def test_a_sense_table_needs_its_weights_in_memory(load):
    placed = load(device_map="auto", max_memory={"cpu": "60KB"})
    with pytest.raises(ValueError, match="weights in memory"):
        placed.precompute_senses()
