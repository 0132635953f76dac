"""Files that are written whole or not at all."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """
    Gives another name to write a file under, and then moves it into place, so that nobody ever reads half a file.

    Args:
        path (`Path`): the file; its folder is made where it does not exist.

    Raises:
        OSError: naming the file, if it cannot be written, as on a full disk.
    """
    unfinished = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        os.replace(unfinished, path)
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        # An error of writing, unlike one of opening, does not say of which file it is.
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
    finally:
        if unfinished.is_file():
            unfinished.unlink()


def write_whole(path: Path, content: bytes):
    """
    Writes a file whole or not at all.

    Args:
        path (`Path`): the file; its folder is made where it does not exist.
        content (`bytes`): the whole content.
    """
    with whole_file(path) as unfinished:
        unfinished.write_bytes(content)


def write_json_whole(path: Path, content: Mapping[str, Any], indent: int = 1):
    """
    Writes a JSON file in the same way.

    Args:
        path (`Path`): the file; its folder is made where it does not exist.
        content (`Mapping`): JSON values. Numbers must be finite.
        indent (`int`, *optional*, defaults to 1): spaces of each level.

    Raises:
        ValueError: if a number is not finite.
    """
    text = json.dumps(content, ensure_ascii=False, indent=indent, allow_nan=False)
    write_whole(path, f"{text}\n".encode(errors="surrogatepass"))
