"""Encoders for comparing sentences: Backpacks and sentence-transformers models."""

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding, Transformer
from torch.nn import functional as F

from sensia.evaluation.sentence_vectors import sentence_vectors
from sensia.evaluation.similarity import load_encoder, model_state

TEXTS = ["Close the window.", "Tutup jendela.", "A cat."]


@pytest.fixture(scope="session")
def saved(backpack, tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("similarity") / "backpack"
    backpack.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_the_cosine_of_a_backpack_is_the_mean_of_both_cosines(saved, backpack, tokenizer):
    found = load_encoder(str(saved))(TEXTS)
    kinds = sentence_vectors(backpack, tokenizer, TEXTS, pooling_temperature=backpack.config.pooling_temperature)
    context, sense = (F.normalize(kinds[kind], dim=1) for kind in ("context", "sense"))
    assert torch.allclose(found @ found.T, (context @ context.T + sense @ sense.T) / 2, atol=1e-5)


def test_a_sentence_transformers_model_gives_its_own_cosines(tokenizer, tmp_path):
    torch.manual_seed(0)
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer.backend_tokenizer, embedding_dim=8)], device="cpu")
    model.save_pretrained(str(tmp_path / "static"))
    found = load_encoder(str(tmp_path / "static"), device="cpu")(TEXTS)
    assert torch.allclose(found @ found.T, model.similarity(model.encode(TEXTS), model.encode(TEXTS)), atol=1e-5)


def test_a_model_of_another_architecture_is_read_by_sentence_transformers(gpt2, tokenizer, tmp_path):
    SentenceTransformer(modules=[_transformer(gpt2, tokenizer, tmp_path), Pooling(32)]).save(str(tmp_path / "gpt2"))
    found = load_encoder(str(tmp_path / "gpt2"), device="cpu")(TEXTS)
    assert found.shape == (3, 32) and torch.allclose(found.norm(dim=1), torch.ones(3))


def _transformer(model, tokenizer, folder):
    model.base_model.save_pretrained(folder / "bare")
    tokenizer.save_pretrained(folder / "bare")
    return Transformer(str(folder / "bare"))


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing does not exist"):
        load_encoder(str(tmp_path / "nothing"))


def test_another_model_in_the_same_folder_has_another_state(saved):
    before = model_state(str(saved))
    assert before == model_state(str(saved))
    (saved / "added.txt").write_text("x", encoding="utf-8")
    assert model_state(str(saved)) != before
