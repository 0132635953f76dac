"""A settings file to start from: every setting of a command with its default and what it means."""

import textwrap
from collections.abc import Iterable
from dataclasses import MISSING, Field, fields
from typing import Any

import yaml
from transformers import TrainingArguments

_WIDTH = 110


def settings_template(dataclass_types: Iterable[type], command: str) -> str:
    """
    A commented YAML file of all settings of a command. What must be given stands open; the rest is commented out.

    Args:
        dataclass_types (`Iterable[type]`): the dataclasses whose fields are the settings.
        command (`str`): how the command is called, for the first line.

    Returns:
        `str`: the file. As it stands it holds the settings that have no default, without a value.
    """
    types = list(dataclass_types)
    of_transformers = {each.name for each in fields(TrainingArguments)}
    own = [each for kind in types for each in fields(kind) if each.init and each.name not in of_transformers]
    inherited = [each for kind in types for each in fields(kind) if each.init and each.name in of_transformers]
    required = [each for each in own if _is_required(each)]
    parts = [f"# Settings of `{command}`. Take the # away from what you change.\n"]
    parts += [_entry(each) for each in required]
    parts += [_entry(each) for each in own if each not in required]
    if inherited:
        parts.append("# --- of transformers.TrainingArguments ---\n")
        parts += [_entry(each) for each in inherited]
    return "\n".join(parts)


def _entry(setting: Field) -> str:
    help_text = " ".join(str(setting.metadata.get("help", "")).split())
    comment = textwrap.wrap(help_text, _WIDTH, initial_indent="# ", subsequent_indent="# ")
    if _is_required(setting):
        return "\n".join([*comment, f"{setting.name}:\n"])
    value = yaml.safe_dump(_default(setting), default_flow_style=True, allow_unicode=True, width=1000)
    return "\n".join([*comment, f"# {setting.name}: {value.removesuffix('...' + chr(10)).strip()}", ""])


def _is_required(setting: Field) -> bool:
    return setting.default is MISSING and setting.default_factory is MISSING


def _default(setting: Field) -> Any:
    default = setting.default if setting.default_factory is MISSING else setting.default_factory()
    value = getattr(default, "value", default)  # of an enumeration
    return value if isinstance(value, str | int | float | bool | list | dict | None) else str(value)
