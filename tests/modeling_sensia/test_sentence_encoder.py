"""A saved model as a sentence-transformers model: its vectors, and the end-of-text token that they are taken at."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from fresh_process import run_fresh
from sentence_transformers import SentenceTransformer

from modeling_sensia import BackpackForCausalLM
from modeling_sensia.loading import load_base
from modeling_sensia.sentence_encoder import BackpackSentenceEncoder
from sensia.evaluation.sentence_vectors import sentence_vectors

MINI = Path(__file__).parents[2] / "examples" / "assets" / "backpack-en-mini"
TEMPERATURE = 0.4
TEXTS = [
    "Save the document before you close the window.",
    "Simpan dokumen sebelum menutup jendela.",
    "",
    "naïve café",
    "<|endoftext|> is written here as a text.",
    "word " * 400,
]


@pytest.fixture(scope="module")
def base():
    model, tokenizer = load_base(str(MINI))
    model.config.pooling_temperature = TEMPERATURE
    return model, tokenizer


@pytest.fixture(scope="module")
def folder(base, tmp_path_factory):
    place = tmp_path_factory.mktemp("saved")
    for part in base:
        part.save_pretrained(place)
    return str(place)


@pytest.fixture
def encoder(folder):
    return SentenceTransformer(folder, trust_remote_code=True, device="cpu")


@pytest.fixture(scope="module")
def expected(base):
    """The project's own vectors of the texts."""
    return sentence_vectors(*base, TEXTS, pooling_temperature=TEMPERATURE)


def vectors_of(base, rows, kind="context"):
    """Vectors of rows of token ids, one at a time."""
    model, _ = base
    with torch.no_grad():
        outputs = [model(torch.tensor([row]), pooling_temperature=TEMPERATURE) for row in rows]
    return torch.cat([each[f"{kind}_vectors"] for each in outputs])


def assert_same(found, expected):
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["context", "sense"])
def test_a_vector_by_name_is_the_projects_own(encoder, expected, kind):
    assert_same(encoder.encode(TEXTS, vector=kind), expected[kind])


def test_the_context_vector_is_the_default(encoder, expected):
    assert_same(encoder.encode(TEXTS), expected["context"])


@pytest.mark.parametrize("batch_size", [1, 4])
def test_neither_order_nor_padding_changes_a_vector(encoder, expected, batch_size):
    assert_same(encoder.encode(TEXTS[::-1], batch_size=batch_size)[::-1], expected["context"])


def test_an_encoder_of_one_name_gives_it_to_whoever_calls_encode(encoder, expected):
    encoder[0].vector = "sense"
    assert_same(encoder.encode(TEXTS), expected["sense"])


def test_the_temperature_is_the_models_own_unless_another_is_given(base, folder):
    given = SentenceTransformer(folder, trust_remote_code=True, config_kwargs={"pooling_temperature": 0.1})
    assert_same(given.encode(TEXTS, vector="sense"), sentence_vectors(*base, TEXTS, pooling_temperature=0.1)["sense"])


class TestEndOfText:
    """The last token is the end-of-text token, whatever the caller does."""

    def rows(self, base, texts, limit=256):
        _, tokenizer = base
        return [[*tokenizer.encode(text)[: limit - 1], tokenizer.eos_token_id] for text in texts]

    def test_a_smaller_limit_cuts_before_it(self, encoder, base):
        encoder.max_seq_length = 5
        assert encoder.preprocess(TEXTS[:2])["input_ids"].tolist() == self.rows(base, TEXTS[:2], 5)
        assert_same(encoder.encode(TEXTS[:2]), vectors_of(base, self.rows(base, TEXTS[:2], 5)))

    @pytest.mark.parametrize("limit", [None, 100_000])
    def test_a_limit_beyond_the_positions_is_the_positions(self, encoder, expected, limit):
        encoder.max_seq_length = limit
        assert encoder.max_seq_length == 256
        assert_same(encoder.encode(TEXTS), expected["context"])

    @pytest.mark.parametrize("options", [{"max_length": 5}, {"max_length": 5, "truncation": False}])
    def test_the_limit_of_one_call_cuts_before_it(self, encoder, base, options):
        found = encoder.encode(TEXTS[:2], processing_kwargs={"text": options})
        assert_same(found, vectors_of(base, self.rows(base, TEXTS[:2], 5)))

    def test_a_tokenizer_that_pads_and_truncates_does_not_move_it(self, folder, expected):
        options = {"padding_side": "left", "truncation_side": "left", "model_max_length": 4}
        encoder = SentenceTransformer(folder, trust_remote_code=True, processor_kwargs=options)
        assert_same(encoder.encode(TEXTS), expected["context"])

    @pytest.mark.parametrize("side", ["left", "right"])
    def test_it_is_added_to_token_ids_of_another_tokenizer_call(self, encoder, base, expected, side):
        ids = base[1](TEXTS[:2], return_tensors="pt", padding=True, padding_side=side)
        with torch.no_grad():
            found = encoder(dict(ids))["sentence_embedding"]
        assert_same(found, expected["context"][:2])

    def test_it_is_added_to_token_ids_that_fill_all_positions(self, encoder, base, expected):
        ids = torch.tensor([base[1].encode(TEXTS[5])[:256]])
        with torch.no_grad():
            found = encoder({"input_ids": ids, "attention_mask": torch.ones_like(ids)})["sentence_embedding"]
        assert_same(found, expected["context"][5:6])

    def test_a_row_that_has_it_gets_no_second_one_beside_a_row_that_has_not(self, encoder, base):
        closed, other = (torch.tensor(row) for row in self.rows(base, TEXTS[:2]))
        ids = torch.nn.utils.rnn.pad_sequence([closed, other[:-1]], batch_first=True)
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(closed), torch.ones_like(other[:-1])], True)
        with torch.no_grad():
            found = encoder({"input_ids": ids, "attention_mask": mask})["sentence_embedding"]
        assert_same(found, vectors_of(base, [closed.tolist(), other.tolist()]))

    def test_a_tokenizer_without_it_is_refused(self, encoder):
        encoder.tokenizer.eos_token = None
        with pytest.raises(ValueError, match="no end-of-text token"):
            encoder.encode(TEXTS)


