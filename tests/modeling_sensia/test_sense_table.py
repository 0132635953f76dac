"""The sense table: inference with it is inference without it, gradients too, and it is never saved."""

import copy
import pickle

import numpy as np
import pytest
import torch
from kept_senses import SOME_TOKENS, close, generate, greedy_by_hand, logits, wide_backpack
from safetensors.torch import load_file
from tiny_backpacks import VOCABULARY, padded_batch, tiny_config, token_ids

from modeling_sensia import BackpackForCausalLM, BackpackModel

IDS = token_ids(2, 9)
TABLES = ["all", "some"]
ASKED = dict.fromkeys(("output_senses", "output_contextualization", "output_hidden_states"), True)


def table_of(model):
    return model.backpack.sense_table


# What it holds


@pytest.mark.parametrize("chunk_size", [1, 10, 96, 97, 1024])
def test_a_table_holds_the_senses_of_every_token(chunk_size):
    model = wide_backpack()
    senses = model.get_senses(torch.arange(VOCABULARY)[None])[0]  # [K, V, D]
    torch.testing.assert_close(model.precompute_senses(chunk_size=chunk_size), senses.transpose(0, 1))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16], ids=str)
def test_a_table_has_the_dtype_of_the_model(dtype):
    assert wide_backpack().to(dtype).precompute_senses().dtype == dtype


def test_a_table_takes_no_gradients():
    assert not wide_backpack().precompute_senses().requires_grad


@pytest.mark.parametrize("kind", [list, set, tuple, iter, np.array], ids=lambda kind: kind.__name__)
def test_a_table_of_some_has_a_row_for_each_token_in_order(kind):
    model = wide_backpack()
    rows = model.precompute_senses(kind([9, 3, 40, 3]))
    torch.testing.assert_close(rows, model.get_senses(torch.tensor([[3, 9, 40]]))[0].transpose(0, 1))


def test_a_table_of_some_takes_a_tensor_of_tokens():
    assert wide_backpack().precompute_senses(torch.tensor([9, 3, 40, 3])).shape[0] == 3


@pytest.mark.parametrize("tokens", [[], [-1], [5, VOCABULARY], [2**40]], ids=str)
def test_tokens_outside_the_vocabulary_are_refused(tokens):
    with pytest.raises(ValueError, match=f"`token_ids` must be ids from 0 to {VOCABULARY - 1}, got "):
        wide_backpack().precompute_senses(tokens)


@pytest.mark.parametrize("tokens", [[1.5], [True], [None], 5], ids=str)
def test_what_is_no_token_is_refused(tokens):
    with pytest.raises(ValueError, match="`token_ids`"):
        wide_backpack().precompute_senses(tokens)


@pytest.mark.parametrize("chunk_size", [0, -1])
def test_a_chunk_size_that_is_not_positive_is_refused(chunk_size):
    with pytest.raises(ValueError, match="`chunk_size`"):
        wide_backpack().precompute_senses(chunk_size=chunk_size)


def test_a_table_in_training_is_refused():
    with pytest.raises(ValueError, match="evaluation mode"):
        wide_backpack().train().precompute_senses()


def test_a_table_without_weights_is_refused():
    with torch.device("meta"):
        model = BackpackModel(tiny_config()).eval()
    with pytest.raises(ValueError, match="weights in memory"):
        model.precompute_senses()


# Inference with it


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("trunk", ["gpt2", "llama", "qwen3"])
def test_logits_with_a_table_are_those_without(trunk, table):
    close(logits(wide_backpack(trunk, table=table), IDS), logits(wide_backpack(trunk), IDS))


@pytest.mark.parametrize("table", TABLES)
def test_all_outputs_with_a_table_are_those_without(table):
    ids, mask = padded_batch([IDS[0], IDS[1, :4]], "left")
    with torch.no_grad():
        found, expected = (
            wide_backpack(table=kind)(ids, attention_mask=mask, pooling_temperature=0.7, **ASKED)
            for kind in (table, None)
        )
    for name in ("senses", "contextualization", "context_vectors", "sense_vectors", "mixture_entropy"):
        close(found[name], expected[name])
    close(found.hidden_states[-1][mask.bool()], expected.hidden_states[-1][mask.bool()])


def test_the_table_is_read_and_nothing_computed():
    model = wide_backpack(table="all")
    table_of(model).rows.zero_()
    assert not logits(model, IDS).any()
    assert torch.equal(generate(model, IDS)[:, 9:], torch.zeros(2, 6, dtype=torch.long))


def test_other_tokens_join_a_table_of_some_when_they_are_met():
    model = wide_backpack(table="some")
    text = generate(model, IDS)
    assert len(table_of(model).rows) == len({*SOME_TOKENS, *text[:, :-1].unique().tolist()})
    close(logits(model, IDS), logits(wide_backpack(), IDS))


def test_the_base_model_has_a_table_of_its_own():
    model = BackpackModel(tiny_config(num_senses=8)).eval()
    with torch.no_grad():
        expected = model(IDS).last_hidden_state
        model.precompute_senses()
        close(model(IDS).last_hidden_state, expected)
        assert model(IDS).past_key_values.layers[-1].values.shape[-1] == 3


def test_precomputing_again_replaces_the_table():
    model = wide_backpack(table="some")
    model.precompute_senses()
    assert table_of(model).row_of is None
    assert len(table_of(model).rows) == VOCABULARY


# Gradients


def gradients(model):
    model(IDS, labels=IDS, use_cache=False).loss.backward()
    return [parameter.grad for parameter in model.parameters()]


@pytest.mark.parametrize("table", TABLES)
def test_gradients_with_a_table_are_those_without(table):
    torch.testing.assert_close(gradients(wide_backpack(table=table)), gradients(wide_backpack()))


@pytest.mark.parametrize(
    "precomputed",
    [
        torch.no_grad,
        torch.inference_mode,
    ],
    ids=["no_grad", "inference_mode"],
)
def test_gradients_around_frozen_senses_use_the_table(precomputed):
    found = []
    for table in (None, "all"):
        model = wide_backpack().requires_grad_(False)
        model.backpack.weight_network.requires_grad_(True)
        with precomputed():
            if table:
                model.precompute_senses()
        cache = model(IDS[:, :8]).past_key_values
        assert cache.layers[-1].values.shape[-1] == (3 if table else 128)
        loss = model(IDS[:, 8:], past_key_values=cache).logits.square().mean() + model(IDS, labels=IDS).loss
        found.append(torch.autograd.grad(loss, list(model.backpack.weight_network.parameters())))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


# Never saved


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_of_the_model_has_no_table(copied):
    model = wide_backpack(table="all")
    other = copied(model)
    assert table_of(other) is None
    assert table_of(model) is not None
    close(logits(other, IDS), logits(model, IDS))


def test_the_table_is_not_in_the_state_dict():
    assert wide_backpack(table="all").state_dict().keys() == wide_backpack().state_dict().keys()


def test_the_table_is_not_saved(tmp_path):
    wide_backpack(table="all").save_pretrained(tmp_path / "with")
    wide_backpack().save_pretrained(tmp_path / "without")
    saved = [load_file(tmp_path / name / "model.safetensors").keys() for name in ("with", "without")]
    assert saved[0] == saved[1]
    assert table_of(BackpackForCausalLM.from_pretrained(tmp_path / "with")) is None


def test_a_model_writes_on_after_its_table_was_dropped():
    model = wide_backpack(table="all")
    expected = greedy_by_hand(model, IDS)
    assert torch.equal(generate(model.train().eval(), IDS), expected)
