"""The whole forward against the published equations, and the outputs that can be asked for."""

import pytest
import torch
from naive_backpack import naive_backpack, naive_pool, unit
from tiny_backpacks import VOCABULARY, public_parameters, tiny_backpack, tiny_config, token_ids

from modeling_sensia import BackpackModel

LENGTH = 5
OPTIONS = {
    "output_senses": "senses",
    "output_contextualization": "contextualization",
    "output_hidden_states": "hidden_states",
    "output_attentions": "attentions",
}


def naive_of(model, ids, parameters=None):
    config = model.config
    return naive_backpack(
        parameters or public_parameters(model),
        ids.tolist(),
        config.num_senses,
        config.num_attention_heads,
        config.scale_attn_by_inverse_layer_idx,
    )


@pytest.fixture(scope="module")
def model():
    return tiny_backpack()


@pytest.fixture(scope="module")
def exact_case():
    """A float64 model, one row of ids, the model's output and the naive one."""
    exact = tiny_backpack().double()
    ids = token_ids(1, LENGTH)
    asked = [name for name in OPTIONS if name != "output_attentions"]
    with torch.no_grad():
        output = exact(ids, **dict.fromkeys(asked, True), pooling_temperature=0.7)
    return output, naive_of(exact, ids[0])


def test_logits_follow_the_equations(exact_case):
    output, naive = exact_case
    torch.testing.assert_close(output.logits[0], naive.logits)


def test_senses_follow_the_equations(exact_case):
    output, naive = exact_case
    torch.testing.assert_close(output.senses[0], naive.senses)


def test_contextualization_follows_the_equations(exact_case):
    output, naive = exact_case
    torch.testing.assert_close(output.contextualization[0], naive.contextualization)


def test_the_trunk_follows_the_equations(exact_case):
    output, naive = exact_case
    torch.testing.assert_close(output.hidden_states[-2][0], naive.states)


def test_the_mixture_follows_the_equations(exact_case):
    output, naive = exact_case
    torch.testing.assert_close(output.hidden_states[-1][0], naive.mixture)


@pytest.mark.parametrize("scaling", [True, False])
def test_inverse_layer_scaling_is_followed_as_configured(scaling):
    config = tiny_config(trunk_overrides={"scale_attn_by_inverse_layer_idx": scaling, "n_layer": 3})
    scaled = tiny_backpack(config).double()
    ids = token_ids(1, LENGTH)
    with torch.no_grad():
        torch.testing.assert_close(scaled(ids).logits[0], naive_of(scaled, ids[0]).logits)


@pytest.mark.parametrize("num_senses", [1, 3, 5, 32])
def test_any_number_of_senses_follows_the_equations(num_senses):
    many = tiny_backpack(tiny_config(num_senses=num_senses)).double()
    ids = token_ids(1, LENGTH)
    with torch.no_grad():
        torch.testing.assert_close(many(ids).logits[0], naive_of(many, ids[0]).logits)


def test_the_last_sense_mlp_has_its_own_width():
    narrow = tiny_backpack(tiny_config(sense_intermediate_scale=2)).double()
    assert narrow.backpack.sense_network.final_mlp.c_fc.weight.shape == (32, 64)
    assert narrow.backpack.sense_network.block.mlp.c_fc.weight.shape == (32, 128)
    ids = token_ids(1, LENGTH)
    with torch.no_grad():
        torch.testing.assert_close(narrow(ids).logits[0], naive_of(narrow, ids[0]).logits)


