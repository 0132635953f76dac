"""Settings files in YAML, read as YAML 1.2 says: `no` is text, 5e-2 is a number, 010 is ten."""

import codecs
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

_TAG = "tag:yaml.org,2002:"
# Longer ones are infinite as floats, which no setting takes.
_INT = re.compile(r"[-+]?[0-9]{1,300}|0o[0-7]{1,300}|0x[0-9a-fA-F]{1,300}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def read_number(text: str) -> int | float | None:
    """
    A number as YAML 1.2 writes it.

    Args:
        text (`str`): such as 12, 0x1F, 5e-2 or .inf.

    Returns:
        `int` or `float`; `None` if it is no number.
    """
    if _INT.fullmatch(text):
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        return int(text, base)
    if _FLOAT.fullmatch(text):
        return float(text)
    return float(text.replace(".", "")) if _SPECIAL.fullmatch(text) else None


class _CoreLoader(yaml.SafeLoader):
    """
    Loader of the core schema of YAML 1.2. PyYAML's own loaders read YAML 1.1, where `no` is false and 5e-2 is text.
    Merge keys (`<<`), which are not of the core schema, are kept. A key that is given twice is refused.
    """

    def compose_mapping_node(self, anchor):
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            name, line = (key.tag, key.value), key.start_mark.line + 1
            if name in lines:
                raise ValueError(f"`{key.value}` is given twice, in lines {lines[name]} and {line}: leave one out.")
            lines[name] = line
        return node


# Of PyYAML's types only those of JSON, so that dates and objects are refused.
_CoreLoader.yaml_constructors = {
    None: yaml.SafeLoader.construct_undefined,
    _TAG + "str": yaml.SafeLoader.construct_yaml_str,
    _TAG + "seq": yaml.SafeLoader.construct_yaml_seq,
    _TAG + "map": yaml.SafeLoader.construct_yaml_map,
}
_CoreLoader.yaml_implicit_resolvers = {}


def _add_scalar(kind: str, pattern: str, first: Iterable[str], read: Callable[[str], Any]):
    """Makes plain scalars of a pattern values of a kind; an explicit tag (`!!int`) is held to the same pattern."""
    regexp = re.compile(rf"(?:{pattern})\Z")

    def construct(loader, node):
        text = loader.construct_scalar(node)
        if not regexp.match(text):
            raise yaml.constructor.ConstructorError(None, None, f"{text!r} is no {kind}", node.start_mark)
        return read(text)

    _CoreLoader.add_implicit_resolver(_TAG + kind, regexp, list(first))
    _CoreLoader.add_constructor(_TAG + kind, construct)


_add_scalar("null", r"~|null|Null|NULL|", ["~", "n", "N", ""], lambda text: None)
_add_scalar("bool", r"true|True|TRUE|false|False|FALSE", "tTfF", lambda text: text.lower() == "true")
_add_scalar("int", _INT.pattern, "-+0123456789", read_number)
_add_scalar("float", f"{_FLOAT.pattern}|{_SPECIAL.pattern}", "-+.0123456789", read_number)
_CoreLoader.add_implicit_resolver(_TAG + "merge", re.compile(r"<<\Z"), ["<"])


def read_yaml(path: str | Path) -> dict[str, Any]:
    """
    Reads a YAML file of `name: value` lines.

    Args:
        path (`str` or `Path`): the file, in UTF-8, or in UTF-16 with a byte order mark.

    Returns:
        `dict`: the values by name.

    Raises:
        ValueError: in one line that names the file, and the line or the key that is wrong.
    """
    text = _read_text(path)
    try:
        settings = yaml.load(text, Loader=_CoreLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = "" if mark is None else f", line {mark.line + 1}"
        problem = " ".join(filter(None, (error.context, error.problem)))
        advice = " Indent by spaces, not by tabs." if "'\\t'" in problem else ""
        raise ValueError(f"{path}{line} is not valid YAML: {problem}.{advice}") from error
    except yaml.reader.ReaderError as error:
        line = f", line {text.count(chr(10), 0, error.position) + 1}"
        raise ValueError(f"{path}{line} has a character that YAML forbids: U+{error.character:04X}.") from error
    except RecursionError as error:
        raise ValueError(f"{path} nests its values too deeply to be settings.") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if settings is None:
        raise ValueError(f"{path} is empty: it must hold `name: value` lines.")
    if not isinstance(settings, dict):
        kind = "a list" if isinstance(settings, list) else f"{str(settings)[:60]!r}"
        raise ValueError(f"{path} must hold `name: value` lines, got {kind}.")
    return settings


def _read_text(path: str | Path) -> str:
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"Cannot read the settings file {path}: {error.strerror}.") from error
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}, line {line} is not {encoding[:6].rstrip('-').upper()} text: save the file as UTF-8."
        ) from error
