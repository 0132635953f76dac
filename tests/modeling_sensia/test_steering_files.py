"""Steerings in files: what is written, read back and refused."""

import json

import pytest
from steering_oracles import EDITS, words_tokenizer

from modeling_sensia.steering import ScaleSenses, Steering, SwapSenses, TowardsTopic


@pytest.fixture(scope="module")
def tokenizer():
    return words_tokenizer()


def test_a_file_gives_back_what_was_saved(tokenizer, tmp_path):
    steering = Steering(EDITS.values())
    steering.save(tmp_path / "steering.json", tokenizer)
    assert Steering.load(tmp_path / "steering.json", tokenizer) == steering
    assert [path.name for path in tmp_path.iterdir()] == ["steering.json"]


def test_a_file_holds_the_texts_of_the_tokens_that_edits_name(tokenizer, tmp_path):
    Steering([SwapSenses(9, 60), ScaleSenses([0], 0, [17])]).save(tmp_path / "steering.json", tokenizer)
    written = json.loads((tmp_path / "steering.json").read_text(encoding="utf-8"))
    assert written["version"] == 1
    assert written["tokens"] == {"9": "word9", "17": "word17", "60": "word60"}
    assert written["edits"][1] == {"edit": "ScaleSenses", "senses": [0], "factor": 0.0, "token_ids": [17]}


def test_a_token_that_the_tokenizer_does_not_have_cannot_be_saved(tokenizer, tmp_path):
    with pytest.raises(ValueError, match="no token 5000"):
        Steering([SwapSenses(9, 5000)]).save(tmp_path / "steering.json", tokenizer)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_tokenizer_is_refused(tokenizer, tmp_path):
    Steering([SwapSenses(9, 60)]).save(tmp_path / "steering.json", tokenizer)
    with pytest.raises(ValueError, match=r"steering.json: `tokens` has 'word9' for 9; .* 'other9'"):
        Steering.load(tmp_path / "steering.json", words_tokenizer("other"))


SAVED = {"format": "sensia-steering", "version": 1, "tokens": {}, "edits": []}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "else"}, "`format`"),
        ({"version": 2}, "`version` must be 1, got 2"),
        ({"tokens": []}, "`tokens` must be an object"),
        ({"edits": {}}, "`edits` a list"),
        ({"edits": [{"edit": "Unknown"}]}, r"edits\[0\]: `edit` must be one of .* got 'Unknown'"),
        ({"edits": [7]}, r"edits\[0\]: `edit` must be one of"),
        ({"edits": [{"edit": "ScaleSenses", "senses": [0], "factor": 1}]}, r"edits\[0\]: `token_ids` is missing"),
        (
            {"edits": [{"edit": "ScaleSenses", "senses": [0], "factor": 1, "token_ids": None, "x": 1}]},
            r"edits\[0\]: `x` is not a field of ScaleSenses",
        ),
        (
            {"edits": [{"edit": "ScaleSenses", "senses": [0], "factor": "1", "token_ids": None}]},
            r"edits\[0\]: `factor` must be a finite number, got '1'",
        ),
        (
            {"edits": [{"edit": "TowardsTopic", "token_ids": [9], "strength": 1}]},
            "`tokens` has None for 9; for this tokenizer it is 'word9'",
        ),
    ],
)
def test_a_file_that_is_wrong_is_refused_by_its_field(tokenizer, tmp_path, change, message):
    path = tmp_path / "steering.json"
    path.write_text(json.dumps({**SAVED, **change}), encoding="utf-8")
    with pytest.raises(ValueError, match=message) as error:
        Steering.load(path, tokenizer)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("content", ["{", None], ids=["broken", "missing"])
def test_a_file_that_cannot_be_read_is_named(tokenizer, tmp_path, content):
    path = tmp_path / "steering.json"
    if content:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"steering\.json cannot be read as JSON"):
        Steering.load(path, tokenizer)


def test_words_of_several_tokens_are_read_as_they_were_written(tmp_path):
    steering = Steering([SwapSenses((9, 5), 60), ScaleSenses([1], 2.0, [7, (3, 4, 5)]), TowardsTopic([(9, 5)], 1.0)])
    steering.save(tmp_path / "edit.json", words_tokenizer())
    assert Steering.load(tmp_path / "edit.json", words_tokenizer()) == steering
    assert set(json.loads((tmp_path / "edit.json").read_text())["tokens"]) == {"3", "4", "5", "7", "9", "60"}
