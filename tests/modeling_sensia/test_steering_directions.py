"""What to steer by: words, scores of a topic, and directions in which paired tokens differ."""

import pytest
import torch
from steering_oracles import BAG, DIRECTION, SENSES, naive_topic_scores, words_tokenizer
from tiny_backpacks import VOCABULARY, tiny_backpack

from modeling_sensia.steering import find_direction, find_words, localise, topic_scores

PAIRS = [(5, 9), (17, 41), (3, 60), (8, 30), (11, 12)]


def test_topic_scores_are_shares_of_the_strongest_projection(model, parameters, vocabulary_senses):
    wanted = naive_topic_scores(vocabulary_senses, BAG, parameters["backpack.gpt2_model.wte.weight"])
    torch.testing.assert_close(topic_scores(model, BAG).double(), torch.tensor(wanted).double(), rtol=1e-4, atol=1e-4)


def test_the_direction_is_the_first_principal_component_of_the_differences(model, vocabulary_senses):
    direction = find_direction(model, PAIRS, 2)
    differences = torch.stack([vocabulary_senses[a, 2] - vocabulary_senses[b, 2] for a, b in PAIRS])
    # Independently: the leading eigenvector of the scatter matrix.
    values, vectors = torch.linalg.eigh(differences.T @ differences)
    assert abs(float(direction @ vectors[:, -1])) == pytest.approx(1, abs=1e-6)
    assert float(direction @ differences.sum(0)) > 0
    share = localise(model, PAIRS)[2]["explained"]
    assert share == pytest.approx(float(values[-1] / values.sum()), abs=1e-6)


def test_localise_measures_each_pair_against_the_direction_of_the_others(model, vocabulary_senses):
    cosines = []
    for left_out in PAIRS:
        others = [vocabulary_senses[a, 3] - vocabulary_senses[b, 3] for a, b in PAIRS if (a, b) != left_out]
        axis = torch.linalg.eigh(sum(torch.outer(o, o) for o in others)).eigenvectors[:, -1]
        axis = axis * torch.sign(axis @ sum(others))
        own = vocabulary_senses[left_out[0], 3] - vocabulary_senses[left_out[1], 3]
        cosines.append(float(axis @ own / own.norm()))
    found = localise(model, PAIRS)
    assert [row["sense"] for row in found] == list(range(SENSES))
    assert found[3]["held_out"] == pytest.approx(sum(cosines) / len(cosines), abs=1e-5)


def test_localise_finds_the_sense_that_was_given_the_difference():
    model = tiny_backpack(seed=2)
    axis = torch.tensor(DIRECTION)

    def planted(ids, senses):
        shift = torch.zeros_like(senses)
        shift[..., 2, :] = axis * torch.isin(ids, torch.tensor([a for a, _ in PAIRS]))[..., None] * 30
        return senses + shift

    model.backpack.sense_edit = planted
    held_out = [row["held_out"] for row in localise(model, PAIRS)]
    assert held_out.index(max(held_out)) == 2
    assert float(find_direction(model, PAIRS, 2).float() @ axis / axis.norm()) > 0.9


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "must be pairs of token ids"),
        ([(1, 2, 3)] * 3, "must be pairs of token ids"),
        ([1, 2], "`pairs` must be a list"),
        ([(1, 2)], "at least 3, .* got 1"),
        ([(1, 2), (3, 4), (5, VOCABULARY)], "`token_ids` has 97"),
    ],
)
def test_localise_refuses_what_are_not_enough_pairs(model, pairs, message):
    with pytest.raises(ValueError, match=message):
        localise(model, pairs)


def test_pairs_that_do_not_differ_have_no_direction(model):
    with pytest.raises(ValueError, match="No pair differs"):
        find_direction(model, [(5, 5), (6, 6)], 0)


def test_words_are_found_as_they_stand_in_running_text():
    assert find_words(words_tokenizer(), ["word9", "word60"]) == (9, 60)


def test_a_word_of_several_tokens_is_the_row_of_them():
    assert find_words(words_tokenizer(), ["word9 word8", "word7"]) == ((9, 8), 7)


def test_a_word_without_tokens_is_refused():
    with pytest.raises(ValueError, match="must have at least one letter, got ''"):
        find_words(words_tokenizer(), [""])
