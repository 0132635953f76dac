"""Files that are written whole or not at all."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_whole(path: Path, content: bytes):
    """
    Writes a file under another name and moves it into place, so that nobody ever reads half a file.

    Args:
        path (`Path`): the file; its folder is made where it does not exist.
        content (`bytes`): the whole content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.tmp")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


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
