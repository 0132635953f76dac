"""Versions of the libraries that measure, our own included, installed or not."""

import tomllib
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def library_versions(names: Iterable[str]) -> dict[str, str]:
    """
    Versions by name. Sensia's own is that of the code which runs: of the checkout, where it runs from one.

    Args:
        names (`Iterable[str]`): as packages are installed by.
    """
    return {name: _own_version() if name == "sensia" else version(name) for name in names}


def _own_version() -> str:
    if _PROJECT.is_file():
        return tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]["version"]
    return version("sensia")
