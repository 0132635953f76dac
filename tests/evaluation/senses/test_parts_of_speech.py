import sys

import pytest

from sensia.evaluation.senses.parts_of_speech import carry_over, read_tags, tag_english
from sensia.evaluation.word_pairs import WordPair


def test_tags_are_read_without_regard_to_case(tmp_path):
    path = tmp_path / "tags.tsv"
    path.write_text("The\tDET\n\nthe\tDET\nfile\tNOUN\n", encoding="utf-8")
    assert read_tags(path) == {"the": "DET", "file": "NOUN"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("the\tDET\nfile NOUN\n", "tags.tsv, line 2: expected `word<TAB>tag`, got 'file NOUN'"),
        ("the\t\n", "tags.tsv, line 1: expected"),
        ("run\tNOUN\nrun\tVERB\n", "tags.tsv, line 2: 'run' is tagged 'VERB' here and 'NOUN' before"),
        ("\n", "tags.tsv: no `word<TAB>tag` line"),
    ],
)
def test_tags_of_another_form_are_refused_by_file_and_line(tmp_path, text, message):
    path = tmp_path / "tags.tsv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_tags(path)


def test_a_word_has_the_tag_of_most_of_its_places():
    pytest.importorskip("denckring_en_pos", reason="the tagger is an optional extra, sensia[tags]")
    texts = ["She walks home.", "He walks to the market.", "The walks were long.", "The Market was old.", ""]
    tags = tag_english(texts)
    assert {word: tags[word] for word in ("the", "walks", "market", "she")} == {
        "the": "DET",
        "walks": "VERB",
        "market": "NOUN",
        "she": "PRON",
    }


def test_without_the_tagger_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "denckring_en_pos", None)
    with pytest.raises(ValueError, match=r"pip install \"sensia\[tags\]\""):
        tag_english(["a house"])


def test_translations_take_the_tag_of_their_words_and_say_where_those_differ():
    pairs = [WordPair("House", "Rumah"), WordPair("walk", "jalan"), WordPair("road", "jalan"), WordPair("oh", "aduh")]
    pairs += [WordPair("home", "rumah")]
    tags = {"house": "NOUN", "home": "NOUN", "walk": "VERB", "road": "NOUN"}
    assert carry_over(tags, pairs) == {"rumah": "NOUN", "jalan": "several"}