def test_gradients_of_the_logits_follow_the_equations():
    exact = tiny_backpack().double()
    ids, parameters = token_ids(1, LENGTH), public_parameters(exact)
    direction = torch.randn(LENGTH, VOCABULARY, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    (exact(ids).logits[0] * direction).sum().backward()
    (naive_of(exact, ids[0], parameters).logits * direction).sum().backward()
    for (name, expected), parameter in zip(parameters.items(), exact.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, expected.grad, msg=lambda text, name=name: f"{name}: {text}")


def test_sentence_vectors_follow_the_equations(exact_case):
    output, naive = exact_case
    vector, entropy = naive_pool(naive.contextualization, naive.senses, [1] * LENGTH, 0.7)
    torch.testing.assert_close(output.context_vectors[0], unit(naive.mixture[-1]))
    torch.testing.assert_close(output.sense_vectors[0], vector)
    torch.testing.assert_close(output.mixture_entropy[0], entropy)


def test_float32_is_close_to_the_equations(model):
    ids = token_ids(1, LENGTH)
    with torch.no_grad():
        torch.testing.assert_close(model(ids).logits[0].double(), naive_of(model, ids[0]).logits, rtol=1e-4, atol=1e-4)


def test_bfloat16_is_close_to_float32(model):
    rounded = tiny_backpack().bfloat16()
    ids = token_ids(2, 9)
    with torch.no_grad():
        expected, found = model(ids).logits, rounded(ids).logits
    assert found.dtype == torch.bfloat16
    assert (found.float() - expected).norm() / expected.norm() < 0.03


def test_rows_of_the_contextualization_sum_to_one_for_each_sense(model):
    weights = model(token_ids(2, 9), output_contextualization=True).contextualization
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 9))


def test_a_later_token_changes_nothing_before_it(model):
    ids = token_ids(1, 8)
    changed = ids.clone()
    changed[0, 5] = (ids[0, 5] + 1) % VOCABULARY
    before, after = model(ids).logits, model(changed).logits
    torch.testing.assert_close(after[:, :5], before[:, :5])
    assert (after[:, 5] - before[:, 5]).abs().max() > 0.1


@pytest.mark.parametrize("asked", OPTIONS)
def test_each_output_comes_alone_when_asked_for(asked):
    eager = tiny_backpack(attn_implementation="eager")
    output = eager(token_ids(1, 4), **{asked: True})
    assert set(output.keys()) & set(OPTIONS.values()) == {OPTIONS[asked]}


def test_no_optional_output_comes_unasked(model):
    assert set(model(token_ids(1, 4)).keys()) == {"logits", "past_key_values"}


def test_all_outputs_come_together():
    eager = tiny_backpack(attn_implementation="eager")
    output = eager(token_ids(2, 6), **dict.fromkeys(OPTIONS, True))
    assert output.senses.shape == (2, 4, 6, 32)
    assert output.contextualization.shape == (2, 4, 6, 6)
    assert [state.shape for state in output.hidden_states] == [(2, 6, 32)] * 4
    assert [weights.shape for weights in output.attentions] == [(2, 4, 6, 6)] * 3


def test_outputs_can_be_asked_for_by_the_configuration(model):
    asking = tiny_backpack(tiny_config(output_hidden_states=True))
    assert len(asking(token_ids(1, 4)).hidden_states) == 4
    assert "hidden_states" not in asking(token_ids(1, 4), output_hidden_states=False)


def test_hidden_states_are_the_trunks_and_the_mixture(model):
    ids = token_ids(2, 6)
    output = model(ids, output_hidden_states=True)
    trunk = model.backpack.trunk(ids, output_hidden_states=True).hidden_states
    torch.testing.assert_close(output.hidden_states[:-1], trunk)
    torch.testing.assert_close(output.hidden_states[-1] @ model.lm_head.weight.T, output.logits)


def test_attentions_are_the_trunks_and_the_contextualization():
    eager = tiny_backpack(attn_implementation="eager")
    ids = token_ids(2, 6)
    output = eager(ids, output_attentions=True, output_contextualization=True)
    trunk = eager.backpack.trunk(ids, output_attentions=True).attentions
    torch.testing.assert_close(output.attentions[:-1], trunk)
    torch.testing.assert_close(output.attentions[-1], output.contextualization)


