"""Checks of one pair: each finds its kind of noise and leaves good pairs alone."""

import pytest

from sensia.corpora import find_language
from sensia.corpora.bitext_build import normalize
from sensia.corpora.pair_checks import CHECKS, Limits, PairContext, script_share

INDONESIAN = PairContext(find_language("en"), find_language("id"), Limits())
CHINESE = PairContext(find_language("en"), find_language("zh"), Limits(), usual_ratio=0.35)
GOOD = [
    ("Open the file.", "Buka berkas."),
    ("In 2019, 1,250 people came.", "Pada tahun 2019, 1.250 orang datang."),
    ("See https://example.org for more.", "Lihat https://example.org untuk lebih lanjut."),
    ("LibreOffice opens the PowerPoint file.", "LibreOffice membuka berkas PowerPoint."),
    ("Yes.", "Ya."),
]
BAD = {
    "too_short": ("A", "B"),
    "too_long": ("word " * 300, "kata " * 300),
    "no_text": ("12 + 34 = 46", "12 + 34 = 46!"),
    "copied": ("Open the file now.", "open the file, NOW"),
    "length_ratio": ("This is a long sentence of which one side has lost nearly everything that it said.", "Ini."),
    "other_script": ("Open the file.", "打开这个文件。"),
    "other_numbers": ("It was in 1999.", "Itu pada tahun 1989."),
    "other_addresses": ("See https://example.org.", "Lihat situs kami."),
    "glued": ("Choose Select and Insert.", "PilihSisipkan dan lanjutkan."),
    "other_language": ("Please close all the windows.", "Bitte schließen Sie alle Fenster im ganzen Haus."),
}


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_finds_its_kind_of_noise(name):
    assert CHECKS[name](*BAD[name], INDONESIAN)


@pytest.mark.parametrize("pair", GOOD)
def test_good_pairs_pass_every_check(pair):
    assert [name for name, fails in CHECKS.items() if fails(*pair, INDONESIAN)] == []


def test_a_script_without_spaces_is_no_fault():
    pair = ("I would like to open this file.", "我想打开这个文件。")
    assert [name for name, fails in CHECKS.items() if fails(*pair, CHINESE)] == []


def test_languages_that_identification_takes_for_each_other_are_kept():
    assert not CHECKS["other_language"]("Open this file now, please.", "Sila buka fail ini sekarang juga.", INDONESIAN)


@pytest.mark.parametrize(
    ("text", "code", "share"),
    [("abc", "en", 1), ("ab\u0431\u0434", "en", 0.5), ("ひらがな漢字", "ja", 1), ("123", "en", 1)],
)
def test_the_share_of_a_script_counts_letters_alone(text, code, share):
    assert script_share(text, find_language(code)) == share


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("  two\u00a0  words ", "two words"),
        ("caf\u0065\u0301", "caf\u00e9"),
        ("schÃ¶n", "schön"),
        ("A &amp; B", "A & B"),
        ("zero\u200bwidth", "zerowidth"),
    ],
)
def test_text_is_normalised(text, clean):
    assert normalize(text) == clean


@pytest.mark.parametrize(
    "target",
    [
        "Ia pergi diRumah itu.",
        "Lalu,Dia pulang.",
        "DanDia pulang.",
        "USADan dia.",
        "Pada bagian3 itu.",
        "Sejak tahun2020 ini.",
    ],
)
def test_words_that_are_glued_together_are_found(target):
    assert CHECKS["glued"]("He went home then.", target, INDONESIAN)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("LibreOffice opens PDFs.", "LibreOffice membuka PDFs."),
        ("He is in Washington D.C. now.", "Ia di Washington D.C. kini."),
        ("The COVID-19 virus of 2019.", "Virus COVID-19 dari 2019."),
        ("It is 3 km; so far.", "Itu 3 km, begitu jauh."),
    ],
)
def test_capitals_and_numbers_of_both_sides_are_not_glued(source, target):
    assert not CHECKS["glued"](source, target, INDONESIAN)


def test_a_language_that_writes_capitals_within_words_has_no_glued_words():
    zulu = PairContext(find_language("en"), find_language("zu"), Limits())
    assert not CHECKS["glued"]("He speaks Zulu.", "Ukhuluma isiZulu.", zulu)


@pytest.mark.parametrize(
    ("source", "target"),
    [("It began at 7 a.m.", "Acara itu mulai pukul 07.00."), ("It was 4:40 am then.", "Saat itu pukul 04.40 pagi.")],
)
def test_times_of_a_day_may_be_written_in_another_way(source, target):
    assert not CHECKS["other_numbers"](source, target, INDONESIAN)
