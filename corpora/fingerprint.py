"""Naming files by their contents, for results that say what they were measured on, and by their state on the disk."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from sensia.corpora.archives import archive_of
from sensia.corpora.locations import file_kind


def describe_file(path: str | Path) -> dict[str, str | int]:
    """
    Base name, SHA-256 and size of a file.

    Args:
        path (`str` or `Path`): file to describe.

    Returns:
        `dict`: `name` (without folders), `sha256` (hexadecimal) and `bytes`.

    Raises:
        `OSError`: if the file cannot be read.
    """
    file_path = Path(path)
    with file_path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return {"name": file_path.name, "sha256": digest.hexdigest(), "bytes": file.tell()}


def state_of_files(source: str) -> list[tuple[str, int, int]] | None:
    """
    Name, size and time of change of every file that reading a local source may look at. If none of them changes, what
    is read does not change.

    Args:
        source (`str`): a local source of [`read_pairs`].

    Returns:
        `list` of `tuple`: path, bytes and time in nanoseconds of each file, by name; `None` where there is no file.
    """
    names = [source] if Path(source).expanduser().exists() else source.split(",")
    paths = [Path(name).expanduser() for name in names]
    files = sorted({file for path in paths for file in _files_around(path)})
    return [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files] or None


def _files_around(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (each for each in path.rglob("*") if each.is_file())
    elif inside := archive_of(path):
        yield inside[0]
    elif path.is_file() and file_kind(path):
        yield path
    elif path.parent.is_dir():  # one side of a bitext is found by the names of the files beside it
        yield from (each for each in path.parent.iterdir() if each.is_file())