def test_asking_for_outputs_leaves_the_logits_alone(model):
    ids = token_ids(2, 6)
    options = dict.fromkeys([name for name in OPTIONS if name != "output_attentions"], True)
    torch.testing.assert_close(model(ids, **options, pooling_temperature=0.7).logits, model(ids).logits)


def test_a_tuple_holds_the_outputs_in_order(model):
    ids = token_ids(1, 4)
    loss, plain_loss, logits, *_ = model(ids, labels=ids, return_dict=False)
    expected = model(ids, labels=ids)
    torch.testing.assert_close((loss, plain_loss, logits), (expected.loss, expected.plain_loss, expected.logits))


@pytest.mark.parametrize("part", ["causal", "base"])
def test_get_senses_gives_the_senses_of_the_forward(model, part):
    network = model if part == "causal" else model.backpack
    ids = token_ids(2, 6)
    torch.testing.assert_close(network.get_senses(ids), network(ids, output_senses=True).senses)


def test_senses_do_not_depend_on_context(model):
    ids = torch.tensor([[5, 9, 5, 3], [3, 3, 9, 5]])
    senses = model.get_senses(ids)
    torch.testing.assert_close(senses[0, :, 0], senses[0, :, 2])
    torch.testing.assert_close(senses[0, :, 1], senses[1, :, 2])


def test_the_base_model_gives_the_mixture(model):
    ids = token_ids(2, 6)
    output = model.backpack(ids)
    assert isinstance(model.backpack, BackpackModel)
    torch.testing.assert_close(output.last_hidden_state @ model.lm_head.weight.T, model(ids).logits)


@pytest.mark.parametrize("trunk", ["gpt2", "llama"])
def test_eager_and_sdpa_agree(trunk):
    ids, mask = token_ids(2, 7), torch.tensor([[1] * 7, [0, 0, 0, 1, 1, 1, 1]])
    outputs = [
        tiny_backpack(tiny_config(trunk), attn_implementation=kind)(ids, attention_mask=mask).logits
        for kind in ("eager", "sdpa")
    ]
    torch.testing.assert_close(outputs[0][mask.bool()], outputs[1][mask.bool()], rtol=1e-4, atol=1e-5)


def test_logits_to_keep_keeps_the_last(model):
    ids = token_ids(2, 6)
    torch.testing.assert_close(model(ids, logits_to_keep=2).logits, model(ids).logits[:, -2:])


def test_logits_to_keep_takes_positions(model):
    ids = token_ids(2, 6)
    torch.testing.assert_close(model(ids, logits_to_keep=torch.tensor([0, 3])).logits, model(ids).logits[:, [0, 3]])


@pytest.mark.parametrize("arguments", [{}, {"input_ids": token_ids(1, 3)}], ids=["alone", "with ids"])
def test_embeddings_instead_of_ids_are_refused(model, arguments):
    with pytest.raises(ValueError, match="needs `input_ids`"):
        model(inputs_embeds=torch.zeros(1, 3, 32), **arguments)


def test_a_text_past_the_positions_is_refused(model):
    with pytest.raises(ValueError, match="49 positions were given"):
        model(token_ids(1, 49))


def test_a_text_that_fills_the_positions_is_read(model):
    assert model(token_ids(1, 48)).logits.shape == (1, 48, VOCABULARY)


def test_a_text_past_the_positions_with_its_cache_is_refused(model):
    cache = model(token_ids(1, 40)).past_key_values
    with pytest.raises(ValueError, match=r"49 positions were given \(40 of them cached\)"):
        model(token_ids(1, 9), past_key_values=cache)


def test_sentence_vectors_on_top_of_a_cache_are_refused(model):
    cache = model(token_ids(1, 4)).past_key_values
    with pytest.raises(ValueError, match="whole sentence"):
        model(token_ids(1, 4), past_key_values=cache, pooling_temperature=0.7)
