"""Names of a package that are read from its modules when they are first used.

The losses and the collator need torch and transformers alone. Reading them must not import all that data sets need.
"""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, modules: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """
    Args:
        package (`str`): full name of the package.
        modules (`Mapping`): the full name of the module that each offered name is read from.

    Returns:
        `tuple` of `Callable`: the package's `__getattr__` and `__dir__`.
    """

    def read(name: str) -> Any:
        if name in modules:
            return getattr(import_module(modules[name]), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return read, lambda: [*vars(sys.modules[package]), *modules]


__all__ = ["lazy_names"]
