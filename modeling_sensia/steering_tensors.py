"""The numbers of learned edits, in a safetensors file beside the JSON file of a steering."""

import hashlib
import os
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor


def write_beside(path: Path, tensors: dict[str, Tensor]) -> dict[str, str]:
    """
    Writes tensors whole, under the name of a JSON file.

    Args:
        path (`Path`): the JSON file, which is to be written after this one.
        tensors (`dict`): the tensors by name.

    Returns:
        `dict`: what the JSON file says of them, `file` and `sha256`.
    """
    content, place = save(tensors), path.with_suffix(".safetensors")
    write_whole(place, content)
    return {"file": place.name, "sha256": hashlib.sha256(content).hexdigest()}


def read_beside(path: Path, described: object) -> dict[str, Tensor]:
    """
    Reads the tensors that a JSON file speaks of.

    Args:
        path (`Path`): the JSON file.
        described (`dict`): its entry, of [`write_beside`].

    Raises:
        ValueError: if the entry is not of that form, or the file is missing, damaged or another one.
    """
    if not isinstance(described, dict) or set(described) != {"file", "sha256"}:
        raise ValueError(f"{path}: `tensors` must have `file` and `sha256`, got {described!r}.")
    name = str(described["file"])
    if Path(name).name != name:
        raise ValueError(f"{path}: `tensors` must name a file beside it, got {name!r}.")
    try:
        content = (path.parent / name).read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: the vectors of its edits cannot be read: {error}.") from None
    if hashlib.sha256(content).hexdigest() != described["sha256"]:
        raise ValueError(f"{path}: {name} is not the file that was saved with it.")
    try:
        return load(content)
    except SafetensorError as error:
        raise ValueError(f"{path}: {name} cannot be read as safetensors: {error}.") from None


def write_whole(path: Path, content: bytes):
    """Writes a file; if this fails, `path` is as it was."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


__all__ = ["read_beside", "write_beside", "write_whole"]
