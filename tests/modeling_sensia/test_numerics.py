"""Precision: every way to compute a Backpack gives the equations' numbers, as closely as its dtype allows."""

import pytest
import torch
from kept_senses import cache_of, close, generate, greedy_by_hand, logits, static_cache, wide_backpack
from naive_backpack import naive_backpack
from tiny_backpacks import padded_batch, public_parameters, token_ids
from torch.utils._python_dispatch import TorchDispatchMode

from modeling_sensia.sense_mixing import contextualize, mix_and_measure, mix_senses

IDS = token_ids(2, 9)
TABLES = [None, "all", "some"]
#: Relative error of logits that the dtype allows. They differ between the two by the bits of their mantissas.
TOLERANCES = {torch.bfloat16: 0.05, torch.float16: 0.006}


def naive_logits(model, ids):
    config = model.config
    scaling = config.scale_attn_by_inverse_layer_idx
    parameters = public_parameters(model)
    return naive_backpack(parameters, ids.tolist(), config.num_senses, config.num_attention_heads, scaling).logits


def in_steps(model, ids=IDS, cache=None, **kwargs):
    """Logits of a prompt, then of single tokens, which are mixed in other ways than a prompt."""
    cache = cache_of(model, ids[:, :6], cache)
    return torch.cat([logits(model, token, past_key_values=cache, **kwargs) for token in ids[:, 6:].split(1, 1)], 1)


def relative_error(found, expected):
    return ((found.double() - expected.double()).norm() / expected.double().norm()).item()


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("num_senses", [2, 5, 8])
def test_float64_decoding_follows_the_equations(num_senses, table):
    model = wide_backpack(num_senses=num_senses).double()
    expected = naive_logits(model, IDS[0])[6:]
    if table:
        model.precompute_senses(None if table == "all" else range(20))
    torch.testing.assert_close(in_steps(model)[0], expected)


def test_gradients_through_a_cache_follow_the_equations():
    model = wide_backpack(num_senses=8).double()
    cache = model(IDS[:1, :8]).past_key_values
    found = model(IDS[:1, 8:], past_key_values=cache).logits[0, 0].square().mean()
    parameters = public_parameters(model)
    scaling = model.config.scale_attn_by_inverse_layer_idx
    naive_backpack(parameters, IDS[0].tolist(), 8, 4, scaling).logits[-1].square().mean().backward()
    found.backward()
    for (name, expected), parameter in zip(parameters.items(), model.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, expected.grad, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("table", [None, "all"])
@pytest.mark.parametrize("trunk", ["gpt2", "llama", "qwen3"])
def test_eager_and_fused_attention_agree_while_decoding(trunk, table):
    found = []
    for attention in ("eager", "sdpa"):
        model = wide_backpack(trunk, table=table)
        model.set_attn_implementation(attention)
        found.append(in_steps(model))
    close(*found)


@pytest.mark.parametrize("trunk", ["gpt2", "llama", "qwen3"])
def test_eager_and_fused_attention_have_the_same_gradients(trunk):
    found = []
    for attention in ("eager", "sdpa"):
        model = wide_backpack(trunk).double()
        model.set_attn_implementation(attention)
        loss = model(IDS, labels=IDS).loss
        found.append(torch.autograd.grad(loss, list(model.parameters())))
    # Llama normalises in float32 whatever the model's dtype.
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("trunk", ["gpt2", "llama"])
def test_half_precision_is_close_to_float32(trunk, table, dtype):
    rounded = wide_backpack(trunk).to(dtype)
    expected = logits(wide_backpack(trunk), IDS)
    if table:
        rounded.precompute_senses(None if table == "all" else range(20))
    assert in_steps(rounded).dtype == dtype
    assert relative_error(logits(rounded, IDS), expected) < TOLERANCES[dtype]
    assert relative_error(in_steps(rounded), expected[:, 6:]) < TOLERANCES[dtype]
    assert relative_error(in_steps(rounded, cache=static_cache(rounded)), expected[:, 6:]) < TOLERANCES[dtype]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize("table", [None, "all"])
def test_every_precision_writes_with_a_cache_as_without(table, dtype):
    model = wide_backpack().to(dtype)
    expected = greedy_by_hand(model, IDS)
    if table:
        model.precompute_senses()
    assert torch.equal(generate(model, IDS), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("table", [None, "all"])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_a_fully_padded_row_gives_no_nan_while_decoding(attention, table, dtype):
    model = wide_backpack()
    model.set_attn_implementation(attention)
    model.to(dtype)
    if table:
        model.precompute_senses()
    ids, mask = padded_batch([IDS[0], IDS[1]], "left")
    mask[1] = 0
    assert torch.isfinite(logits(model, ids, attention_mask=mask)).all()
    for cache in (None, static_cache(model)):
        cache = model(ids[:, :8], attention_mask=mask[:, :8], past_key_values=cache).past_key_values
        assert torch.isfinite(logits(model, ids[:, 8:], attention_mask=mask, past_key_values=cache)).all()


class SoftmaxInputs(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.dtypes = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten._softmax.default:
            self.dtypes.append(args[0].dtype)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("dtype", "computed"),
    [(torch.float16, torch.float32), (torch.bfloat16, torch.float32), (torch.float64, torch.float64)],
    ids=str,
)
def test_the_softmax_of_the_mixture_is_computed_in_float32_at_least(dtype, computed):
    queries, keys = (torch.randn(1, 2, 3, 4).to(dtype) for _ in range(2))
    with SoftmaxInputs() as seen:
        weights = contextualize(queries, keys, torch.ones(1, 1, 3, 3, dtype=torch.bool))
    assert seen.dtypes == [computed]
    assert weights.dtype == dtype


def test_gradients_of_mix_senses_agree_with_finite_differences():
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, 3, 2, 4), (2, 3, 4, 5)]  # fewer queries than keys
    inputs = [torch.randn(s, generator=generator, dtype=torch.float64).requires_grad_() for s in shapes]
    assert torch.autograd.gradcheck(mix_senses, inputs)
    assert torch.autograd.gradgradcheck(mix_senses, inputs)