def test_a_prompt_stands_before_the_text(encoder):
    assert_same(encoder.encode("a text", prompt="It is "), encoder.encode("It is a text"))


def test_token_vectors_are_the_mixture(encoder, base):
    model, tokenizer = base
    (found,) = encoder.encode(TEXTS[:1], output_value="token_embeddings")
    ids = torch.tensor([[*tokenizer.encode(TEXTS[0]), tokenizer.eos_token_id]])
    with torch.no_grad():
        mixture = model.backpack(ids).last_hidden_state[0]
    torch.testing.assert_close(found, mixture, rtol=0, atol=1e-4)


def test_the_dimension_is_the_hidden_size(encoder):
    assert encoder.get_embedding_dimension() == 256 == encoder.encode("a").shape[0]


def test_an_encoder_that_is_saved_keeps_its_vector_and_its_limit(encoder, tmp_path):
    encoder[0].vector, encoder.max_seq_length = "sense", 7
    encoder.save_pretrained(str(tmp_path))
    again = SentenceTransformer(str(tmp_path), trust_remote_code=True, device="cpu")
    assert (again[0].vector, again.max_seq_length) == ("sense", 7)
    assert_same(again.encode(TEXTS), encoder.encode(TEXTS))


def test_an_encoder_that_is_saved_is_still_a_language_model(encoder, base, tmp_path):
    encoder.save_pretrained(str(tmp_path))
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        torch.testing.assert_close(BackpackForCausalLM.from_pretrained(tmp_path)(ids).logits, base[0](ids).logits)


def test_gradients_reach_the_senses(encoder):
    encoder(encoder.preprocess(TEXTS[:2]))["sentence_embedding"].sum().backward()
    assert encoder[0].model.backpack.sense_network.final_mlp.c_proj.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("texts", "options", "words"),
    [
        (["a"], {"vector": "mean"}, "`vector` must be one of context, sense, got 'mean'"),
        ([("a", "b")], {}, r"must be a text, got \('a', 'b'\)"),
        (["a"], {"processing_kwargs": {"text": {"max_length": 1}}}, "got a limit of 1"),
    ],
)
def test_what_it_cannot_encode_is_refused(encoder, texts, options, words):
    with pytest.raises(ValueError, match=words):
        encoder.encode(texts, **options)


def test_another_backend_is_refused(folder):
    with pytest.raises(ValueError, match="`backend` must be torch for a Backpack, got 'onnx'"):
        BackpackSentenceEncoder.load(folder, backend="onnx")


def test_code_is_not_run_unasked(folder):
    with pytest.raises(ValueError, match="trust_remote_code=True"):
        SentenceTransformer(folder)


STRANGER = """
import json, pathlib, sys
sys.modules["modeling_sensia"] = None  # importing the package fails from here on
from sentence_transformers import SentenceTransformer

folder, texts = sys.argv[1], json.loads(pathlib.Path("texts.json").read_text())
encoder = SentenceTransformer(folder, trust_remote_code=True, device="cpu")
first = encoder.encode(texts).tolist()
encoder.save_pretrained("again")
again = SentenceTransformer("again", trust_remote_code=True, device="cpu").encode(texts, vector="sense").tolist()
print(json.dumps({"module": type(encoder[0].model).__module__, "context": first, "sense": again}))
"""

WITHOUT_LIBRARY = """
import sys
sys.modules["modeling_sensia"] = sys.modules["sentence_transformers"] = None
from transformers import AutoModelForCausalLM

AutoModelForCausalLM.from_pretrained(sys.argv[1], trust_remote_code=True).save_pretrained("again")
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["context", "sense"])
def test_without_this_package_the_vectors_are_the_same(stranger, expected, kind):
    assert stranger["module"].startswith("transformers_modules.")
    assert_same(stranger[kind], expected[kind])


@pytest.fixture(scope="module")
def stranger(folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("stranger")
    (place / "texts.json").write_text(json.dumps(TEXTS))
    return json.loads(run_fresh(STRANGER, folder, folder=place).splitlines()[-1])


@pytest.mark.slow
def test_what_somebody_without_the_library_saves_has_the_encoder(folder, expected, tmp_path):
    run_fresh(WITHOUT_LIBRARY, folder, folder=tmp_path)
    for file in Path(folder).glob("tokenizer*"):
        (tmp_path / "again" / file.name).write_bytes(file.read_bytes())
    again = SentenceTransformer(str(tmp_path / "again"), trust_remote_code=True, device="cpu")
    assert_same(again.encode(TEXTS), expected["context"])
