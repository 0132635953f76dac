import pytest

from sensia.evaluation.senses.ambiguous_words import find_ambiguous_words
from sensia.evaluation.word_pairs import WordPair

LETTERS = "bcdfghjklmnpqrstvwxz"


def filler(number):
    """A word of its own for each number, so that no two sentences are near-duplicates."""
    return "".join(LETTERS[(number // 20**place) % 20] for place in range(4)) + "o"


def make_bitext(rows):
    """Sentences of a few given words each, with words around them that are used once."""
    sources = [f"{filler(3 * n)} {source} {filler(3 * n + 1)}" for n, (source, _) in enumerate(rows)]
    return sources, [target for _, target in rows]


def bank_rows(second="tepi", company="river"):
    """`bank` by two translations, each with company of its own where `bank` does not stand."""
    rows = [("the bank lent", "bursa meminjamkan"), ("the bank was", f"{second} itu")] * 6
    rows += [("market lent money", "bursa uang"), (f"{company} shore", f"{second} sungai")] * 5
    return rows + [("other things", "hal lain")] * 400


def find(lexicon, rows, **options):
    return find_ambiguous_words(entries(lexicon), *make_bitext(rows), **{"min_sentences": 4, "evidence": 4, **options})


def entries(lexicon):
    return [WordPair(word, translation) for word, translations in lexicon.items() for translation in translations]


def pairs(words):
    return [(word.word, word.first, word.second) for word in words]


def test_a_word_with_two_translations_of_different_company_is_found_with_its_sentences():
    (word,) = find({"bank": ["bursa", "tepi"]}, bank_rows(), max_share=0.1)
    assert pairs([word]) == [("bank", "bursa", "tepi")]
    assert word.rows == (tuple(range(0, 12, 2)), tuple(range(1, 12, 2)))


def test_a_second_translation_is_found_where_the_word_is_its_closest():
    more = [("bank", "tepi")] * 20
    assert pairs(find({"bank": ["bursa"]}, bank_rows() + more, max_share=0.1)) == [("bank", "bursa", "tepi")]
    assert find({"bank": ["bursa"]}, bank_rows(), max_share=0.1) == []


def test_translations_of_the_same_company_are_synonyms():
    lexicon = {"bank": ["bursa", "tepi"]}
    assert find(lexicon, bank_rows(company="market lent money"), max_share=0.1) == []


def test_translations_that_another_headword_shares_are_synonyms():
    lexicon = {"bank": ["bursa", "tepi"], "edge": ["tepi", "bursa"]}
    assert find(lexicon, bank_rows(), max_share=0.1) == []


@pytest.mark.parametrize("second", ["bursanya", "membursa", "ursa"])
def test_translations_that_share_a_stem_are_one(second):
    assert find({"bank": ["bursa", second]}, bank_rows(second), max_share=0.1) == []


def test_translations_that_stand_together_are_no_alternatives():
    together = [("the bank on both", "bursa tepi")] * 12
    assert find({"bank": ["bursa", "tepi"]}, bank_rows() + together, max_share=0.1) == []


def test_suffixes_come_off_words_whose_rest_is_known():
    rows = [(source, target.replace("tepi itu", "tepiannya")) for source, target in bank_rows("tepian")]
    assert pairs(find({"bank": ["bursa", "tepian"]}, rows, suffixes=["nya"], max_share=0.1)) == [
        ("bank", "bursa", "tepian")
    ]


@pytest.mark.parametrize("options", [{"min_sentences": 7}, {"evidence": 6}, {"max_share": 0.01}])
def test_too_few_sentences_too_little_evidence_and_too_common_a_word_are_left_out(options):
    assert find({"bank": ["bursa", "tepi"]}, bank_rows(), **{"max_share": 0.1, **options}) == []


def test_sentences_count_where_the_word_stands_once_in_lower_case():
    rows = bank_rows()
    rows[0] = ("the Bank lent money", rows[0][1])
    rows[2] = ("the bank of the bank lent", rows[2][1])
    (word,) = find({"bank": ["bursa", "tepi"]}, rows, max_share=0.1)
    assert word.rows[0] == (4, 6, 8, 10)


def test_near_duplicates_count_once_and_long_lists_are_spaced():
    sources, targets = make_bitext(bank_rows())
    sources[2] = sources[0]
    options = {"min_sentences": 3, "evidence": 4, "max_share": 0.1, "max_sentences": 3}
    (word,) = find_ambiguous_words(entries({"Bank": ["Bursa", "tepi"]}), sources, targets, **options)
    assert word.rows == ((0, 4, 8), (1, 5, 9))


def test_sides_of_different_length_are_refused():
    with pytest.raises(ValueError, match="got 1 and 2"):
        find_ambiguous_words(entries({"bank": ["bursa"]}), ["a"], ["a", "b"])
