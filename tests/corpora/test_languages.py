import pytest
from sensia.corpora import LANGUAGES, find_language
from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES


@pytest.mark.parametrize(
    ("code", "flores"),
    [
        ("en", "eng_Latn"),
        ("IND", "ind_Latn"),
        ("ind_latn", "ind_Latn"),
        ("ind-Latn", "ind_Latn"),
        ("ekk", "est_Latn"),
        ("ekk_Latn", "est_Latn"),
        ("swa", "swh_Latn"),
        ("swh", "swh_Latn"),
        ("zh", "zho_Hans"),
        ("zho", "zho_Hans"),
        ("zho_Hant", "zho_Hant"),
    ],
)
def test_every_form_of_a_code_finds_its_language(code, flores):
    assert find_language(code).flores == flores


def test_swahili_keeps_the_code_of_the_macrolanguage():
    assert (find_language("swh_Latn").iso1, find_language("swh_Latn").iso3) == ("sw", "swa")


def test_every_flores_code_is_one_that_nllb_was_trained_with():
    assert {language.flores for language in LANGUAGES} <= set(FAIRSEQ_LANGUAGE_CODES)


def test_no_two_languages_share_a_flores_code():
    assert len({language.flores for language in LANGUAGES}) == len(LANGUAGES)


def test_only_the_scripts_of_chinese_share_a_code():
    codes = [code for language in LANGUAGES for code in language.codes]
    assert sorted({code for code in codes if codes.count(code) > 1}) == ["zho"]


def test_a_language_without_a_two_letter_code_is_found_by_three_letters():
    assert find_language("min").iso1 is None


def test_an_unknown_code_is_refused_with_the_nearest_known_one():
    with pytest.raises(ValueError, match=r"'indo_Latn'.*ind_Latn \(Indonesian\)"):
        find_language("indo_Latn")


def test_a_code_like_no_other_is_refused_without_a_guess():
    with pytest.raises(ValueError, match="no known code is near"):
        find_language("!!!!")
