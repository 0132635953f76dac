import pytest

from sensia.evaluation.rounding import rounded


def test_fractions_are_rounded_to_significant_digits_wherever_they_stand():
    given = {"a": [0.123456, (1234.56, 7)], "b": {"c": -0.000123456, "d": None, "e": "0.123456", "f": True}}
    expected = {"a": [0.123, [1230.0, 7]], "b": {"c": -0.000123, "d": None, "e": "0.123456", "f": True}}
    assert rounded(given, 3) == expected
    assert given["a"][0] == 0.123456


def test_less_than_one_digit_is_refused():
    with pytest.raises(ValueError, match="got 0"):
        rounded(1.5, 0)
