from sensia.corpora import group_near_duplicates

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
