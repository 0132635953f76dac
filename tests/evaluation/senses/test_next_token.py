"""The explanation of the next token, against the model's own logits and senses."""

import pytest
import torch
from transformers import GPT2Config

from modeling_sensia import BackpackConfig, BackpackForCausalLM
from modeling_sensia.steering import ScaleSenses, Steering
from sensia.evaluation.senses.next_token import explain_next_token, prompt_ids
from sensia.trainers.pretraining import train_tokenizer

TEXT = "the king said that the"
POSITIONS = 24


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["the king said that the queen said it", "a river and the banks of it"], 290)


@pytest.fixture(scope="module")
def model(tokenizer):
    torch.manual_seed(0)
    eos = tokenizer.eos_token_id
    sizes = {"vocab_size": len(tokenizer) + 6, "n_embd": 24, "n_layer": 2, "n_head": 2, "n_positions": POSITIONS}
    trunk = GPT2Config(**sizes, bos_token_id=eos, eos_token_id=eos, initializer_range=0.4)
    return BackpackForCausalLM(BackpackConfig(trunk_config=trunk, num_senses=3)).eval()


def last_logits(model, tokenizer, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0, -1, : len(tokenizer)]


def test_the_contributions_add_up_to_the_logit(model, tokenizer):
    ids = prompt_ids(tokenizer, TEXT, POSITIONS)
    for token_id in (5, 100, 270):
        found = explain_next_token(model, tokenizer, TEXT, token_id=token_id)
        expected = last_logits(model, tokenizer, ids)[token_id]
        assert found.chosen["logit"] == pytest.approx(float(expected), abs=1e-4)
        assert float(found.contributions.sum()) == pytest.approx(float(expected), abs=1e-4)


def test_the_sense_logits_are_senses_times_the_head(model, tokenizer):
    found = explain_next_token(model, tokenizer, TEXT, token_id=100)
    senses = model.get_senses(torch.tensor([[one["id"] for one in found.tokens]]))[0]  # [K, T, D]
    torch.testing.assert_close(found.sense_logits, (senses @ model.lm_head.weight[100]).detach(), atol=1e-5, rtol=1e-5)


def test_the_weights_of_a_sense_add_up_to_one(model, tokenizer):
    found = explain_next_token(model, tokenizer, TEXT)
    torch.testing.assert_close(found.weights.sum(1), torch.ones(3))


def test_the_candidates_are_the_likeliest_tokens(model, tokenizer):
    found = explain_next_token(model, tokenizer, TEXT, top=4)
    expected = last_logits(model, tokenizer, prompt_ids(tokenizer, TEXT, POSITIONS)).softmax(-1).topk(4)
    assert [one["id"] for one in found.candidates] == expected.indices.tolist()
    assert [one["probability"] for one in found.candidates] == pytest.approx(expected.values.tolist(), rel=1e-4)
    assert found.chosen == found.candidates[0]


def test_the_strongest_senses_come_in_the_order_of_their_contributions(model, tokenizer):
    found = explain_next_token(model, tokenizer, TEXT)
    strongest = found.strongest(5)
    assert [one["contribution"] for one in strongest] == found.contributions.flatten().topk(5).values.tolist()
    for one in strongest:
        assert one["contribution"] == pytest.approx(one["weight"] * one["sense_logit"])
        assert one["contribution"] == float(found.contributions[one["sense"], one["place"]])
    assert len(found.strongest(10_000)) == found.contributions.numel()


def test_an_edit_of_senses_is_part_of_the_explanation(model, tokenizer):
    plain = explain_next_token(model, tokenizer, TEXT, token_id=100)
    with Steering([ScaleSenses([1], 2.0)]).applied(model):
        edited = explain_next_token(model, tokenizer, TEXT, token_id=100)
    torch.testing.assert_close(edited.contributions[1], 2 * plain.contributions[1])
    torch.testing.assert_close(edited.contributions[0], plain.contributions[0])
    assert float(edited.contributions.sum()) == pytest.approx(edited.chosen["logit"], abs=1e-4)


def test_no_text_predicts_the_first_token(model, tokenizer):
    found = explain_next_token(model, tokenizer, "")
    assert [one["id"] for one in found.tokens] == [tokenizer.eos_token_id]


def test_a_long_text_keeps_its_end(model, tokenizer):
    text = " ".join([TEXT] * 9)
    found = explain_next_token(model, tokenizer, text)
    ids = tokenizer(text)["input_ids"]
    assert [one["id"] for one in found.tokens] == [tokenizer.eos_token_id, *ids[len(ids) - POSITIONS + 1 :]]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"top": 0}, "`top` must be at least 1, got 0"), ({"token_id": 9999}, "must be one of the .* tokens, got 9999")],
)
def test_wrong_numbers_are_refused(model, tokenizer, options, message):
    with pytest.raises(ValueError, match=message):
        explain_next_token(model, tokenizer, TEXT, **options)
