"""The folder that a run writes to: it can be written to, and it belongs to one run at a time."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from transformers import TrainingArguments

#: File in `output_dir` that a run holds locked; the system frees it when the process ends, however it ends.
LOCK_NAME = ".lock"


@contextmanager
def claim_output_folder(config: TrainingArguments) -> Iterator[None]:
    """
    Makes `output_dir` and keeps it for this run. The first process does so for all.

    Args:
        config (`TrainingArguments`): the settings.

    Raises:
        ValueError: if it is a file, cannot be written to, or another run writes to it.
    """
    if config.process_index != 0:
        yield
        return
    folder = Path(str(config.output_dir))
    make_output_folder(folder)
    lock = FileLock(folder / LOCK_NAME, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"Another run writes to `output_dir` {folder} now: wait for its end, or choose another `output_dir`."
        ) from None
    try:
        yield
    finally:
        lock.release()


def make_output_folder(folder: Path, named: str = "`output_dir`"):
    """
    Makes the folder that a command writes to, before it begins.

    Args:
        folder (`Path`): the folder; it may be there already.
        named (`str`, *optional*): what a message calls it.

    Raises:
        ValueError: if it is a file, or cannot be written to.
    """
    _check_no_file(folder, named)
    _check_writable(folder, folder, named)


def check_new_folder(name: str):
    """
    Checks that an `output_dir` that must be new can be made, and makes nothing.

    Args:
        name (`str`): the folder.

    Raises:
        ValueError: if something is there already, a file is in the way, or the folder above cannot be written to.
    """
    folder = Path(name)
    if os.path.lexists(folder):
        raise ValueError(f"`output_dir` {folder} exists: give a new folder.")
    _check_no_file(folder)
    _check_writable(folder, next(path for path in folder.absolute().parents if path.exists()))


def _check_no_file(folder: Path, named: str = "`output_dir`"):
    in_the_way = next((path for path in (folder, *folder.parents) if path.exists() and not path.is_dir()), None)
    if in_the_way:
        raise ValueError(f"{named} must be a folder, got {folder}, but {in_the_way} is a file.")


def _check_writable(folder: Path, place: Path, named: str = "`output_dir`"):
    """Writes a file to a place, which is the folder or lies above it."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ValueError(f"{named} {folder} cannot be written to: {reason}. Choose another folder.") from error
