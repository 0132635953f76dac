"""The edits of words of several tokens that docs/steering.md compares."""

import pytest
import torch

from benchmarks.steering_words import (
    ReplaceSenses,
    bags,
    damage,
    nats_per_token,
    next_tokens,
    ways_to_swap,
    word_likelihoods,
)
from modeling_sensia.loading import load_base
from modeling_sensia.steering import Steering, SwapSenses, find_words

WORDS = ["perpustakaan", "pelabuhan"]  # of three tokens each


@pytest.fixture(scope="module")
def loaded():
    model, tokenizer = load_base("examples/assets/backpack-id-mini")
    return model.eval(), tokenizer


def senses(model, ids, edit):
    with Steering([edit]).applied(model), torch.no_grad():
        return model.get_senses(torch.tensor([ids]))[0].transpose(0, 1)  # [L, K, D]


def test_the_mean_and_the_sum_stand_at_the_last_token_of_the_word_alone(loaded):
    model, tokenizer = loaded
    word, other = find_words(tokenizer, WORDS)
    ids = [*word, word[-1]]  # the last token by itself is not the word
    plain, new = (model.get_senses(torch.tensor([each]))[0].transpose(0, 1) for each in (ids, list(other)))
    for total, wanted in (("mean", new.mean(0)), ("sum", new.sum(0))):
        found = senses(model, ids, ReplaceSenses((word,), (other,), total))
        torch.testing.assert_close(found[len(word) - 1], wanted)
        kept = [place for place in range(len(ids)) if place != len(word) - 1]
        torch.testing.assert_close(found[kept], plain[kept])


def test_tokens_wherever_they_stand_get_the_senses_at_their_place(loaded):
    model, tokenizer = loaded
    word, other = find_words(tokenizer, WORDS)
    way = ways_to_swap(word, other)["all tokens wherever they stand, each by the other's at its place"]
    found = senses(model, [word[-1], word[0]], way)
    goal = model.get_senses(torch.tensor([[other[min(len(word), len(other)) - 1], other[0]]]))[0].transpose(0, 1)
    torch.testing.assert_close(found, goal)


def test_a_token_that_gets_the_senses_of_one_token_is_a_swap(loaded):
    model, tokenizer = loaded
    own, other = (find_words(tokenizer, [word])[0] for word in ("virus", "dan"))
    own, other = (each if isinstance(each, int) else each[0] for each in (own, other))
    edits = SwapSenses(own, other), ReplaceSenses((own,), ((other,),))
    first, second = (next_tokens(model, tokenizer, "virus", edit) for edit in edits)
    torch.testing.assert_close(first, second)


def test_no_edit_does_no_damage(loaded):
    model, tokenizer = loaded
    word, other = find_words(tokenizer, WORDS)
    same = SwapSenses(word, word)
    assert damage(model, tokenizer, ["Perpustakaan di pelabuhan dibuka."], same) == pytest.approx(0, abs=1e-6)
    assert damage(model, tokenizer, ["Ini perpustakaan, itu pelabuhan."], SwapSenses(word, other)) > 1e-6
    texts = ["Pemerintah mengatakan bahwa."]
    assert nats_per_token(model, tokenizer, texts, same) == pytest.approx(nats_per_token(model, tokenizer, texts))


def test_the_likelihood_of_a_word_is_the_sum_over_its_tokens(loaded):
    model, tokenizer = loaded
    begin = tokenizer(tokenizer.eos_token + "Pemerintah")["input_ids"]
    word = list(find_words(tokenizer, WORDS)[0])
    with torch.no_grad():
        logs = model(torch.tensor([begin + word])).logits[0].log_softmax(-1)
    expected = sum(logs[len(begin) - 1 + place, token].item() for place, token in enumerate(word))
    assert word_likelihoods(model, tokenizer, WORDS[:1], ["Pemerintah"], None) == [pytest.approx(expected, rel=1e-4)]


def test_bags_hold_the_first_the_last_or_all_tokens(loaded):
    words = find_words(loaded[1], WORDS)
    found = bags(words)
    assert found["last, 1"].token_ids == tuple(word[-1] for word in words)
    assert set(found["all, 1"].token_ids) == {token for word in words for token in word}
    assert found["first, 2"].strength == 2.0 and found["none"] is None
