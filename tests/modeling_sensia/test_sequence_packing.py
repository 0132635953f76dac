"""Sentences that share rows, and senses that are computed once a token, against one row and one position each."""

import pytest
import torch
from tiny_backpacks import TRUNKS, VOCABULARY, padded_batch, tiny_backpack, tiny_config, token_ids
from torch.nn import functional as F

from modeling_sensia.modeling_backpack import mix_senses
from modeling_sensia.positions_and_masks import Sentences
from modeling_sensia.sense_mixing import SensesByToken, mix_and_measure, pool_senses
from sensia.trainers.collator import pack

LENGTHS = [9, 4, 5, 7, 2, 1]


def sentences():
    return [token_ids(length, seed=length) for length in LENGTHS]


def shared(rows, width=10):
    """`input_ids`, `sentence_ids`, `sentence_ends` and `labels` of sentences in shared rows, token by token."""
    places = pack([len(row) for row in rows], width)
    shape = max(row for row, _ in places) + 1, width
    ids, numbers, labels = torch.full(shape, 7), torch.full(shape, -1), torch.full(shape, -100)
    ends = []
    for number, (tokens, (row, start)) in enumerate(zip(rows, places, strict=True)):
        for offset, token in enumerate(tokens.tolist()):
            ids[row, start + offset], numbers[row, start + offset] = token, number
            if offset:
                labels[row, start + offset] = token
        ends.append(row * width + start + len(tokens) - 1)
    assert shape[0] < len(rows)
    return {"input_ids": ids, "sentence_ids": numbers, "sentence_ends": torch.tensor(ends), "labels": labels}


def alone(rows):
    ids, mask = padded_batch(rows, "right")
    return {"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(mask == 0, -100)}


def objective(model, batch):
    outputs = model(**batch, pooling_temperature=0.7, label_smoothing=0.1, return_logits=False, use_cache=False)
    parts = (outputs.context_vectors, outputs.sense_vectors, outputs.mixture_entropy)
    generator = torch.Generator().manual_seed(3)
    directions = [torch.randn(part.shape, generator=generator, dtype=part.dtype) for part in parts]
    total = sum((part * direction).sum() for part, direction in zip(parts, directions, strict=True))
    return parts, outputs.loss, total + outputs.loss


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("trunk", TRUNKS)
def test_sentences_in_shared_rows_give_what_they_give_alone(trunk, attention):
    results = []
    for lay_out in (shared, alone):
        model = tiny_backpack(tiny_config(trunk), attn_implementation=attention).double().train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        parts, loss, total = objective(model, lay_out(sentences()))
        gradients = torch.autograd.grad(total, list(model.parameters()))
        results.append((*parts, loss, *gradients))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-9)


def test_a_sentence_does_not_depend_on_its_neighbours():
    model, first = tiny_backpack(), token_ids(4, seed=1)
    outputs = [
        objective(model, shared([token_ids(9, seed=5), first, token_ids(3, seed=other)]))[0] for other in (8, 9)
    ]
    for one, two in zip(*outputs, strict=True):
        torch.testing.assert_close(one[1], two[1])
        assert not torch.equal(one[2], two[2])


def test_positions_start_anew_with_each_sentence():
    ids = torch.tensor([[2, 2, 2, 0, 0, -1], [1, 3, 3, 3, 3, 3]])
    expected = torch.tensor([[0, 1, 2, 0, 1, 0], [0, 0, 1, 2, 3, 4]])
    assert torch.equal(Sentences(ids, torch.tensor([])).position_ids(), expected)


def test_a_position_looks_at_the_earlier_ones_of_its_sentence_and_pads_at_pads():
    mask = Sentences(torch.tensor([[1, 1, 0, -1]]), torch.tensor([])).attention_mask()
    expected = [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert mask.int().tolist() == [[expected]]


def test_shared_rows_on_top_of_a_cache_are_refused():
    model = tiny_backpack()
    cache = model(token_ids(1, 3)).past_key_values
    with pytest.raises(ValueError, match="Packed sentences"):
        model(**shared(sentences()), past_key_values=cache)


def test_senses_are_computed_once_for_each_distinct_token():
    model = tiny_backpack()
    seen = []
    model.backpack.sense_network.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].shape[0]))
    ids = torch.tensor([[5, 6, 5, 5], [6, 6, 9, 5]])
    model(ids, use_cache=False)
    assert seen == [3]


def test_with_sense_dropout_a_token_has_one_mask_a_batch():
    model = tiny_backpack(tiny_config(sense_dropout=0.5)).train()
    senses = model(torch.tensor([[5, 6, 5], [6, 5, 9]]), output_senses=True, use_cache=False).senses  # [B, K, L, D]
    assert torch.equal(senses[0, :, 0], senses[0, :, 2]) and torch.equal(senses[0, :, 0], senses[1, :, 1])
    other = model(torch.tensor([[5, 6, 5], [6, 5, 9]]), output_senses=True, use_cache=False).senses
    assert not torch.equal(senses, other)


@pytest.fixture
def case():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(5, 3, 4, generator=generator, dtype=torch.float64).requires_grad_()  # [U, K, D]
    scores = torch.randn(2, 3, 6, 6, generator=generator, dtype=torch.float64)
    weights = scores.softmax(-1).requires_grad_()
    index = torch.tensor([[0, 1, 1, 4, 0, 2], [3, 3, 3, 3, 2, 0]])
    return weights, rows, index


@pytest.mark.parametrize(
    "function",
    [
        lambda weights, senses: (mix_senses(weights, senses),),
        mix_and_measure,
        lambda weights, senses: pool_senses(weights, senses, torch.ones(2, 6), 0.7),
    ],
    ids=["mixture", "norms", "pooling"],
)
def test_senses_by_token_are_those_by_position_in_value_and_gradient(case, function):
    weights, rows, index = case
    results = []
    for senses in (SensesByToken(rows, index), rows[index].transpose(1, 2)):
        values = function(weights, senses)
        total = sum((value * torch.arange(value.numel()).view_as(value)).sum() for value in values)
        results.append((*values, *torch.autograd.grad(total, (weights, rows))))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


def test_the_gradient_of_a_frequent_token_keeps_growing_in_bfloat16():
    positions = 4096
    rows = torch.ones(1, 1, 1, dtype=torch.bfloat16, requires_grad=True)
    weights = torch.eye(positions, dtype=torch.bfloat16)[None, None]  # [1, 1, L, L]
    mix_senses(weights, SensesByToken(rows, torch.zeros(1, positions, dtype=torch.long))).sum().backward()
    assert rows.grad.item() == positions


def test_the_fused_activation_is_that_of_the_configuration():
    values = torch.linspace(-6, 6, 1001)
    trunk = tiny_backpack(tiny_config(trunk_overrides={"activation_function": "gelu_new"})).backpack.trunk
    expected = 0.5 * values * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (values + 0.044715 * values**3)))
    torch.testing.assert_close(trunk.h[0].mlp.act(values), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(trunk.h[0].mlp.act(values), F.gelu(values, approximate="tanh"), rtol=0, atol=0)
    assert trunk.config.activation_function == "gelu_new" and trunk.config.vocab_size == VOCABULARY
