"""The settings of every command: from a YAML file and the command line into dataclasses."""

import sys
from argparse import Action, ArgumentDefaultsHelpFormatter, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, get_args, get_type_hints

from transformers import HfArgumentParser, TrainingArguments

from sensia.bundled import find_asset, find_config
from sensia.trainers.data_sources import TARGET
from sensia.trainers.renamed_settings import current_name
from sensia.trainers.setting_ranges import check_training_arguments
from sensia.trainers.setting_types import describe_type, read_value, show_value
from sensia.trainers.settings_template import settings_template
from sensia.trainers.suggestions import did_you_mean
from sensia.trainers.yaml_settings import read_yaml


def parse_arguments(*dataclass_types: type, description: str, arguments: Sequence[str] | None = None) -> tuple:
    """
    Fills dataclasses from `--config FILE.yaml` and from the command line, which wins.

    Args:
        dataclass_types (`type`): dataclasses whose fields are the settings; no two may share a name.
        description (`str`): what `--help` says first.
        arguments (`Sequence[str]`, *optional*, defaults to the process's own): the command line.

    Returns:
        `tuple`: one instance of each dataclass, in order.

    Raises:
        SystemExit: with code 0 after `--print_config`, which prints a settings file to start from.
        ValueError: in one line that names the setting which is unknown, missing, of another type or out of range, or
            the file that cannot be read.
    """
    words = [_with_current_name(word) for word in (sys.argv[1:] if arguments is None else arguments)]
    if "--print_config" in words:
        print(settings_template(dataclass_types, Path(sys.argv[0]).name))
        raise SystemExit(0)
    parser = _parser(dataclass_types, description)
    typed = _typed(parser, words)
    paths = typed.pop("config", [])
    if len(paths) > 1:
        raise ValueError(
            f"`--config` is given {len(paths)} times, {', '.join(paths)}: put all settings into one file."
        )
    if "" in paths:
        raise ValueError("`--config` needs the path of a YAML file, got an empty one.")
    settings = read_config(find_config(paths[0]), dataclass_types) if paths else {}
    known = _known(dataclass_types)
    settings |= {name: _read(known[name], _or_none(known[name], value)) for name, value in typed.items()}
    settings |= _with_targets(settings)
    missing = [name for name, (each, _) in known.items() if _is_required(each) and name not in settings]
    if missing:
        named = ", ".join(f"`{name}`" for name in missing)
        raise ValueError(f"{named} must be given: in the file of --config, or as --{missing[0]} VALUE.")
    return tuple(_build(dataclass_type, settings) for dataclass_type in dataclass_types)


def _with_current_name(word: str) -> str:
    if not word.startswith("--"):
        return word
    name, equals, value = word[2:].partition("=")
    return f"--{current_name(name)}{equals}{value}"


class _HelpFormatter(ArgumentDefaultsHelpFormatter, RawDescriptionHelpFormatter):
    """Leaves the lines of the description as they are, because they hold commands; adds defaults to settings."""


class _Parser(HfArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message[:1].upper()}{message[1:]}.")


def _parser(dataclass_types: Iterable[type], description: str) -> _Parser:
    usage = "%(prog)s --config FILE.yaml [--setting value ...]"
    parser = _Parser(
        list[Any](dataclass_types),
        description=description,
        usage=usage,
        allow_abbrev=False,
        formatter_class=_HelpFormatter,
    )
    for action in parser._actions:
        action.required = False
        if action.nargs != 0:
            # Types and choices are checked where those of a file are.
            if action.choices:
                action.metavar = "{" + ",".join(map(str, action.choices)) + "}"
            action.type, action.choices = str, None
        if action.nargs == "+":
            action.nargs = "*"  # a list of a settings file can be emptied
    settings_file = "File of settings by name. The command line overrides them."
    parser.add_argument("--config", metavar="FILE.yaml", action="append", help=settings_file)
    template = "Print a settings file to start from, with every setting explained, and end."
    parser.add_argument("--print_config", action="store_true", help=template)
    return parser


def _typed(parser: _Parser, arguments: list[str]) -> dict[str, Any]:
    """Returns the settings that were typed, as text by name, `config` included."""
    # argparse sets a default only where the namespace has no such attribute.
    untouched = Namespace(**{action.dest: MISSING for action in parser._actions})
    untouched.config = []
    found, unknown = parser.parse_known_args(arguments, untouched)
    if unknown:
        raise ValueError(_unknown(unknown[0], parser._actions))
    for action in parser._actions:
        times = sum(word.partition("=")[0] in action.option_strings for word in arguments)
        if action.nargs == "*" and times > 1:
            option = action.option_strings[0]
            raise ValueError(f"`{option}` is given {times} times: write all its values after one, {option} A B.")
    return {name: value for name, value in vars(found).items() if value is not MISSING}


