"""pyproject.toml admits from each dependency what `make test-min` runs with, and nothing lower."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LOWER_BOUND = re.compile(r"([\w-]+)>=([\d.]+)")


def pinned() -> dict[str, str]:
    lines = (ROOT / "requirements-min.txt").read_text(encoding="utf-8").splitlines()
    names_and_versions = (line.split("==") for line in lines if "==" in line)
    return {name.lower(): version for name, version in names_and_versions}


def dependencies() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    return [*project["dependencies"], *extras["tags"], *extras["align"], *extras["sentence-transformers"]]


def without_zeros(version: str) -> str:
    return re.sub(r"(\.0)+$", "", version)


@pytest.mark.parametrize("dependency", dependencies())
def test_the_lower_bound_is_the_version_that_is_tested(dependency):
    name, version = LOWER_BOUND.match(dependency).groups()
    assert without_zeros(pinned()[name]) == without_zeros(version)
