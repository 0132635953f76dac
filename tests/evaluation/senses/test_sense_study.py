import pytest

from sensia.evaluation.senses.sense_study import choose_geometry_pairs, choose_tags, choose_words
from sensia.evaluation.word_pairs import WordPair, align_words

LEXICON = [WordPair("house", "rumah"), WordPair("walk", "jalan")]
BITEXT = {"en": ["the house", "a walk"], "id": ["rumah itu", "jalan jalan"]}


@pytest.fixture
def tags(tmp_path):
    path = tmp_path / "tags.tsv"
    path.write_text("house\tNOUN\nwalk\tVERB\n", encoding="utf-8")
    return str(path)


def test_tags_come_from_files_or_go_over_by_the_lexicon(tags):
    english = {"house": "NOUN", "walk": "VERB"}
    assert choose_tags(BITEXT, LEXICON, tags, tags) == (english, english)
    assert choose_tags(BITEXT, LEXICON, tags, "lexicon") == (english, {"rumah": "NOUN", "jalan": "VERB"})
    assert choose_tags(BITEXT, LEXICON, None, None) == (None, None)


def test_tags_by_the_lexicon_need_tags_of_english_words():
    with pytest.raises(ValueError, match="give `source_tags` too"):
        choose_tags(BITEXT, LEXICON, None, "lexicon")


def test_listed_words_are_taken_where_a_list_is_given(tmp_path):
    path = tmp_path / "words.tsv"
    path.write_text("word\tfirst\tsecond\tmeanings\nwalk\tjalan\trumah\tm / n\n", encoding="utf-8")
    bitext = {"en": ["we walk", "they walk far"], "id": ["jalan", "rumah"]}
    (word,) = choose_words(bitext, LEXICON, str(path), min_sentences=1)
    assert (word.word, word.rows) == ("walk", ((0,), (1,)))
    assert choose_words(bitext, LEXICON, None, min_sentences=1) == []


def test_pairs_of_the_geometry_come_from_where_they_are_asked_for(backpack, tokenizer, bitext):
    texts = {"en": bitext["source"], "id": bitext["target"]}
    assert choose_geometry_pairs("lexicon", LEXICON, texts, backpack, tokenizer) == LEXICON
    own = choose_geometry_pairs("own_vectors", LEXICON, texts, backpack, tokenizer)
    assert own == align_words(backpack, tokenizer, *texts.values())[0]
    with pytest.raises(ValueError, match="one of lexicon, own_vectors, aligner, got 'else'"):
        choose_geometry_pairs("else", LEXICON, texts, backpack, tokenizer)
