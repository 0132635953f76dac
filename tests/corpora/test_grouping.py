from sensia.corpora import group_near_duplicates
from sensia.corpora.grouping import word_runs

EIGHT = "one two three four five six seven eight"


def test_eight_shared_words_in_a_row_connect_two_rows():
    rows = [(f"start {EIGHT}", "a"), (f"{EIGHT} end", "b"), ("something else", "c")]
    assert group_near_duplicates(rows) == [[0, 1], [2]]


def test_seven_shared_words_do_not_connect_longer_texts():
    seven = "one two three four five six seven"
    assert group_near_duplicates([(f"{seven} eight nine",), (f"{seven} acht neun",)]) == [[0], [1]]


def test_case_digits_and_punctuation_do_not_count():
    assert group_near_duplicates([("Version 3 is out!",), ("version 12, is out",)]) == [[0, 1]]


def test_either_side_connects():
    rows = [("a", "satu"), ("b", "dua"), ("b", "satu")]
    assert group_near_duplicates(rows) == [[0, 1, 2]]


def test_the_same_words_on_different_sides_do_not_connect():
    assert group_near_duplicates([("menu", "daftar"), ("list", "menu")]) == [[0], [1]]


def test_texts_without_words_are_not_alike():
    assert group_near_duplicates([("1",), ("2",), ("",)]) == [[0], [1], [2]]


def test_in_a_script_without_spaces_sixteen_signs_in_a_row_connect_two_rows():
    sixteen = "一二三四五六七八九十百千万亿年月"
    assert group_near_duplicates([(f"日{sixteen}火",), (f"{sixteen}。水",), (f"{sixteen[:15]}水水",)]) == [[0, 1], [2]]


def test_the_turkish_capital_i_breaks_no_word_apart():
    assert word_runs("İstanbul") == [("istanbul",)]
