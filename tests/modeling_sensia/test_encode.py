"""Sentence vectors without another library: `encode`, and the pipeline that extracts features."""

import pytest
import torch
from torch.nn import functional as F
from transformers import AutoTokenizer, pipeline

from modeling_sensia import BackpackForCausalLM, BackpackModel
from modeling_sensia.sentence_rows import batches_by_length

FOLDER = "examples/assets/backpack-en-mini"
TEXTS = ["Save the file before you close the window.", "Yes", "the naïve café", "Save the file", "Yes"]


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(FOLDER)


@pytest.fixture(scope="module")
def model():
    return BackpackForCausalLM.from_pretrained(FOLDER, dtype="float32")


def closed(tokenizer, text):
    return torch.tensor([[*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id]])


@pytest.mark.parametrize("vector", ["context", "sense"])
@pytest.mark.parametrize("tokens_per_batch", [8, 1024])
def test_vectors_are_those_of_each_text_alone(model, tokenizer, vector, tokens_per_batch):
    found = model.encode(TEXTS, tokenizer, vector=vector, tokens_per_batch=tokens_per_batch)
    for row, text in zip(found, TEXTS, strict=True):
        with torch.no_grad():
            alone = model(closed(tokenizer, text), pooling_temperature=model.config.pooling_temperature)
        torch.testing.assert_close(row, alone[f"{vector}_vectors"][0], rtol=0, atol=1e-5)


def test_the_sense_vector_is_pooled_at_the_temperature_of_the_configuration(model, tokenizer):
    usual = model.encode(TEXTS, tokenizer, vector="sense")
    model.config.pooling_temperature, before = 0.05, model.config.pooling_temperature
    try:
        colder = model.encode(TEXTS, tokenizer, vector="sense")
    finally:
        model.config.pooling_temperature = before
    assert (usual - colder).abs().max() > 1e-3


def test_a_long_text_is_cut_before_its_end_of_text_token(model, tokenizer):
    ids = tokenizer.encode(TEXTS[0], add_special_tokens=False)
    found = model.encode(TEXTS[:1], tokenizer, max_length=4)
    with torch.no_grad():
        expected = model(torch.tensor([[*ids[:3], tokenizer.eos_token_id]]), pooling_temperature=0.7).context_vectors
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_the_model_without_head_gives_the_same_vectors(model, tokenizer):
    bare = BackpackModel.from_pretrained(FOLDER, dtype="float32")
    torch.testing.assert_close(bare.encode(TEXTS, tokenizer), model.encode(TEXTS, tokenizer))


def test_encoding_leaves_the_training_mode_as_it_was(model, tokenizer):
    model.train()
    try:
        model.encode(TEXTS, tokenizer)
        assert model.training and model.backpack.sense_network.training
    finally:
        model.eval()


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        ([], {}, "at least one text"),
        ("one text", {}, "must be a list"),
        (["a", None], {}, "must be a text, got None"),
        (["a"], {"vector": "mean"}, "`vector` must be one of context, sense, got 'mean'"),
        (["a"], {"max_length": 1}, "`max_length` must be at least 2"),
    ],
)
def test_what_cannot_be_encoded_is_refused(model, tokenizer, texts, options, message):
    with pytest.raises(ValueError, match=message):
        model.encode(texts, tokenizer, **options)


def test_the_pipeline_ends_with_the_context_vector_where_the_text_is_closed(model, tokenizer):
    extract = pipeline("feature-extraction", model=FOLDER, dtype="float32")
    tokens = extract(TEXTS[0] + tokenizer.eos_token, return_tensors=True)[0]  # [L, D]
    torch.testing.assert_close(
        F.normalize(tokens[-1], dim=-1), model.encode(TEXTS[:1], tokenizer)[0], rtol=0, atol=1e-5
    )


def test_batches_hold_every_row_once_and_no_more_tokens_than_allowed():
    lengths = [3, 9, 1, 4, 4, 12, 2]
    batches = list(batches_by_length(lengths, tokens=10, most=2))
    assert sorted(row for batch in batches for row in batch) == list(range(7))
    assert batches[0] == [5]  # longer than a batch may be, so by itself
    sizes = [len(batch) * max(lengths[row] for row in batch) for batch in batches[1:]]
    assert max(sizes) <= 10
    assert max(map(len, batches)) == 2
