from typing import Any, Literal

import pytest
from transformers.trainer_utils import IntervalStrategy

from sensia.trainers.setting_types import read_value

STRATEGY = IntervalStrategy | str


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        (int, 2.0, 2),
        (int, "1e3", 1000),
        (int, "010", 10),
        (int, -1, -1),
        (float, "5e-2", 0.05),
        (float, 3, 3),
        (float, " .5", 0.5),
        (float | None, None, None),
        (bool, "yes", True),
        (bool, "off", False),
        (bool, 1, True),
        (bool | None, "no", False),
        (str, "no", "no"),
        (str, "{", "{"),
        (list[float], ["5e-2", 1], [0.05, 1]),
        (list[float], 0.5, [0.5]),
        (list[str], "a", ["a"]),
        (list[str], [], []),
        (None | str | list[str], "a", "a"),
        (None | str | list[str], ["a"], ["a"]),
        (dict | str | None, '{"a": 1}', {"a": 1}),
        (dict | str | None, "file.json", "file.json"),
        (dict, '{"a": 1}', {"a": 1}),
        (STRATEGY, "no", IntervalStrategy.NO),
        (STRATEGY, False, IntervalStrategy.NO),
        (STRATEGY, "steps", IntervalStrategy.STEPS),
        (str | None | Literal[False], False, False),
        (Any, [1], [1]),
    ],
)
def test_a_value_becomes_one_of_the_type(kind, given, value):
    found = read_value("name", kind, given)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (int, 8.5, "a whole number, got 8.5"),
        (int, "8,5", "a whole number, got '8,5'"),
        (int, "1_000", "a whole number, got '1_000'"),
        (int, True, "a whole number, got true"),
        (int, float("inf"), "a whole number, got inf"),
        (int, [1], r"a whole number, got \[1\]"),
        (int, None, "a whole number, got nothing; give a value, or leave the setting out"),
        (float, "1e-3,", "a number, got '1e-3,'"),
        (float, float("nan"), "a number, got nan"),
        (float, "nan", "a number, got 'nan'"),
        (float, False, "a number, got false"),
        pytest.param(float, 10**400, r"a number, got 10+ \.\.\.", id="long"),
        (bool, "maybe", "true or false, got 'maybe'"),
        (bool, 2, "true or false, got 2"),
        (str, 5, "text, got 5; put it in quotes to make it text"),
        (str, True, "text, got true; put it in quotes"),
        (str, ["id", "tr"], r"text, got \['id', 'tr'\]"),
        (str, {"a": 1}, "text, got {'a': 1}"),
        (list[float], ["x"], r"a list, each a number, got \['x'\]"),
        (list[float], [[1]], "a list, each a number"),
        (list[str], [None], "a list, each text"),
        (list[str], {"a": 1}, "a list, each text"),
        (dict, "a", "a mapping of names to values, got 'a'"),
        (dict, {1: 2}, "a mapping of names to values, got {1: 2}"),
        (dict | str | None, '{"a"', "a mapping of names to values or text, got .*; it is not JSON"),
        (STRATEGY, "step", "one of no, steps, epoch, got 'step'"),
        (STRATEGY, True, "one of no, steps, epoch, got true"),
        (str | bool, 2, "text or true or false, got 2"),
    ],
)
def test_another_value_is_refused_with_what_is_expected(kind, given, message):
    with pytest.raises(ValueError, match=f"^`name` must be {message}") as refused:
        read_value("name", kind, given)
    assert "\n" not in str(refused.value)


def test_a_token_is_never_shown():
    with pytest.raises(ValueError, match="`hub_token` must be text") as refused:
        read_value("hub_token", str, ["hf_secret"])
    assert "secret" not in str(refused.value)


def test_a_long_value_is_shortened():
    with pytest.raises(ValueError, match="`name`") as refused:
        read_value("name", int, "x" * 10_000)
    assert len(str(refused.value)) < 200