@pytest.mark.parametrize("which", [0, 1], ids=["contextualization", "senses"])
def test_mix_senses_differentiates_by_one_input_alone(which):
    inputs = [torch.randn(1, 2, 3, 3).softmax(-1), torch.randn(1, 2, 3, 4)]
    inputs[which].requires_grad_()
    direction = torch.randn(1, 3, 4)
    found = torch.autograd.grad((mix_senses(*inputs) * direction).sum(), inputs[which])
    expected = torch.autograd.grad((torch.einsum("bkts,bksd->btd", *inputs) * direction).sum(), inputs[which])
    torch.testing.assert_close(found, expected)


def test_training_under_autocast_is_close_to_float32():
    losses = []
    for enabled in (True, False):
        model = wide_backpack(sense_dropout=0.0, trunk_overrides=dict.fromkeys(("attn_pdrop", "resid_pdrop"), 0.0))
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            loss = model(IDS, labels=IDS).loss
        loss.backward()
        gradient = model.backpack.sense_network.final_mlp.c_proj.weight.grad
        losses.append((loss.item(), gradient))
    assert abs(losses[0][0] / losses[1][0] - 1) < 0.02
    assert relative_error(losses[0][1], losses[1][1]) < 0.1


@pytest.mark.parametrize("table", [None, "all", "some"])
@pytest.mark.parametrize("cache", [{}, {"cache_implementation": "static"}], ids=["dynamic", "static"])
def test_generation_under_autocast_writes_as_in_float32(table, cache):
    model = wide_backpack(table=table)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = generate(model, IDS, max_new_tokens=3, **cache)
    assert torch.equal(found, greedy_by_hand(wide_backpack(), IDS, 3))


def test_a_table_has_the_dtype_of_the_model_under_autocast_too():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rows = wide_backpack().precompute_senses()
    assert rows.dtype == torch.float32


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.bfloat16],
    ids=str,
)
def test_mix_senses_can_be_differentiated_after_autocast(dtype):
    contextualization = torch.randn(1, 2, 3, 3).softmax(-1).to(dtype)
    senses = torch.randn(1, 2, 3, 4, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixture = mix_senses(contextualization, senses)
    mixture.sum().backward()
    expected = contextualization.float().sum(2)[..., None].expand_as(senses)
    torch.testing.assert_close(senses.grad, expected, rtol=0.02, atol=0.02)


def test_mix_and_measure_gives_the_mixture_and_the_norms_of_contributions():
    contextualization, senses = torch.randn(2, 3, 2, 4).softmax(-1), torch.randn(2, 3, 4, 5)
    mixture, norms = mix_and_measure(contextualization, senses)
    contributions = torch.einsum("bkts,bksd->bktd", contextualization, senses)
    torch.testing.assert_close(mixture, contributions.sum(1))
    torch.testing.assert_close(norms, contributions.square().sum(-1))


def test_gradients_of_mix_and_measure_agree_with_finite_differences():
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, 3, 2, 4), (2, 3, 4, 5)]
    inputs = [torch.randn(s, generator=generator, dtype=torch.float64).requires_grad_() for s in shapes]
    assert torch.autograd.gradcheck(mix_and_measure, inputs)
