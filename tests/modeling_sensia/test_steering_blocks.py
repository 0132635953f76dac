"""What a steered block must never change, and what it leaves behind: nothing."""

import copy

import pytest
import torch
from safetensors.torch import load_file
from steering_oracles import EDITS, IDS, SENSES, logits
from tiny_backpacks import tiny_backpack, tiny_config
from transformers import GenerationConfig

from modeling_sensia.steering import ScaleSenses, Steering


@pytest.mark.parametrize("table", [False, True], ids=["computed", "table"])
def test_after_the_block_outputs_are_bit_for_bit_what_they_were(table):
    model = tiny_backpack(tiny_config(num_senses=8), seed=2)
    if table:
        model.precompute_senses()
    rows = model.backpack.sense_table
    before = logits(model)
    with Steering([EDITS["swap"]]).applied(model):
        model.precompute_senses()
        assert not torch.equal(logits(model), before)
    assert model.backpack.sense_table is rows and model.backpack.sense_edit is None
    assert torch.equal(logits(model), before)


def test_a_steering_without_edits_changes_no_bit(model):
    before = logits(model)
    with Steering([]).applied(model):
        assert torch.equal(logits(model), before)


def test_an_error_inside_the_block_takes_the_edits_off(model):
    with pytest.raises(RuntimeError, match="inside"), Steering([EDITS["swap"]]).applied(model):
        raise RuntimeError("inside")
    assert model.backpack.sense_edit is None


def test_a_table_does_not_come_back_to_a_model_that_went_into_training():
    model = tiny_backpack()
    model.precompute_senses()
    with Steering([EDITS["swap"]]).applied(model):
        model.train()
    assert model.backpack.sense_table is None


def test_an_edit_that_does_not_fit_leaves_none_of_those_before_it(model):
    with pytest.raises(ValueError), Steering([EDITS["swap"], ScaleSenses([SENSES], 0)]).applied(model):
        pass
    assert model.backpack.sense_edit is None


def test_weights_stay_bit_for_bit(model):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with Steering(EDITS.values()).applied(model):
        model.generate(torch.tensor([IDS]), generation_config=GenerationConfig(max_new_tokens=8, pad_token_id=0))
        inside = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert before.keys() == inside.keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]) and torch.equal(inside[name], before[name])


def test_saving_inside_the_block_saves_the_original(model, tmp_path):
    model.save_pretrained(tmp_path / "before")
    with Steering([EDITS["swap"]]).applied(model):
        model.save_pretrained(tmp_path / "inside")
    before, inside = (tmp_path / name for name in ("before", "inside"))
    assert sorted(path.name for path in inside.iterdir()) == sorted(path.name for path in before.iterdir())
    assert (inside / "config.json").read_bytes() == (before / "config.json").read_bytes()
    weights = [load_file(folder / "model.safetensors") for folder in (before, inside)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_copy_of_a_steered_model_stays_steered(model):
    with Steering([EDITS["swap"], EDITS["topic"]]).applied(model):
        steered, copied = logits(model), copy.deepcopy(model)
    assert torch.equal(logits(copied), steered)
