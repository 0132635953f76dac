"""Rows of a padded batch read as they do alone, whichever side the pads are on."""

import pytest
import torch
from tiny_backpacks import padded_batch, tiny_backpack, tiny_config, token_ids

SIDES = ["left", "right"]
TRUNKS = ["gpt2", "llama"]
ROWS = [token_ids(9, seed=1), token_ids(4, seed=2), token_ids(1, seed=3)]
SENTENCE_VECTORS = ("context_vectors", "sense_vectors", "mixture_entropy")


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module", params=TRUNKS)
def model(request):
    return tiny_backpack(tiny_config(request.param))


@pytest.mark.parametrize("side", SIDES)
def test_logits_of_a_padded_row_are_those_of_the_row_alone(model, side):
    ids, mask = padded_batch(ROWS, side)
    logits = model(ids, attention_mask=mask).logits
    for index, row in enumerate(ROWS):
        close(logits[index, mask[index].bool()], model(row[None]).logits[0])


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_padding_is_harmless_under_each_attention(side, attention):
    model = tiny_backpack(attn_implementation=attention)
    ids, mask = padded_batch(ROWS, side)
    logits = model(ids, attention_mask=mask).logits
    close(logits[1, mask[1].bool()], model(ROWS[1][None]).logits[0])


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("field", SENTENCE_VECTORS)
def test_sentence_vectors_of_a_padded_row_are_those_of_the_row_alone(model, side, field):
    ids, mask = padded_batch(ROWS, side)
    found = model(ids, attention_mask=mask, pooling_temperature=0.7)[field]
    for index, row in enumerate(ROWS):
        close(found[index], model(row[None], pooling_temperature=0.7)[field][0])


@pytest.mark.parametrize("side", SIDES)
def test_pads_get_no_weight_in_the_contextualization(model, side):
    ids, mask = padded_batch(ROWS, side)
    weights = model(ids, attention_mask=mask, output_contextualization=True).contextualization
    for index in range(len(ROWS)):
        real = mask[index].bool()
        assert not weights[index][:, real][:, :, ~real].any()


@pytest.mark.parametrize("side", SIDES)
def test_the_token_that_pads_does_not_matter(model, side):
    ids, mask = padded_batch(ROWS, side)
    others = torch.where(mask.bool(), ids, 50)
    expected = model(ids, attention_mask=mask, pooling_temperature=0.7)
    found = model(others, attention_mask=mask, pooling_temperature=0.7)
    close(found.logits[mask.bool()], expected.logits[mask.bool()])
    close(found.sense_vectors, expected.sense_vectors)


def test_the_pad_token_inside_a_text_is_a_word(model):
    ids = torch.tensor([[5, 7, 7, 9]])
    close(model(ids, attention_mask=torch.ones_like(ids)).logits, model(ids).logits)


@pytest.mark.parametrize("side", SIDES)
def test_the_loss_of_a_padded_batch_is_the_rows_mean_over_their_tokens(model, side):
    ids, mask = padded_batch(ROWS, side)
    # A left-padded row's first token has a pad before it, which must not predict it.
    labels = ids.masked_fill(mask == 0, -100)
    labels[torch.arange(len(ROWS)), mask.argmax(1)] = -100
    sums = [model(row[None], labels=row[None]).loss * (len(row) - 1) for row in ROWS if len(row) > 1]
    close(model(ids, attention_mask=mask, labels=labels).loss, sum(sums) / sum(len(row) - 1 for row in ROWS))


@pytest.mark.parametrize("side", SIDES)
def test_gradients_of_a_padded_row_are_those_of_the_row_alone(side):
    model = tiny_backpack().double()
    ids, mask = padded_batch(ROWS[:2], side)
    padded = model(ids, attention_mask=mask, pooling_temperature=0.7).sense_vectors[1].sum()
    alone = model(ROWS[1][None], pooling_temperature=0.7).sense_vectors[0].sum()
    parameters = list(model.parameters())
    torch.testing.assert_close(torch.autograd.grad(padded, parameters), torch.autograd.grad(alone, parameters))


def fully_padded_case():
    ids, mask = padded_batch(ROWS[:2], "right")
    mask[1] = 0
    return ids, mask


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_a_fully_padded_row_gives_no_nan(attention):
    ids, mask = fully_padded_case()
    output = tiny_backpack(attn_implementation=attention)(ids, attention_mask=mask, pooling_temperature=0.7)
    for name in ("logits", *SENTENCE_VECTORS):
        assert torch.isfinite(output[name]).all(), name


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_a_fully_padded_row_gives_no_nan_gradient(attention):
    ids, mask = fully_padded_case()
    model = tiny_backpack(attn_implementation=attention)
    output = model(ids, attention_mask=mask, pooling_temperature=0.7, labels=ids.masked_fill(mask == 0, -100))
    loss = output.loss + sum(output[name].sum() for name in SENTENCE_VECTORS)
    loss.backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())


def test_a_fully_padded_row_leaves_its_neighbours_alone(model):
    ids, mask = fully_padded_case()
    close(model(ids, attention_mask=mask).logits[0], model(ROWS[0][None]).logits[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_fully_padded_row_is_finite_in_each_precision(dtype):
    ids, mask = fully_padded_case()
    assert torch.isfinite(tiny_backpack().to(dtype)(ids, attention_mask=mask).logits).all()


def test_given_positions_are_used(model):
    ids = ROWS[0][None]
    shifted = model(ids, position_ids=torch.arange(3, 12)[None]).logits
    close(model(ids, position_ids=torch.arange(9)[None]).logits, model(ids).logits)
    if model.config.trunk_config.model_type == "gpt2":
        assert (shifted - model(ids).logits).abs().max() > 0.1


@pytest.mark.parametrize("dtype", [torch.bool, torch.float32], ids=["boolean", "additive"])
def test_a_four_dimensional_mask_is_followed(dtype):
    model = tiny_backpack(attn_implementation="eager" if dtype == torch.float32 else "sdpa")
    ids, mask = padded_batch(ROWS[:2], "left")
    allowed = torch.ones(9, 9, dtype=torch.bool).tril() & mask[:, None, None].bool()  # [B, 1, L, L]
    full = allowed if dtype == torch.bool else torch.zeros(2, 1, 9, 9).masked_fill(~allowed, torch.finfo(dtype).min)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    found = model(ids, attention_mask=full, position_ids=positions).logits
    close(found[mask.bool()], model(ids, attention_mask=mask).logits[mask.bool()])
