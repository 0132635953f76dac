"""Imports a command, or an example that is a script and not a module of a package."""

import importlib.util
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def load_example(name: str) -> ModuleType:
    if (EXAMPLES.parent / "sensia" / "commands" / f"{name}.py").exists():
        return import_module(f"sensia.commands.{name}")
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    # Its dataclass looks up its own module.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
