import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensia.corpora import find_language
from sensia.corpora.languages import column_rank


@pytest.mark.parametrize(
    ("code", "tag"),
    [
        ("en", "eng_Latn"),
        ("IND", "ind_Latn"),
        ("ind_latn", "ind_Latn"),
        ("ind-Latn", "ind_Latn"),
        ("id-ID", "ind_Latn"),
        ("ekk_Latn", "est_Latn"),
        ("swa", "swa_Latn"),
        ("swh_Latn", "swa_Latn"),
        ("zsm_Latn", "msa_Latn"),
        ("zh", "zho_Hans"),
        ("cmn", "zho_Hans"),
        ("zh-TW", "zho_Hant"),
        ("zho_Hant", "zho_Hant"),
        ("yo", "yor_Latn"),
        ("bho", "bho_Deva"),
    ],
)
def test_every_form_of_a_code_finds_its_language(code, tag):
    assert find_language(code).tag == tag


def test_a_language_has_its_english_name():
    names = [find_language(code).name for code in ("id", "swh", "zh", "zho_Hant", "quy")]
    assert names == ["Indonesian", "Swahili", "Chinese", "Chinese (Traditional)", "Ayacucho Quechua"]


def test_swahili_keeps_the_code_of_the_macrolanguage():
    assert (find_language("swh_Latn").iso1, find_language("swh_Latn").iso3) == ("sw", "swa")


def test_a_language_without_a_two_letter_code_is_found_by_three_letters():
    assert find_language("min").iso1 is None


def test_an_unknown_code_is_refused_with_the_nearest_known_one():
    with pytest.raises(ValueError, match=r"'indo_Latn'.*ind_Latn \(Indonesian\)"):
        find_language("indo_Latn")


@given(st.text(max_size=12))
def test_whatever_is_given_is_a_language_or_refused(code):
    try:
        language = find_language(code)
    except ValueError as error:
        assert "unknown language code" in str(error)
    else:
        assert len(language.iso3) == 3 and language.name


@pytest.mark.parametrize(
    ("column", "code"),
    [
        ("zh-CN", "zh"),
        ("zh_cn", "zh"),
        ("zh-Hans", "zh"),
        ("ZH_tw", "zho_Hant"),
        ("pt_BR", "pt"),
        ("en_XX", "en"),
        ("sentence_eng_Latn", "en"),
        ("ind_Latn", "id"),
        ("Indonesian", "id"),
        ("swh_Latn", "sw"),
        ("no", "nb"),
        ("en_text", "en"),
    ],
)
def test_any_spelling_of_a_tag_names_a_column(column, code):
    assert column_rank(column, find_language(code)) is not None


@pytest.mark.parametrize("column", ["text_1", "idx", "doc", "source", "zh_TW", "en", "id_1", ""])
def test_other_names_are_no_language(column):
    assert column_rank(column, find_language("zh")) is None


def test_a_longer_name_is_surer_than_a_short_one():
    names = ["ind_Latn", "ind", "Indonesian", "id"]
    ranks = [column_rank(name, find_language("id")) for name in names]
    assert ranks == sorted(ranks) and len(set(ranks)) == 4
