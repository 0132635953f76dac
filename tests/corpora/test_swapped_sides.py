"""Pairs whose sides are swapped: found by their languages, swapped back, counted, and checked as any other pair."""

import pytest

from sensia.corpora import find_language
from sensia.corpora.bitext_build import check_pairs
from sensia.corpora.bitext_reports import SourceReport
from sensia.corpora.pair_checks import Limits
from sensia.corpora.text_language import are_swapped

ENGLISH, INDONESIAN, CHINESE = map(find_language, ("en", "id", "zh"))
PAIRS = [
    ("She wanted to know where the children were playing.", "Dia ingin tahu di mana anak-anak itu sedang bermain."),
    ("The government will build a new school in this village.", "Pemerintah akan membangun sekolah baru di desa ini."),
    (
        "We should not forget what happened to our friends.",
        "Kita tidak boleh melupakan apa yang terjadi pada teman kita.",
    ),
    ("In 2019 the market was closed because of the flood.", "Pada tahun 2019 pasar itu ditutup karena banjir."),
    ("They have been waiting for the doctor since this morning.", "Mereka sudah menunggu dokter itu sejak tadi pagi."),
]
CHINESE_PAIRS = [
    ("She wanted to know where the children of the village were playing.", "她想知道孩子们在哪里玩。"),
    ("The government will build a new school in this village next year.", "政府明年将在这里建学校。"),
    ("We should not forget what happened to our friends in the war.", "我们不应该忘记朋友的事。"),
]


def turned(pairs):
    return [(target, source) for source, target in pairs]


def checked(sides, steps, target=INDONESIAN):
    report = SourceReport()
    rows = [{"source": source, "target": other} for source, other in sides]
    passed = check_pairs(rows, steps, (ENGLISH, target), Limits(), report)
    return [(pair["source"], pair["target"]) for pair in passed], report


@pytest.mark.parametrize("pair", PAIRS)
def test_each_side_in_the_language_of_the_other_is_swapped(pair):
    assert are_swapped(*pair[::-1], (ENGLISH, INDONESIAN), 0.5) is True


@pytest.mark.parametrize("pair", PAIRS)
def test_each_side_in_its_own_language_is_not_swapped(pair):
    assert are_swapped(*pair, (ENGLISH, INDONESIAN), 0.5) is False


@pytest.mark.parametrize(
    ("source", "target", "languages"),
    [
        (PAIRS[0][1], PAIRS[1][1], ("en", "id")),
        (PAIRS[0][0], PAIRS[1][0], ("en", "id")),
        (PAIRS[0][1], "Das ist ein ganz anderer Satz in einer anderen Sprache.", ("en", "id")),
        ("OK", "12", ("en", "id")),
        (PAIRS[0][1], PAIRS[1][1], ("id", "ms")),
        (PAIRS[0][1], PAIRS[0][0], ("en", "yue")),
    ],
    ids=["both of one", "both of the other", "a third language", "no words", "relatives", "not known"],
)
def test_what_is_not_clear_is_left_as_it_is(source, target, languages):
    assert are_swapped(source, target, tuple(map(find_language, languages)), 0.5) is None


def test_swapped_pairs_are_swapped_back_and_counted_with_three_examples():
    passed, report = checked([PAIRS[0], *turned(PAIRS[1:])], ["normalize", "swapped"])
    assert passed == PAIRS
    assert (report.told, report.swapped.pairs) == (5, 4)
    assert report.swapped.examples == [list(pair) for pair in turned(PAIRS[1:4])]
    assert report.steps == {}


def test_a_pair_that_is_swapped_back_goes_through_the_later_steps():
    wrong = (PAIRS[3][1].replace("2019", "1998"), PAIRS[3][0])
    passed, report = checked([wrong, *turned(PAIRS)], ["swapped", "other_numbers", "other_language"])
    assert passed == PAIRS and {name: step.pairs for name, step in report.steps.items()} == {"other_numbers": 1}


def test_the_usual_ratio_of_lengths_is_that_of_pairs_swapped_back():
    passed, report = checked(turned(CHINESE_PAIRS), ["swapped", "length_ratio", "other_script"], CHINESE)
    assert passed == CHINESE_PAIRS and report.swapped.pairs == 3


def test_without_the_step_swapped_pairs_are_dropped():
    passed, report = checked(turned(PAIRS), ["normalize", "other_language"])
    assert len(passed) + report.steps["other_language"].pairs == 5 and report.steps["other_language"].pairs > 0
    assert report.swapped.pairs == report.told == 0


@pytest.mark.parametrize(("right", "swapped", "whole"), [(0, 20, True), (2, 18, True), (3, 17, False), (0, 19, False)])
def test_a_source_is_swapped_as_a_whole_where_nearly_all_that_is_clear_is(right, swapped, whole):
    _, report = checked([PAIRS[0]] * right + turned(PAIRS[:1]) * swapped, ["swapped"])
    assert report.is_swapped is whole
