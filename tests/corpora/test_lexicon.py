"""The lexicon of a bitext: which words translate each other, and which belong to the other side."""

import math

import pytest

from sensia.corpora.lexicon import Lexicon, stems

pytest.importorskip("systran_align")


@pytest.fixture(scope="module")
def lexicon():
    words = [("cat", "kuci"), ("dog", "anji"), ("road", "jala"), ("city", "kota"), ("rare", "lang")]
    pairs = [([one[0], other[0]], [one[1], other[1]]) for one in words[:4] for other in words[:4]]
    return Lexicon([*pairs, (["rare"], ["lang"])])


def test_words_are_cut_to_four_letters_and_signs_of_scripts_without_spaces_are_words():
    assert stems("Kucingku lari, 2024!") == ["kuci", "lari", "2024"]
    assert stems("\u732b\u8dd1 COVID") == ["\u732b", "\u8dd1", "covi"]


def test_translated_words_are_surer_than_others(lexicon):
    sure, _ = lexicon.translated(["cat", "dog"], ["kuci", "road"])
    assert sure[0] > 0.8 and sure[1] < 0.5


def test_a_pair_is_not_its_own_proof(lexicon):
    assert lexicon.translated(["rare"], ["lang"]) == (
        [pytest.approx(math.sqrt(2 / 4))],
        [pytest.approx(math.sqrt(2 / 4))],
    )
    assert lexicon.translated(["rare"], ["lang"], left_out=16) == ([0.0], [0.0])


def test_rare_words_weigh_more(lexicon):
    common, rare = lexicon.weights(["cat", "rare"], 0)
    assert common == pytest.approx(math.log(1 + 17 / 9)) and rare == pytest.approx(math.log(1 + 17 / 2))


def test_words_belong_to_the_side_on_which_they_stand(lexicon):
    assert lexicon.belongs(["cat", "kuci", "new"], 0) == [pytest.approx(8.5 / 9), pytest.approx(0.5 / 9), 0.5]


def test_sides_without_words_have_no_links():
    assert Lexicon([([], []), (["cat"], ["kuci"])]).translated([], ["kuci"]) == ([], [0.0])
