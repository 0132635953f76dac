"""Muon and AdamW behind one optimizer."""

import copy

import pytest
import torch
from torch.optim import AdamW, Muon
from transformers import GPT2Config

from modeling_sensia import BackpackConfig, BackpackForCausalLM
from sensia.trainers.muon import MuonAdamW

OPTIONS = {"lr": 1e-2, "weight_decay": 0.1, "betas": (0.9, 0.98), "eps": 1e-8}


@pytest.fixture
def model():
    torch.manual_seed(0)
    trunk = GPT2Config(vocab_size=50, n_positions=16, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0)
    return BackpackForCausalLM(BackpackConfig(trunk_config=trunk, num_senses=4)).eval()


def give_gradients(model, seed=1):
    generator = torch.Generator().manual_seed(seed)
    for weight in model.parameters():
        weight.grad = torch.randn(weight.shape, generator=generator)


def test_matrices_of_the_layers_move_as_muon_moves_them(model):
    alone = model.backpack.trunk.h[0].mlp.c_fc.weight.detach().clone().requires_grad_()
    give_gradients(model)
    alone.grad = model.backpack.trunk.h[0].mlp.c_fc.weight.grad.clone()
    MuonAdamW(model, **OPTIONS).step()
    Muon([alone], lr=1e-2, weight_decay=0.1, adjust_lr_fn="match_rms_adamw").step()
    torch.testing.assert_close(model.backpack.trunk.h[0].mlp.c_fc.weight, alone)


@pytest.mark.parametrize("name", ["backpack.trunk.wte.weight", "backpack.trunk.h.0.ln_1.weight"])
def test_embeddings_and_norms_move_as_adamw_without_decay_moves_them(model, name):
    alone = model.get_parameter(name).detach().clone().requires_grad_()
    give_gradients(model)
    alone.grad = model.get_parameter(name).grad.clone()
    MuonAdamW(model, **OPTIONS).step()
    AdamW([alone], lr=1e-2, weight_decay=0.0, betas=(0.9, 0.98), eps=1e-8).step()
    torch.testing.assert_close(model.get_parameter(name), alone)


def test_a_schedule_reaches_both_parts(model):
    optimizer = MuonAdamW(model, **OPTIONS)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0 if step == 0 else 0.0)
    give_gradients(model)
    optimizer.step()
    schedule.step()
    before = copy.deepcopy(model.state_dict())
    optimizer.step()
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())


def test_a_restored_optimizer_goes_on_as_the_first_one(model):
    twin = copy.deepcopy(model)
    first, second = MuonAdamW(model, **OPTIONS), MuonAdamW(twin, **OPTIONS)
    give_gradients(model)
    first.step()
    twin.load_state_dict(model.state_dict())
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for group in [*first.param_groups, *second.param_groups]:
        group["lr"] = 5e-3
    for each, optimizer in ((model, first), (twin, second)):
        give_gradients(each, seed=2)
        optimizer.step()
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(weight, twin.state_dict()[name], rtol=0, atol=0)


def test_frozen_parameters_stay(model):
    frozen = model.backpack.sense_network.requires_grad_(False)
    before = copy.deepcopy(frozen.state_dict())
    optimizer = MuonAdamW(model, **OPTIONS)
    give_gradients(model)
    optimizer.step()
    assert all(torch.equal(before[name], weight) for name, weight in frozen.state_dict().items())
