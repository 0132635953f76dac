"""Writing a file whole or not at all."""

import os
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """
    Write `content` beside `path` under another name, then move it into place, so that nobody ever reads half a file.

    Args:
        path (`Path`): where the file belongs; its folder is made where it does not exist.
        content (`bytes`): the whole file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.tmp")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
