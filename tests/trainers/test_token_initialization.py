"""Embeddings that new tokens begin with, against their definitions on a tiny model."""

import copy

import numpy as np
import pytest
import torch

from sensia.corpora.tokenizer_extension import extend_tokenizer
from sensia.trainers.token_initialization import METHODS, NewTokens, _sparsemax, initial_embeddings
from tests.trainers.scenarios.sensia_run import tiny_model


@pytest.fixture(scope="module")
def tokens(bitext, tokenizer):
    sources, targets = list(bitext["source"]), list(bitext["target"])
    extension = extend_tokenizer(tokenizer, sources, targets, 40)
    shared = {number: number for number in tokenizer.get_vocab().values()}
    return NewTokens(
        tiny_model(tokenizer), tokenizer, extension.tokenizer, extension.new_ids, shared, sources, targets
    )


def scaled(rows, tokens):
    return rows * tokens.old_rows.norm(dim=1).mean() / rows.norm(dim=1).mean()


@pytest.mark.parametrize("method", METHODS)
def test_norms_are_those_of_the_old_tokens_on_average(tokens, method):
    rows = initial_embeddings(method, tokens)
    assert rows.shape == (40, tokens.old_rows.shape[1])
    torch.testing.assert_close(rows.norm(dim=1).mean(), tokens.old_rows.norm(dim=1).mean())


def test_mean_is_that_of_the_old_pieces(tokens):
    texts = tokens.new.convert_ids_to_tokens(tokens.ids)
    cut = tokens.old.backend_tokenizer.model
    expected = torch.stack([tokens.old_rows[[piece.id for piece in cut.tokenize(text)]].mean(0) for text in texts])
    torch.testing.assert_close(initial_embeddings("mean", tokens), scaled(expected, tokens))


def test_aligned_finds_the_translation_of_a_token_that_always_stands_beside_it(tokenizer):
    sources = [f" the word {number}" for number in range(50)] + [" a thing"] * 50
    targets = [f" qqqqzz {number}" for number in range(50)] + [" xxwwyy"] * 50
    extension = extend_tokenizer(tokenizer, sources, targets, 11)
    new = {text: number for number, text in enumerate(extension.tokenizer.convert_ids_to_tokens(extension.new_ids))}
    shared = {number: number for number in tokenizer.get_vocab().values()}
    tokens = NewTokens(
        tiny_model(tokenizer), tokenizer, extension.tokenizer, extension.new_ids, shared, sources, targets
    )
    weights = np.asarray(tokens.aligned_weights.todense())
    of_thing, of_word = (set(tokenizer(text)["input_ids"]) for text in (" a thing", " the word"))
    row = weights[new["\u0120xxwwyy"]]
    assert row[list(of_thing)].sum() > 0.9 > row[list(of_word - of_thing)].sum()


@pytest.mark.parametrize("weights", ["piece_weights", "aligned_weights", "static_weights"])
def test_weights_of_a_token_sum_to_one(tokens, weights):
    totals = np.asarray(getattr(tokens, weights).sum(1)).ravel()
    np.testing.assert_allclose(totals, 1)


def test_sense_comes_nearer_to_the_aligned_senses_than_aligned_does(tokens):
    network = tokens.model.backpack.sense_network
    weights = torch.from_numpy(tokens.aligned_weights.toarray()).float()
    with torch.no_grad():
        wanted = weights @ network(tokens.old_rows)
        distances = [
            (network(METHODS[method](tokens)) - wanted).square().sum().item() for method in ("sense", "aligned")
        ]
    assert distances[0] < distances[1]


def test_the_model_is_left_as_it_was(tokens):
    before = {name: weight.clone() for name, weight in tokens.model.named_parameters()}
    initial_embeddings("sense", tokens)
    assert all(torch.equal(weight, before[name]) for name, weight in tokens.model.named_parameters())
    assert all(weight.grad is None for weight in tokens.model.parameters())


@pytest.mark.parametrize("method", METHODS)
def test_rows_that_no_token_has_change_nothing(tokens, method):
    padded = copy.copy(tokens)
    padded.model = tiny_model(tokens.old)
    size = len(tokens.old)
    padded.model.resize_token_embeddings(size + 24)
    rows = padded.model.get_input_embeddings().weight
    with torch.no_grad():
        rows[:size] = tokens.old_rows
        rows[size:] = 100.0
    for name in ("old_rows", "known_rows", "piece_weights", "aligned_weights", "static_weights"):
        padded.__dict__.pop(name, None)  # of the model without such rows
    expected = initial_embeddings(method, tokens)
    torch.testing.assert_close(initial_embeddings(method, padded), expected, rtol=1e-4, atol=1e-5)


def test_random_depends_on_the_seed_alone(tokens):
    first, second = (initial_embeddings("random", tokens) for _ in range(2))
    assert torch.equal(first, second)


def test_sparsemax_is_the_nearest_point_of_the_simplex():
    scores = np.array([0.9, 0.7, 0.1, -0.3])
    # Support {0, 1}: threshold (1.6 - 1) / 2 = 0.3.
    np.testing.assert_allclose(_sparsemax(scores), [0.6, 0.4, 0, 0])


def test_an_unknown_method_is_refused(tokens):
    with pytest.raises(ValueError, match="`token_initialization` must be one of mean, aligned, sense, focus, random"):
        initial_embeddings("guess", tokens)
