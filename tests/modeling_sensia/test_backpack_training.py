"""What happens in training mode: dropout, gradient checkpointing, and which parameters learn."""

import pytest
import torch
from tiny_backpacks import tiny_backpack, tiny_config, token_ids
from transformers import DynamicCache

TRUNKS = ["gpt2", "llama"]
NO_DROPOUT = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}


def loss_and_gradients(model):
    model.zero_grad()
    ids = token_ids(2, 7)
    torch.manual_seed(5)
    output = model(ids, labels=ids, pooling_temperature=0.7, return_logits=False)
    loss = output.loss + output.sense_vectors.sum() + output.context_vectors.sum()
    loss.backward()
    return loss, [parameter.grad.clone() for parameter in model.parameters()]


@pytest.mark.parametrize("trunk", TRUNKS)
@pytest.mark.parametrize("use_reentrant", [True, False])
def test_gradient_checkpointing_keeps_loss_and_gradients(trunk, use_reentrant):
    model = tiny_backpack(tiny_config(trunk)).train()
    expected = loss_and_gradients(model)
    model.activation_checkpointing_enable({"use_reentrant": use_reentrant})
    torch.testing.assert_close(loss_and_gradients(model), expected, rtol=1e-4, atol=1e-5)


def test_gradient_checkpointing_recomputes_the_senses():
    model = tiny_backpack().train()
    calls = []
    model.backpack.sense_network.ln.register_forward_hook(lambda *_: calls.append(1))
    model.activation_checkpointing_enable()
    ids = token_ids(2, 7)
    model(ids, labels=ids).loss.backward()
    assert len(calls) == 2


def test_gradient_checkpointing_switches_the_cache_off():
    model = tiny_backpack().train()
    model.activation_checkpointing_enable()
    assert model(token_ids(1, 4), use_cache=True).past_key_values is None


def test_gradient_checkpointing_leaves_a_given_cache_alone():
    model = tiny_backpack(tiny_config(trunk_overrides=NO_DROPOUT, sense_dropout=0.0)).train()
    expected = model(token_ids(1, 4)).logits
    model.activation_checkpointing_enable()
    cache = DynamicCache(config=model.config)
    torch.testing.assert_close(model(token_ids(1, 4), past_key_values=cache).logits, expected)
    assert [cache.get_seq_length(layer) for layer in range(3)] == [0, 0, 0]


def test_gradient_checkpointing_keeps_the_cache_in_evaluation():
    model = tiny_backpack()
    model.activation_checkpointing_enable()
    assert model(token_ids(1, 4), use_cache=True).past_key_values.get_seq_length() == 4


def test_dropout_repeats_under_a_seed():
    model = tiny_backpack().train()
    torch.testing.assert_close(loss_and_gradients(model), loss_and_gradients(model), rtol=0, atol=0)


def test_dropout_differs_without_a_seed():
    model = tiny_backpack().train()
    ids = token_ids(2, 7)
    assert not torch.equal(model(ids).logits, model(ids).logits)


def test_dropout_reaches_the_senses():
    model = tiny_backpack(tiny_config(trunk_overrides=NO_DROPOUT, sense_dropout=0.4)).train()
    senses = model.get_senses(token_ids(4, 12))
    assert senses.eq(0).float().mean().item() == pytest.approx(0.4, abs=0.05)


def test_dropout_stands_where_the_public_code_has_it():
    model = tiny_backpack().train()
    network, calls = model.backpack.sense_network, []
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.Dropout):
            module.register_forward_hook(lambda _, inputs, output, name=name: calls.append((name, *inputs, output)))
    senses = model.get_senses(token_ids(1, 4))
    names, inputs, outputs = zip(*calls, strict=True)
    assert names == ("dropout", "block.dropout", "block.mlp.dropout", "block.dropout", "final_mlp.dropout")
    assert torch.equal(inputs[0], model.get_input_embeddings()(token_ids(1, 4)))
    assert torch.equal(inputs[1], network.ln(outputs[0]))
    assert torch.equal(inputs[2], network.block.mlp.c_proj(hidden_of(network.block, outputs[0] + outputs[1])))
    assert torch.equal(inputs[3], outputs[2])
    assert torch.equal(outputs[4].view(1, 4, 4, 32).transpose(1, 2), senses)


def hidden_of(block, residual):
    return block.mlp.activation(block.mlp.c_fc(block.ln_1(residual)))


def test_without_dropout_training_mode_gives_the_evaluation_output():
    model = tiny_backpack(tiny_config(trunk_overrides=NO_DROPOUT, sense_dropout=0.0))
    ids = token_ids(2, 7)
    expected = model(ids).logits
    torch.testing.assert_close(model.train()(ids).logits, expected)


def test_evaluation_mode_drops_nothing():
    model = tiny_backpack()
    ids = token_ids(2, 7)
    torch.testing.assert_close(model(ids).logits, model(ids).logits, rtol=0, atol=0)


@pytest.mark.parametrize("trunk", TRUNKS)
def test_every_parameter_gets_a_gradient(trunk):
    model = tiny_backpack(tiny_config(trunk)).train()
    ids = token_ids(2, 7)
    model(ids, labels=ids).loss.backward()
    assert [name for name, parameter in model.named_parameters() if not parameter.grad.any()] == []


def test_the_word_embeddings_learn_from_input_senses_and_head():
    model = tiny_backpack()
    ids = torch.tensor([[3, 4]])
    model(ids, labels=ids).loss.backward()
    gradient = model.get_input_embeddings().weight.grad
    assert gradient[3].any()
    assert gradient[90].any(), "a token that is only scored learns through the head"


def test_a_step_of_training_lowers_the_loss():
    model = tiny_backpack(tiny_config(trunk_overrides=NO_DROPOUT, sense_dropout=0.0)).train()
    ids = token_ids(4, 9)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    first = model(ids, labels=ids).loss
    first.backward()
    optimizer.step()
    assert model(ids, labels=ids).loss < first


def test_the_mixture_runs_under_autocast():
    model = tiny_backpack().train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, gradients = loss_and_gradients(model)
    assert torch.isfinite(loss)
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
