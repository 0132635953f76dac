"""Tokens added to a byte-level BPE tokenizer for another language."""
# ruff: noqa: RUF001

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from sensia.corpora import tokenizer_extension
from sensia.corpora.tokenizer_extension import extend_to_languages, extend_tokenizer
from sensia.trainers.pretraining import train_tokenizer

ENGLISH = [
    "The birch stands beside the river, and the bird sings.",
    "A government of the people does not end with a speech.",
    "They read the same words again, and understood more.",
] * 20
TURKISH = [
    "Bir kuş ırmağın kıyısındaki ağaçta ötüyor.",
    "Halkın hükümeti bir konuşmayla sona ermez.",
    "Aynı sözleri bir daha okudular ve daha çok anladılar.",
] * 20


@pytest.fixture(scope="module")
def base():
    return train_tokenizer(ENGLISH, 330)


@pytest.fixture(scope="module")
def extension(base):
    return extend_tokenizer(base, ENGLISH, TURKISH, 60)


def test_source_text_is_cut_as_before(base, extension):
    assert extension.tokenizer(ENGLISH)["input_ids"] == base(ENGLISH)["input_ids"]


def test_old_tokens_keep_their_ids(base, extension):
    new = extension.tokenizer.get_vocab()
    assert {token: new[token] for token in base.get_vocab()} == base.get_vocab()


def test_new_ids_follow_the_old_ones(base, extension):
    assert extension.new_ids == list(range(len(base), len(base) + 60))


def test_target_text_takes_fewer_tokens(base, extension):
    before, after = (sum(map(len, each(TURKISH)["input_ids"])) for each in (base, extension.tokenizer))
    assert after < 0.6 * before


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=40))
def test_any_text_comes_back(extension, text):
    ids = extension.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert extension.tokenizer.decode(ids) == text


def test_a_word_of_both_texts_gets_no_token(base):
    named = [f"{text} Erdoğanistan" for text in ENGLISH]
    extended = extend_tokenizer(base, named, [f"{text} Erdoğanistan" for text in TURKISH], 60)
    assert extended.tokenizer(" Erdoğanistan")["input_ids"] == base(" Erdoğanistan")["input_ids"]


def test_a_merge_that_source_words_would_use_is_left_out(base):
    alike = " okudularx"  # an English word, say, that begins as a target word does
    free, bound = (extend_tokenizer(base, [*ENGLISH, *more], TURKISH, 60) for more in ([], [alike]))
    assert free.tokenizer.tokenize(alike) != base.tokenize(alike)
    assert bound.tokenizer.tokenize(alike) == base.tokenize(alike)
    assert bound.refused > free.refused


def test_a_rare_word_of_much_source_text_binds_no_merge(base, monkeypatch):
    monkeypatch.setattr(tokenizer_extension, "_LARGE", 1000)  # words, as if this were much text
    monkeypatch.setattr(tokenizer_extension, "_RARE", 1e-3)
    alike, much = " okudularx", ENGLISH * 4
    free, bound = (extend_tokenizer(base, [*much, *[alike] * number], TURKISH, 60).tokenizer for number in (2, 20))
    assert bound.tokenize(alike) == base.tokenize(alike) != free.tokenize(alike)
    assert free(ENGLISH)["input_ids"] == base(ENGLISH)["input_ids"]


def test_a_target_word_in_lines_of_source_text_binds_no_merge(base):
    few, many = ([*ENGLISH * 20, *["They read daha."] * number] for number in (3, 300))
    free, bound = (extend_tokenizer(base, each, TURKISH, 60).tokenizer for each in (few, many))
    assert len(free.tokenize(" daha")) == 1 and bound.tokenize(" daha") == base.tokenize(" daha")
    assert free(ENGLISH)["input_ids"] == base(ENGLISH)["input_ids"]


def test_saved_files_load_by_auto_tokenizer(extension, tmp_path):
    extension.tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded(TURKISH)["input_ids"] == extension.tokenizer(TURKISH)["input_ids"]


def test_learning_twice_gives_the_same_tokens(base, extension):
    again = extend_tokenizer(base, ENGLISH, TURKISH, 60)
    assert again.tokenizer.get_vocab() == extension.tokenizer.get_vocab()


def test_more_tokens_than_the_text_teaches_are_refused(base):
    with pytest.raises(ValueError, match="`new_tokens` 5,000 is more than the target text can teach"):
        extend_tokenizer(base, ENGLISH, TURKISH, 5000)


def test_another_kind_of_tokenizer_is_refused():
    words = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    with pytest.raises(ValueError, match=r"byte-level BPE tokenizer, .* type WordLevel"):
        extend_tokenizer(PreTrainedTokenizerFast(tokenizer_object=words), ENGLISH, TURKISH, 5)


ESTONIAN = [
    "Lind istub j\u00f5e kaldal puu otsas ja laulab.",
    "Rahva valitsus ei l\u00f5pe k\u00f5nega.",
    "Nad lugesid samu s\u00f5nu uuesti ja said rohkem aru.",
] * 8


def test_languages_share_the_tokens_equally_however_much_text_they_have(base):
    extension = extend_to_languages(base, ENGLISH, [TURKISH * 20, ESTONIAN], 60)
    alone = extend_tokenizer(base, ENGLISH, ESTONIAN, 30)
    assert len(extension.new_ids) == 60
    assert extension.tokenizer.convert_ids_to_tokens(extension.new_ids[:30]) == (
        alone.tokenizer.convert_ids_to_tokens(alone.new_ids)
    )
    before, after = (sum(map(len, each(TURKISH)["input_ids"])) for each in (base, extension.tokenizer))
    assert after < 0.8 * before


def test_source_text_is_cut_as_before_with_two_languages(base):
    extension = extend_to_languages(base, ENGLISH, [TURKISH, ESTONIAN], 60)
    assert extension.tokenizer(ENGLISH)["input_ids"] == base(ENGLISH)["input_ids"]


def test_what_a_language_cannot_teach_goes_to_the_others(base):
    extension = extend_to_languages(base, ENGLISH, [TURKISH, ["Lind laulab."] * 5], 60)
    assert len(extension.new_ids) == 60


def test_languages_that_teach_too_little_are_refused(base):
    with pytest.raises(ValueError, match=r"`new_tokens` 5,000 is more than the target text can teach"):
        extend_to_languages(base, ENGLISH, [TURKISH, ESTONIAN], 5000)
