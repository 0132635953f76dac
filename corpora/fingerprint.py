"""Naming a file by its contents, so that results say what they were measured on without saying where it lay."""

import hashlib
from pathlib import Path


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
