"""Command lines: a YAML file of settings, overrides on the command line for any set of dataclasses, and clear ends."""

import difflib
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from transformers import HfArgumentParser
from transformers.utils import logging

logger = logging.get_logger(__name__)


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
        ValueError: if the file cannot be read, is not a mapping, or holds a key that no dataclass has.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    usage = "%(prog)s --config FILE.yaml [--setting value ...]"
    parser = HfArgumentParser(list[Any](dataclass_types), description=description, usage=usage, allow_abbrev=False)
    parser.add_argument("--config", metavar="FILE.yaml", help="Settings by name; the command line overrides them.")
    path, arguments = _take_config(arguments)
    if path is not None:
        settings = read_config(path, dataclass_types)
        parser.set_defaults(**settings)
        for action in parser._actions:
            action.required = action.required and action.dest not in settings
    *parsed, unknown = parser.parse_args_into_dataclasses(
        arguments, look_for_args_file=False, return_remaining_strings=True
    )
    if unknown:
        known = [option for action in parser._actions for option in action.option_strings]
        raise ValueError(f"Unknown setting `{unknown[0]}`.{did_you_mean(unknown[0].partition('=')[0], known)}")
    # `--config` itself is no dataclass's; it comes back in a namespace behind them.
    return tuple(parsed[: len(dataclass_types)])


def _take_config(arguments: list[str]) -> tuple[Path | None, list[str]]:
    for position, argument in enumerate(arguments):
        if argument.startswith("--config="):
            return Path(argument.partition("=")[2]), arguments[:position] + arguments[position + 1 :]
        if argument == "--config":
            if position + 1 == len(arguments):
                raise ValueError("`--config` needs the path of a YAML file.")
            return Path(arguments[position + 1]), arguments[:position] + arguments[position + 2 :]
    return None, arguments


def read_config(path: str | Path, dataclass_types: Sequence[type]) -> dict[str, Any]:
    """
    Reads a YAML file of settings and checks their names.

    Args:
        path (`str` or `Path`): the file.
        dataclass_types (`Sequence[type]`): dataclasses whose fields are the known settings.

    Returns:
        `dict`: settings by name.

    Raises:
        ValueError: naming the file and the line or key that is wrong.
    """
    settings = read_yaml(path)
    known = {field.name for dataclass_type in dataclass_types for field in fields(dataclass_type) if field.init}
    for name in settings:
        if name not in known:
            raise ValueError(f"{path}: unknown setting `{name}`.{did_you_mean(str(name), known)}")
    return settings


def read_yaml(path: str | Path) -> dict[str, Any]:
    """
    Reads a YAML file of `name: value` lines.

    Args:
        path (`str` or `Path`): the file.

    Raises:
        ValueError: naming the file, and the line that is wrong.
    """
    try:
        settings = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"Cannot read the settings file {path}: {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(settings, dict):
        raise ValueError(f"{path} must hold `name: value` lines, got {type(settings).__name__}.")
    return settings


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """
    A sentence that offers the nearest known name, for the end of an error message; empty where none is near.

    Args:
        name (`str`): what was given.
        known (`Iterable[str]`): what there is.
    """
    nearest = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean `{nearest[0]}`?" if nearest else ""


@contextmanager
def end_with_the_message(program: str) -> Iterator[None]:
    """
    Ends a script on wrong input, a `ValueError` or `OSError`, with the message alone. The traceback is shown where
    `TRANSFORMERS_VERBOSITY` is `debug`.

    Args:
        program (`str`): name of the script, put before the message.
    """
    try:
        yield
    except (ValueError, OSError) as error:
        logger.debug("Where it was noticed:", exc_info=error)
        raise SystemExit(f"{program}: {error}") from None
