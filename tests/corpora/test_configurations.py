"""Names of configurations that spell one language or two."""

import pytest

from sensia.corpora import find_language
from sensia.corpora.configurations import (
    check_pair_offered,
    configuration_in,
    configuration_of,
    order_of_names,
    order_of_rows,
    pair_order,
)
from sensia.corpora.languages import NoLanguageError

EN, ID, HI, PT = map(find_language, ("en", "id", "hi", "pt"))


@pytest.mark.parametrize("name", ["en-id", "en_id", "eng-ind", "eng_Latn-ind_Latn", "en-id_ID", "en.id"])
def test_a_pair_is_told_by_any_codes(name):
    assert pair_order(name, (EN, ID)) == pair_order(name, (ID, EN)) == (EN, ID)


@pytest.mark.parametrize("name", ["id-en", "ind_Latn-eng_Latn", "ind-eng"])
def test_the_order_is_that_of_the_name(name):
    assert pair_order(name, (EN, ID)) == (ID, EN)


@pytest.mark.parametrize("name", ["en", "all", "default", "en-jv", "en-id-clean", "", "-"])
def test_other_names_are_not_the_pair(name):
    assert pair_order(name, (EN, ID)) is None


@pytest.mark.parametrize(
    ("names", "languages", "found"),
    [
        (["all", "en-id", "en-ja"], (EN, ID), "en-id"),
        (["eng_Latn-ind_Latn", "ind_Latn-eng_Latn"], (ID, EN), "ind_Latn-eng_Latn"),
        (["default", "eng_Latn", "ind_Latn", "jav_Latn"], (EN, ID), "eng_Latn+ind_Latn"),
        (["eng_Latn", "ind_Latn"], (ID, EN), "ind_Latn+eng_Latn"),
        (["hi", "ta"], (EN, HI), "hi"),
        (["hi", "ta"], (HI, EN), "hi"),
        (["en", "pt-BR"], (EN, PT), "en+pt-BR"),
        (["en-it", "en-jv"], (EN, ID), None),
        (["en", "fr"], (EN, ID), None),
        (["main", "daily"], (EN, ID), None),
    ],
)
def test_the_configuration_of_two_languages(names, languages, found):
    assert configuration_of(names, languages, "org/data") == found


def test_two_configurations_of_one_pair_are_refused():
    with pytest.raises(ValueError, match="'en-id' and 'eng-ind' could both be meant"):
        configuration_of(["en-id", "eng-ind"], (EN, ID), "org/data")


def test_a_name_of_one_language_is_that_of_the_second_column():
    assert order_of_names(["hi", "train"], (EN, HI)) == order_of_names([None, "hin_Deva"], (HI, EN)) == (EN, HI)


@pytest.mark.parametrize(
    "row",
    [
        {"src_lang": "ind_Latn", "tgt_lang": "eng_Latn"},
        {"sourceLang": "ind", "targetlang": "eng"},
        {"lang": "ind-eng"},
        {"lp": "id-en_US"},
    ],
)
def test_rows_that_name_their_languages_tell_the_order(row):
    assert order_of_rows([row, row], (EN, ID), "org/data") == (ID, EN)


def test_rows_of_both_directions_are_refused():
    with pytest.raises(ValueError, match=r"several pairs of languages \(en-id, id-en\)"):
        order_of_rows([{"lang": "en-id"}, {"lang": "id-en"}], (EN, ID), "org/data")


def test_the_configuration_of_one_language_has_any_of_its_codes():
    names = ["default", "cmn_Hans", "cmn_Hant", "eng_Latn", "swh_Latn", "cat_Latn_vale1252"]
    found = {code: configuration_in(names, find_language(code), "org/data") for code in ("sw", "zh", "zho_Hant", "en")}
    assert found == {"sw": "swh_Latn", "zh": "cmn_Hans", "zho_Hant": "cmn_Hant", "en": "eng_Latn"}


def test_a_data_set_of_other_languages_holds_nothing_in_this_one():
    with pytest.raises(NoLanguageError, match=r"nothing in Korean \(kor_Hang\): there is sw, zh"):
        configuration_in(["sw", "translation-sw", "zh", "translation-zh"], find_language("ko"), "org/data")
    pair = (find_language("en"), find_language("ko"))
    with pytest.raises(NoLanguageError, match=r"no pair of English .* and Korean .*: there is en-id, swh-eng"):
        check_pair_offered(["default", "en-id", "swh-eng"], pair, "org/data")


@pytest.mark.parametrize("names", [["default"], ["default", "all"], ["wikitext-2-raw-v1", "plain"]])
def test_names_that_are_no_languages_say_nothing_of_them(names):
    korean = find_language("ko")
    assert configuration_in(names, korean, "org/data") is None
    check_pair_offered(names, (find_language("en"), korean), "org/data")
