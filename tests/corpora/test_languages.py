from importlib.resources import files

import langcodes
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES

from sensia.corpora import find_language
from sensia.corpora.languages import FULL_TAG, column_rank, names_language

#: NLLB-200 translates all languages of FLORES-200 but two, which differ by their script alone.
FLORES_200 = (*FAIRSEQ_LANGUAGE_CODES, "arb_Latn", "min_Arab")
#: Of ISO 639: groups of languages, and codes for what is no language.
NO_LANGUAGES = {"collection", "private-use", "special"}


def registered_codes():
    """Codes of the languages that the registry of BCP 47 has, which are those of ISO 639-1 and 639-3."""
    registry = (files("language_data") / "data" / "language-subtag-registry.txt").read_text(encoding="utf-8")
    entries = [dict(line.split(": ", 1) for line in each.split("\n") if ": " in line) for each in registry.split("%%")]
    return [
        each["Subtag"] for each in entries if each.get("Type") == "language" and each.get("Scope") not in NO_LANGUAGES
    ]


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
        ("ko", "kor_Hang"),
        ("ko-KR", "kor_Hang"),
        ("acm", "acm_Arab"),
        ("prs", "prs_Arab"),
        ("fa-AF", "fas_Arab"),
        ("twi", "twi_Latn"),
        ("in", "ind_Latn"),
        ("pt-BR", "por_Latn"),
        ("Indonesian", "ind_Latn"),
        ("maori", "mri_Latn"),
        ("Chinese (Traditional)", "zho_Hant"),
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


@pytest.mark.parametrize("word", ["url", "id", "lid", "tok", "pos", "len", "doc", "ner", "raw", "no", "num"])
def test_a_column_beside_the_text_is_no_language(word):
    assert column_rank(f"en_{word}", find_language("en")) is None


@pytest.mark.parametrize(("column", "code"), [("en_ID", "en"), ("id_ID", "id"), ("id_id", "id"), ("nb_no", "no")])
def test_a_region_in_capitals_or_that_of_the_home_of_a_language_names_a_column(column, code):
    assert column_rank(column, find_language(code)) == FULL_TAG


def test_a_longer_name_is_surer_than_a_short_one():
    names = ["ind_Latn", "ind", "Indonesian", "id"]
    ranks = [column_rank(name, find_language("id")) for name in names]
    assert ranks == sorted(ranks) and len(set(ranks)) == 4


def test_the_codes_of_flores_200_are_204_languages():
    languages = {code: find_language(code) for code in FLORES_200}
    assert len(languages) == len(set(languages.values())) == 204
    assert [code for code, language in languages.items() if code[4:] != language.script] == []


@pytest.mark.parametrize("form", ["{}", "sentence_{}", "translation_{}"])
def test_a_column_named_after_a_code_of_flores_200_is_that_of_its_language_alone(form):
    languages = [(code, find_language(code)) for code in FLORES_200]
    named = {
        code: [other for other, each in languages if column_rank(form.format(code), each) == FULL_TAG]
        for code, _ in languages
    }
    assert named == {code: [code] for code, _ in languages}


def test_every_code_of_iso_639_is_a_language():
    codes = registered_codes()
    assert len([code for code in codes if len(code) == 2]) > 180 and len(codes) > 8000
    for code in codes:
        language = find_language(code)
        assert find_language(language.tag) == language, code
        # Columns of these names are those of a source and of a target far more often.
        assert code in ("src", "tgt") or column_rank(code, language) is not None, code


def test_both_codes_of_a_language_are_one_language():
    for code in registered_codes():
        if len(code) == 2:
            three_letters = langcodes.Language.get(code, normalize=False).to_alpha3()
            assert names_language(three_letters, find_language(code)), code


@pytest.mark.parametrize("name", ["Indonesiann", "Hausaa", "indo", "xx", "  ", "Klingonese"])
def test_what_only_resembles_a_name_is_refused(name):
    with pytest.raises(ValueError, match="unknown language code"):
        find_language(name)
