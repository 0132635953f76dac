from pathlib import Path

import pytest

from sensia.evaluation.senses.ambiguous_words import AmbiguousWord
from sensia.evaluation.senses.word_lists import ListedWord, find_listed_words, read_word_list

LISTS = Path(__file__).resolve().parents[3] / "examples/assets/ambiguous_words"
HEADER = "word\tfirst\tsecond\tmeanings\n"
BANK = ListedWord("bank", ("bursa", "pasar"), ("tepi", "sungai*"), "money / river")
LETTERS = "bcdfghjklmnpqrstvwxz"


def filler(number):
    """Words of its own for each number, so that no two sentences are near-duplicates."""
    return " ".join("".join(LETTERS[(3 * number + n) // 20**place % 20] for place in range(4)) for n in range(3))


def find(rows, listed=BANK, **options):
    sources = [f"{filler(n)} {source}" for n, (source, _) in enumerate(rows)]
    return find_listed_words([listed], sources, [target for _, target in rows], min_sentences=1, **options)


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_a_list_is_read_in_its_order_and_in_lower_case(tmp_path):
    path = write(
        tmp_path / "words.tsv", HEADER + "Bank\tbursa, Pasar\ttepi,sungai*\tmoney / river\n\nkey\ta\tb\tc / d\n"
    )
    assert read_word_list(path) == [BANK, ListedWord("key", ("a",), ("b",), "c / d")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("word\tfirst\n", "line 1: expected the columns word, first, second, meanings"),
        (HEADER + "bank\tbursa\ttepi\n", "line 2: expected 4 filled columns"),
        (HEADER + "bank\tbursa\t\tmoney / river\n", "line 2: expected 4 filled columns"),
        (HEADER + "bank\tbursa*\ttepi\tm\n", "line 2: expected translations, the first without"),
        (HEADER + "bank\tbursa, *a\ttepi\tm\n", "line 2: expected translations"),
        (HEADER + "bank\tbursa, tepi\ttepi\tm\n", "line 2: 'tepi' is a translation of both"),
        (HEADER + "bank\ta\tb\tm\nBank\tc\td\tm\n", "line 3: 'bank' was listed before"),
        (HEADER, "there is no word"),
    ],
)
def test_a_list_of_another_form_is_refused_by_file_and_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=rf"words\.tsv.*{message}"):
        read_word_list(write(tmp_path / "words.tsv", text))


def test_a_sentence_shows_the_meaning_of_which_it_alone_has_a_translation():
    rows = [("the bank", "Bursa itu"), ("a bank", "di sungainya"), ("bank here", "bursa tepi"), ("bank", "lain")]
    rows += [("no river", "tepi"), ("banks", "tepi"), ("our bank", "di pasar")]
    assert find(rows) == [AmbiguousWord("bank", "bursa", "tepi", ((0, 6), (1,)))]


def test_sentences_count_where_the_word_stands_once_in_lower_case():
    rows = [("Bank", "bursa"), ("bank bank", "bursa"), ("bank Bank", "bursa"), ("bank", "bursa"), ("bank", "tepi")]
    assert find(rows)[0].rows == ((3,), (4,))


def test_suffixes_come_off_where_four_letters_stay():
    rows = [("bank", "bursanya"), ("bank", "tepinya"), ("bank", "tepi")]
    assert find(rows, suffixes=["nya"])[0].rows == ((0,), (1, 2))
    short = ListedWord("bank", ("bu",), ("tepi",), "m")
    assert find([("bank", "bunya"), ("bank", "tepinya")], short, suffixes=["nya"]) == []


def test_near_duplicates_count_once_and_long_lists_are_spaced():
    rows = [("bank", "bursa")] * 6 + [("bank", "tepi")]
    assert find(rows, max_sentences=3)[0].rows == ((0, 2, 4), (6,))
    same = [["the bank of the river"] * 2 + ["a bank lends"], ["tepi", "tepi", "bursa"]]
    assert find_listed_words([BANK], *same, min_sentences=1)[0].rows == ((2,), (0,))


def test_words_with_too_few_sentences_of_a_meaning_are_left_out():
    rows = [("bank", "bursa")] * 3 + [("bank", "tepi")]
    sources = [f"{filler(n)} {source}" for n, (source, _) in enumerate(rows)]
    assert find_listed_words([BANK], sources, [target for _, target in rows], min_sentences=2) == []


def test_sides_of_different_length_are_refused():
    with pytest.raises(ValueError, match="got 1 and 2"):
        find_listed_words([BANK], ["a"], ["a", "b"])


@pytest.mark.parametrize(("name", "least"), [("en-id", 200), ("en-tr", 80)])
def test_the_lists_that_come_with_the_project_are_valid_and_long_enough(name, least):
    words = read_word_list(LISTS / f"{name}.tsv")
    assert len(words) >= least
    assert [each.word for each in words] == sorted(each.word for each in words)
    assert all(each.meanings.count(" / ") == 1 for each in words)
