"""Decoding compiled into one graph, with static caches."""

import pytest
import torch
from kept_senses import (
    KINDS,
    case_of,
    close,
    generate,
    greedy_by_hand,
    logits,
    plain_backpack,
    static_cache,
    wide_backpack,
)
from tiny_backpacks import token_ids
from transformers import CompileConfig

IDS = token_ids(2, 9)


def compiled_pieces(model, backend):
    """Logits of a prompt read by the model, and of single tokens read by its compiled forward."""
    torch._dynamo.reset()
    forward = torch.compile(model.forward, fullgraph=True, backend=backend)
    cache = static_cache(model)
    first = logits(model, IDS[:, :6], past_key_values=cache)
    with torch.no_grad():
        rest = [forward(token, past_key_values=cache).logits for token in IDS[:, 6:].split(1, 1)]
    return torch.cat([first, *rest], 1)


def test_decoding_with_a_static_cache_is_one_graph():
    model = case_of("gpt2, table").model
    close(compiled_pieces(model, "eager"), logits(plain_backpack(KINDS["gpt2, table"]), IDS))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gpt2, hidden", "llama, table"])
def test_compiled_decoding_with_a_static_cache_gives_the_same_logits(name):
    model = case_of(name).model
    close(compiled_pieces(model, "inductor"), logits(plain_backpack(KINDS[name]), IDS))


def compiling(backend="inductor"):
    # On a CPU, `generate` compiles only when told that all devices should.
    settings = CompileConfig(fullgraph=True, backend=backend, mode=None)
    settings._compile_all_devices = True
    return {"cache_implementation": "static", "compile_config": settings}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gpt2, hidden", "gpt2, table"])
def test_compiled_generation_writes_the_same(name):
    torch._dynamo.reset()
    case = case_of(name)
    assert torch.equal(generate(case.model, IDS, **compiling()), greedy_by_hand(case.plain, IDS))
    assert "_compiled_call" in case.model.__dict__


@pytest.mark.slow
def test_compiled_generation_follows_the_table_and_the_weights():
    torch._dynamo.reset()
    model = wide_backpack(table="all")
    generate(model, IDS, **compiling("eager"))
    with torch.no_grad():
        model.backpack.sense_network.final_mlp.c_proj.weight.mul_(1.5)
    for _ in range(2):  # without the table, which the change of weights dropped, and with a new one
        assert torch.equal(generate(model, IDS, **compiling("eager")), generate(model, IDS, use_cache=False))
        model.precompute_senses()


# Whole forwards, with a table


def sense_gradients(model, forward):
    forward(IDS, labels=IDS, use_cache=False).loss.backward()
    return [parameter.grad for parameter in model.backpack.sense_network.parameters()]


def compiled(model):
    torch._dynamo.reset()
    return torch.compile(model, backend="eager")


def test_gradients_of_a_compiled_model_with_a_table_are_those_without():
    model = wide_backpack(table="all")
    plain = wide_backpack()
    found, expected = sense_gradients(model, compiled(model)), sense_gradients(plain, plain)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_compiled_model_follows_a_change_of_weights():
    model = wide_backpack(table="all")
    forward = compiled(model)
    logits(forward, IDS, use_cache=False)
    with torch.no_grad():
        model.backpack.sense_network.final_mlp.c_proj.weight.mul_(1.5)
    found = logits(forward, IDS, use_cache=False)
    close(found, logits(model.train().eval(), IDS))
