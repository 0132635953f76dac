"""Weights of 8 and 4 bits: how far outputs move, what generation does with them, and what is refused."""

import pytest
import torch
from kept_senses import generate, greedy_by_hand, logits, wide_backpack
from tiny_backpacks import tiny_backpack, tiny_config, token_ids

from modeling_sensia.quantization import quantize_weights

IDS = token_ids(2, 9)


def rounded(weight, bits, group):
    """Symmetric rounding of a weight [out, in] with one scale for each group of inputs, in float64."""
    groups = weight.double().unflatten(1, (-1, group))
    scale = groups.abs().amax(-1, keepdim=True) / (2 ** (bits - 1) - 0.5)
    return (groups / scale).round().clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1).mul(scale).flatten(1)


@pytest.fixture(params=["gpt2", "llama"])
def trunk(request):
    pytest.importorskip("torchao", reason="quantization needs torchao")
    return request.param


def linear_weights(model):
    return {
        name: weight
        for name, weight in model.backpack.named_parameters()
        if weight.ndim == 2 and "wte" not in name and "wpe" not in name and "embed" not in name
    }


@pytest.mark.slow
@pytest.mark.parametrize("bits", [8, 4])
def test_every_linear_weight_is_near_the_one_that_it_came_from(trunk, bits):
    plain, model = wide_backpack(trunk), quantize_weights(wide_backpack(trunk), bits, group_size=16)
    before = linear_weights(plain)
    for name, weight in linear_weights(model).items():
        assert type(weight) is not torch.nn.Parameter, name
        found = weight.dequantize().double()
        given = before[name].double()
        given = given.T if _was_transposed(name, trunk) else given
        group = given.shape[1] if bits == 8 else 16
        worst = (rounded(given, bits, group) - given).abs().max()
        assert (found - given).abs().max() <= 1.2 * worst, name


def _was_transposed(name, trunk):
    return "weight_network" not in name and (trunk == "gpt2" or "sense_network" in name)


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "share"), [(8, 0.05), (4, 0.6)])
def test_logits_move_little(trunk, bits, share):
    expected = logits(wide_backpack(trunk), IDS)
    found = logits(quantize_weights(wide_backpack(trunk), bits, group_size=16), IDS)
    assert 0 < (found - expected).norm() / expected.norm() < share


@pytest.mark.slow
@pytest.mark.parametrize("bits", [8, 4])
def test_generation_with_a_cache_writes_what_it_writes_without(trunk, bits):
    model = quantize_weights(wide_backpack(trunk), bits, group_size=16)
    assert torch.equal(generate(model, IDS), greedy_by_hand(model, IDS))


def test_what_cannot_work_is_refused(tmp_path):
    pytest.importorskip("torchao", reason="quantization needs torchao")
    model = tiny_backpack(tiny_config())
    with pytest.raises(ValueError, match="`bits` must be 4 or 8, got 2"):
        quantize_weights(model, 2)
    with pytest.raises(ValueError, match=r"`group_size` must divide the inputs of every layer, got 7; .* has 32"):
        quantize_weights(model, 4, group_size=7)
    with pytest.raises(ValueError, match="needs a model in evaluation mode"):
        quantize_weights(tiny_backpack(tiny_config()).train())
    assert torch.equal(logits(model, IDS), logits(tiny_backpack(tiny_config()), IDS))
    quantize_weights(model)
    with pytest.raises(ValueError, match="cannot be saved"):
        model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="has no sense table"):
        model.precompute_senses()