def _unknown(word: str, actions: Iterable[Action]) -> str:
    # Of NAME=VALUE the name alone: the value may be a token.
    name = word.partition("=")[0]
    if not name.startswith("-"):
        return f"`{name}` belongs to no setting: settings are given as --name value, a file as --config FILE.yaml."
    return f"Unknown setting `{name}`.{did_you_mean(name, [each for a in actions for each in a.option_strings])}"


def read_config(path: str | Path, dataclass_types: Sequence[type]) -> dict[str, Any]:
    """
    Reads a YAML file of settings and checks their names, types and choices.

    Args:
        path (`str` or `Path`): the file.
        dataclass_types (`Sequence[type]`): dataclasses whose fields are the known settings.

    Returns:
        `dict`: settings by name, in the types of the fields.

    Raises:
        ValueError: in one line that names the file, and the line or the setting that is wrong.
    """
    known = _known(dataclass_types)
    settings = {}
    for given, value in read_yaml(path).items():
        name = current_name(given) if isinstance(given, str) else given
        if name in settings:
            raise ValueError(f"{path}: `{given}` and `{name}` are one setting: leave one of them out.")
        if name not in known:
            raise ValueError(f"{path}: unknown setting `{show_key(name)}`.{did_you_mean(str(name), known)}")
        try:
            settings[name] = _with_assets(_read(known[name], value))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    return settings


def _with_targets(settings: Mapping[str, Any]) -> dict[str, str]:
    """Names of the result that hold `{target}`, with the codes of the target languages in its place."""
    given = settings.get("target_language") or []
    codes = "-".join([given] if isinstance(given, str) else given)
    names = {name: settings.get(name) or "" for name in ("output_dir", "model_name", "hub_model_id", "run_name")}
    return {name: text.replace(TARGET, codes) for name, text in names.items() if codes and TARGET in text}


def _with_assets(value: Any) -> Any:
    """The value, with paths of what is bundled turned into where it lies."""
    if isinstance(value, list):
        return [_with_assets(each) for each in value]
    if isinstance(value, dict):
        return {key: _with_assets(each) for key, each in value.items()}
    return find_asset(value) if isinstance(value, str) else value


def show_key(key: Any) -> str:
    return key if isinstance(key, str) else show_value(key)


_type_hints = cache(get_type_hints)


def _known(dataclass_types: Iterable[type]) -> dict[str, tuple[Field, Any]]:
    """Every setting with its type."""
    return {
        each.name: (each, kinds[each.name])
        for dataclass_type in dataclass_types
        for kinds in [_type_hints(dataclass_type)]
        for each in fields(dataclass_type)
        if each.init
    }


def _is_required(each: Field) -> bool:
    return each.default is MISSING and each.default_factory is MISSING


def _or_none(setting: tuple[Field, Any], typed: Any) -> Any:
    """What was typed; `null` takes an optional setting of the file away, as in YAML. Words of a list are a list."""
    each, kind = setting
    may_be_empty = type(None) in get_args(kind) or each.default_factory is list
    return None if typed in ("null", ["null"]) and may_be_empty else typed


def _read(setting: tuple[Field, Any], value: Any) -> Any:
    """The value in the setting's type, if it is one of its choices."""
    each, kind = setting
    if value is None and each.default_factory is list:
        return []
    value = read_value(each.name, kind, value)
    choices = [*each.metadata.get("choices", ())]
    if choices and value is not None and value not in choices:
        near = did_you_mean(str(value), choices)
        raise ValueError(f"`{each.name}` must be one of {', '.join(choices)}, got {show_value(value)}.{near}")
    if value == "" and each.default != "":
        raise ValueError(f"`{each.name}` must be {describe_type(kind)}, got an empty one: leave the setting out.")
    return value


def _build(dataclass_type: type, settings: Mapping[str, Any]) -> Any:
    given = {each.name: settings[each.name] for each in fields(dataclass_type) if each.name in settings}
    if issubclass(dataclass_type, TrainingArguments):
        check_training_arguments(given)
    try:
        return dataclass_type(**given)
    except (ValueError, ImportError) as error:
        raise ValueError(" ".join(str(error).split())) from error
