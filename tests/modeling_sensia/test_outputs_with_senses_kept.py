"""Every output of a forward, alone and together, however the senses are kept and attention is computed."""

import pytest
import torch
from kept_senses import cache_of, case_of, close, wide_backpack
from tiny_backpacks import padded_batch, token_ids
from transformers import DynamicCache

IDS = token_ids(2, 9)
FIELDS = {
    "output_senses": "senses",
    "output_contextualization": "contextualization",
    "output_hidden_states": "hidden_states",
    "output_attentions": "attentions",
}
ALWAYS = {"logits", "past_key_values"}


@pytest.fixture(scope="module", params=["gpt2, senses", "gpt2, hidden", "gpt2, table", "llama, table"])
def case(request):
    return case_of(request.param)


@pytest.fixture(params=["eager", "sdpa"])
def model(case, request):
    case.model.set_attn_implementation(request.param)
    return case.model


def everything(model, **kwargs):
    with torch.no_grad():
        return model(IDS, **dict.fromkeys(FIELDS, True), **kwargs)


@pytest.mark.parametrize("asked", FIELDS)
def test_each_output_comes_alone_and_is_that_of_all_together(case, model, asked):
    with torch.no_grad():
        found = model(IDS, **{asked: True})
    assert set(found.keys()) == {*ALWAYS, FIELDS[asked]}
    close(found[FIELDS[asked]], everything(case.plain)[FIELDS[asked]])


def test_all_outputs_come_together(case, model):
    found, expected = everything(model), everything(case.plain)
    assert set(found.keys()) == {*ALWAYS, *FIELDS.values()}
    for name in ("logits", *FIELDS.values()):
        close(found[name], expected[name])


def test_outputs_on_top_of_a_cache_are_the_last_of_the_whole(case, model):
    cache = cache_of(model, IDS[:, :6])
    with torch.no_grad():
        found = model(IDS[:, 6:], past_key_values=cache, **dict.fromkeys(FIELDS, True))
    expected = everything(case.plain)
    close(found.logits, expected.logits[:, 6:])
    close(found.senses, expected.senses)
    close(found.contextualization, expected.contextualization[:, :, 6:])
    close(found.attentions, tuple(weights[:, :, 6:] for weights in expected.attentions))
    close(found.hidden_states, tuple(states[:, 6:] for states in expected.hidden_states))


def test_asking_for_attentions_leaves_the_attention_as_it_was(model):
    before = model.backpack.trunk.config._attn_implementation
    everything(model)
    assert model.backpack.trunk.config._attn_implementation == before


def masked(kind):
    ids, mask = padded_batch([IDS[0], IDS[1, :4]], "left")
    allowed = torch.ones(9, 9, dtype=torch.bool).tril() & mask[:, None, None].bool()  # [B, 1, L, L]
    additive = torch.zeros(allowed.shape).masked_fill(~allowed, torch.finfo(torch.float32).min)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    return ids, mask, {"attention_mask": additive if kind == "additive" else allowed, "position_ids": positions}


@pytest.mark.parametrize(
    "kind",
    [
        "additive",
        "boolean",
    ],
)
def test_attentions_under_a_four_dimensional_mask_are_those_of_the_pads_mask(kind):
    fused = wide_backpack()
    ids, mask, arguments = masked(kind)
    with torch.no_grad():
        found = fused(ids, output_attentions=True, **arguments)
        expected = fused(ids, output_attentions=True, attention_mask=mask)
    close(found.logits[mask.bool()], expected.logits[mask.bool()])
    for layer, weights in zip(found.attentions, expected.attentions, strict=True):
        close(layer.transpose(1, 2)[mask.bool()], weights.transpose(1, 2)[mask.bool()])


@pytest.mark.parametrize("name", ["gpt2, hidden", "gpt2, table"])
def test_given_positions_are_used(name):
    case = case_of(name)
    positions = torch.arange(9)[None] + 3
    with torch.no_grad():
        found = case.model(IDS, position_ids=positions).logits
        close(found, case.plain(IDS, position_ids=positions).logits)
        close(case.model(IDS, position_ids=positions - 3).logits, case.plain(IDS).logits)
        assert (found - case.plain(IDS).logits).abs().max() > 0.1


@pytest.mark.parametrize("positions", [1, 4, 20, torch.tensor([0, 5]), torch.tensor([-1])], ids=str)
@pytest.mark.parametrize("asked", [{}, {"output_hidden_states": True, "output_contextualization": True}], ids=str)
def test_positions_to_keep_keeps_the_last_or_the_given(case, positions, asked):
    with torch.no_grad():
        found = case.model.backpack(IDS, positions_to_keep=positions, **asked)
        whole = case.plain.backpack(IDS, output_hidden_states=True, output_contextualization=True)
    kept = slice(-positions, None) if isinstance(positions, int) else positions
    close(found.last_hidden_state, whole.last_hidden_state[:, kept])
    if asked:
        close(found.contextualization, whole.contextualization)
        close(found.hidden_states, whole.hidden_states)


def test_a_tuple_holds_the_same_outputs(case):
    asked = dict.fromkeys(FIELDS, True)
    with torch.no_grad():
        found = case.model(IDS, return_dict=False, **asked)
    expected = everything(case.plain)
    assert len(found) == len(expected.keys())
    for value, name in zip(found, expected.keys(), strict=True):
        if name == "past_key_values":
            assert isinstance(value, DynamicCache)
        else:
            close(value, expected[name])


def test_gradient_checkpointing_turns_the_cache_off_and_changes_no_gradient():
    found = []
    for checkpointing in (True, False):
        quiet = dict.fromkeys(("attn_pdrop", "resid_pdrop", "embd_pdrop"), 0.0)
        network = wide_backpack(sense_dropout=0.0, trunk_overrides=quiet).train()
        if checkpointing:
            network.gradient_checkpointing_enable({"use_reentrant": False})
        output = network(IDS, labels=IDS, use_cache=True)
        assert (output.past_key_values is None) == checkpointing
        found.append(torch.autograd.grad(output.loss, list(network.parameters())))
    torch.testing.assert_close(*found)
