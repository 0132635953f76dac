"""Tokenizers without the tokens that a text never uses."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sensia.corpora import read_pairs
from sensia.corpora.tokenizer_pruning import prune_tokenizer
from sensia.trainers.pretraining import train_tokenizer
from sensia.trainers.target_tokenizer import with_embeddings
from tests.trainers.scenarios.sensia_run import BITEXT, tiny_model


@pytest.fixture(scope="module")
def texts():
    rows = read_pairs(BITEXT, source_language="en", target_language="id").select(range(200))
    return list(rows["source"]), list(rows["target"])


@pytest.fixture(scope="module")
def tokenizer(texts):
    return train_tokenizer([*texts[0], *texts[1]], 900)


@pytest.fixture(scope="module")
def pruned(tokenizer, texts):
    return prune_tokenizer(tokenizer, texts[1])


def test_the_text_is_cut_into_the_same_tokens(tokenizer, pruned, texts):
    smaller, _ = pruned
    assert len(smaller) < len(tokenizer)
    for text in texts[1]:
        assert smaller.tokenize(text) == tokenizer.tokenize(text)


def test_each_id_is_that_of_the_same_token(tokenizer, pruned):
    smaller, old_ids = pruned
    assert smaller.convert_ids_to_tokens(range(len(smaller))) == tokenizer.convert_ids_to_tokens(old_ids)
    assert smaller.eos_token == tokenizer.eos_token


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=40))
def test_any_text_comes_back(pruned, text):
    smaller, _ = pruned
    assert smaller.decode(smaller(text, split_special_tokens=True)["input_ids"]) == text


def test_logits_of_the_kept_tokens_are_those_of_the_whole_model(tokenizer, pruned, texts):
    smaller, old_ids = pruned
    model = tiny_model(tokenizer).eval()
    text = min(texts[1], key=len)
    with torch.no_grad():
        expected = model(input_ids=torch.tensor([tokenizer(text)["input_ids"]])).logits[..., old_ids]
        rows = model.get_input_embeddings().weight[old_ids].clone()
        cut = with_embeddings(model, rows, smaller, dict(enumerate(old_ids)))
        ids = torch.tensor([smaller(text)["input_ids"]])
        given_logits = cut(input_ids=ids).logits
        cut.precompute_senses()
        by_table = cut(input_ids=ids).logits
    torch.testing.assert_close(given_logits, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(by_table, expected, rtol=1e-5, atol=1e-6)
