"""The type of a setting: what was written in a file or typed becomes what the dataclass wants, or is refused."""

import json
import math
import types
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin

from sensia.trainers.yaml_settings import read_number

#: As `transformers.HfArgumentParser` takes truth values, and `on` and `off` of YAML 1.1.
_TRUTH = dict.fromkeys(("true", "yes", "on", "t", "y", "1"), True)
_TRUTH |= dict.fromkeys(("false", "no", "off", "f", "n", "0"), False)
_LONGEST = 80


def read_value(name: str, kind: Any, value: Any) -> Any:
    """
    A setting's value in its type.

    Args:
        name (`str`): the setting, for the message.
        kind (`type`): annotation of its field.
        value: what YAML gave, or the text that was typed; of a list, the texts.

    Returns:
        The value: a whole float as `int`, a number in text as a number, a single value as a list of one.

    Raises:
        ValueError: in one line that names the setting, what is expected and what was given.
    """
    try:
        return _convert(kind, value)
    except _MisfitError as misfit:
        shown = "a value that is not shown" if name == "hub_token" else show_value(value)
        why = f"; {misfit}" if str(misfit) else ""
        raise ValueError(f"`{name}` must be {describe_type(kind)}, got {shown}{why}.") from None


class _MisfitError(Exception):
    """A value that is not of the type; its text is an advice, or empty."""


def _convert(kind: Any, value: Any) -> Any:
    members = _members(kind)
    if value is None:
        if type(None) in members or kind is Any:
            return None
        raise _MisfitError("give a value, or leave the setting out")
    members = [each for each in members if each is not type(None)]
    if len(members) > 1:
        return _convert_any(members, value)
    (kind,) = members
    if kind is Any:
        return value
    origin = get_origin(kind) or kind
    if origin is Literal:
        return _convert_literal(get_args(kind), value)
    if issubclass(origin, list):
        values = value if isinstance(value, list | tuple) else [value]
        (element,) = get_args(kind) or (Any,)
        return [_convert(element, each) for each in values]
    if issubclass(origin, dict):
        return _convert_mapping(value)
    if issubclass(origin, Enum):
        return _convert_choice(origin, value)
    if origin in _SCALARS:
        return _SCALARS[origin](value)
    raise _MisfitError("it can be set in Python only")


def _members(kind: Any) -> list[Any]:
    if get_origin(kind) not in (Union, types.UnionType):
        return [kind]
    members = list(get_args(kind))
    # `SchedulerType | str` means the name of one.
    by_name = any(isinstance(each, type) and issubclass(each, Enum) for each in members)
    return [each for each in members if not (by_name and each is str)]


def _convert_any(members: list[Any], value: Any) -> Any:
    """By the first type that fits; text stays text where it may, but for a mapping in JSON."""
    if isinstance(value, str) and str in members:
        takes_mapping = any((get_origin(each) or each) is dict for each in members)
        return _convert_mapping(value) if takes_mapping and value.lstrip().startswith("{") else value
    advice = ""
    for kind in sorted(members, key=lambda each: each is str):
        try:
            return _convert(kind, value)
        except _MisfitError as misfit:
            advice = advice or str(misfit)
    raise _MisfitError(advice)


def _read_text(value: Any) -> str:
    if isinstance(value, bool | int | float):
        raise _MisfitError("put it in quotes to make it text")
    if not isinstance(value, str):
        raise _MisfitError
    return value


def _read_truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str | int) and str(value).lower() in _TRUTH:
        return _TRUTH[str(value).lower()]
    raise _MisfitError


def _read_float(value: Any) -> float:
    number = read_number(value.strip()) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int | float) or number != number:  # not a number
        raise _MisfitError
    # A whole number stays one: `warmup_steps: 100` are steps, and so they are shown.
    try:
        return number if math.isfinite(number) and isinstance(value, int) else float(number)
    except OverflowError:
        raise _MisfitError from None


def _read_int(value: Any) -> int:
    number = read_number(value.strip()) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise _MisfitError
    if not math.isfinite(number) or number != int(number):
        raise _MisfitError
    return int(number)


_SCALARS = {str: _read_text, bool: _read_truth, float: _read_float, int: _read_int}


def _convert_literal(choices: tuple, value: Any) -> Any:
    for choice in choices:
        if type(choice) is type(value) and choice == value:
            return choice
    raise _MisfitError


def _convert_mapping(value: Any) -> dict[str, Any]:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise _MisfitError(f"it is not JSON: {error}") from None
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise _MisfitError
    return value


def _convert_choice(kind: type[Enum], value: Any) -> Enum:
    # `eval_strategy: false` can only mean no.
    value = "no" if value is False else value
    for choice in kind:
        if value == choice.value or value is choice:
            return choice
    raise _MisfitError


def describe_type(kind: Any) -> str:
    """
    Describes the values that a setting of a type takes, for a message.

    Args:
        kind (`type`): annotation of its field.
    """
    members = [each for each in _members(kind) if each is not type(None)]
    if len(members) > 1:
        return " or ".join(dict.fromkeys(map(describe_type, members)))
    (kind,) = members
    origin = get_origin(kind) or kind
    if origin is Literal:
        return " or ".join(map(show_value, get_args(kind)))
    if isinstance(origin, type) and issubclass(origin, Enum):
        return "one of " + ", ".join(str(each.value) for each in origin)
    if isinstance(origin, type) and issubclass(origin, list):
        return f"a list, each {describe_type(*(get_args(kind) or (Any,)))}"
    named = {str: "text", bool: "true or false", float: "a number", int: "a whole number", Any: "a value"}
    return named.get(origin, "a mapping of names to values")


def show_value(value: Any) -> str:
    """
    A value as YAML would write it, short and in one line.

    Args:
        value: any value of a setting.
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        value = value.value
    shown = repr(value)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 4]} ..."
