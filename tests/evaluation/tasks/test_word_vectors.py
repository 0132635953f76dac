"""Context-free word vectors: the means of embeddings and senses over the tokens of a word, of length 1."""

import pytest
import torch
from torch.nn import functional as F

from sensia.evaluation.tasks.word_vectors import word_vectors

WORDS = ["the", "document", "virus", "a"]


@pytest.fixture
def rows(tokenizer):
    return [tokenizer(f" {word}", add_special_tokens=False)["input_ids"] for word in WORDS]


def test_an_embedding_is_the_mean_over_the_tokens_of_a_word_in_running_text(backpack, tokenizer, rows):
    assert {len(row) for row in rows} != {1}  # some word has several tokens
    table = backpack.get_input_embeddings().weight.detach()
    expected = F.normalize(torch.stack([table[row].mean(0) for row in rows]), dim=-1)
    torch.testing.assert_close(word_vectors(backpack, tokenizer, WORDS)["embedding"], expected)


def test_the_cosine_of_sense_vectors_is_the_mean_of_the_cosines_of_each_sense(backpack, tokenizer, rows):
    senses = torch.stack([backpack.get_senses(torch.tensor([row]))[0].mean(1) for row in rows]).detach()  # [N, K, D]
    of_each = F.cosine_similarity(senses[:, None], senses[None], dim=-1)  # [N, N, K]
    found = word_vectors(backpack, tokenizer, WORDS)["sense"]
    torch.testing.assert_close(found @ found.T, of_each.mean(-1), rtol=1e-4, atol=1e-5)


def test_the_sum_of_the_senses_has_length_one(backpack, tokenizer, rows):
    senses = torch.stack([backpack.get_senses(torch.tensor([row]))[0].mean(1) for row in rows]).detach()
    expected = F.normalize(senses.sum(1), dim=-1)
    torch.testing.assert_close(word_vectors(backpack, tokenizer, WORDS)["sense_sum"], expected, rtol=1e-4, atol=1e-5)


def test_a_word_has_the_same_vectors_alone_and_among_others(backpack, tokenizer):
    together, alone = word_vectors(backpack, tokenizer, WORDS), word_vectors(backpack, tokenizer, WORDS[1:2])
    for kind in together:
        torch.testing.assert_close(together[kind][1:2], alone[kind])
