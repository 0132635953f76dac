"""Files of published checkpoints: finds the weight files and reads them without running any code."""

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

USUAL_FILES = ("model.safetensors", "pytorch_model.bin")  # transformers looks for them in this order
PICKLED = (".bin", ".ckpt", ".pt", ".pth")
TOKENIZER_FILES = ("tokenizer*", "vocab.json", "merges.txt", "added_tokens.json", "special_tokens_map.json", "*.jinja")
#: Errors that the readers of safetensors and pickled files raise for damaged files.
UNREADABLE = (SafetensorError, pickle.UnpicklingError, OSError, RuntimeError, EOFError, TypeError, LookupError)


def locate(source: str) -> tuple[Path, list[Path]]:
    """The folder of a checkpoint and its weight files."""
    small = ("*.json", *TOKENIZER_FILES)
    path = fetch(source, (*small, "*.safetensors"))
    if path.is_file():
        return path.parent, [path]
    if not Path(source).exists() and not any(path.glob("*.safetensors")):
        path = fetch(source, (*small, *(f"*{suffix}" for suffix in PICKLED)))
    for usual in USUAL_FILES:
        index = path / f"{usual}.index.json"
        if (path / usual).is_file():
            return path, [path / usual]
        if index.is_file():
            shards = set(json.loads(index.read_text())["weight_map"].values())
            return path, [path / Path(name).name for name in sorted(shards)]
    found = sorted(file for file in path.iterdir() if file.suffix in (".safetensors", *PICKLED))
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise ValueError(f"{source} must hold {' or '.join(USUAL_FILES)}, or one weight file; it has {names}.")
    return path, found


def fetch(source: str, patterns: tuple[str, ...]) -> Path:
    """Path of a local file or folder, or of a snapshot of a Hub id with the files that match these patterns."""
    if Path(source).exists():
        return Path(source)
    try:
        return Path(snapshot_download(source, allow_patterns=list(patterns)))
    except (OSError, ValueError) as error:
        cause = str(error).strip().split("\n")[0]
        raise ValueError(f"{source} is no file or folder here, and the Hub did not give it: {cause}") from error


class Placeholder:
    """Placeholder for a pickled object: accepts all arguments and state of the object, and ignores them."""

    def __init__(self, *_: Any) -> None:
        pass

    __setstate__ = __init__


def read(files: list[Path], skip_objects: bool) -> dict[str, Tensor]:
    """Tensors of weight files by name. Pickled objects are refused or skipped, but never unpickled."""
    tensors: dict[str, Any] = {}
    for path in files:
        if not path.is_file():
            raise ValueError(f"{path.name} is missing beside the index that names it.")
        try:
            tensors |= load_file(path) if path.suffix == ".safetensors" else _unpickle(path, skip_objects)
        except UNREADABLE as error:
            cause = error.__context__ or error  # torch's own message advises to trust the file
            raise ValueError(f"{path.name} is damaged, or cannot be read as weights only: {cause}") from error
    if strangers := [str(name) for name, value in tensors.items() if not isinstance(value, Tensor)]:
        raise ValueError(f"{files[0].name} is no state dict: these are no tensors: {', '.join(strangers[:10])}.")
    return tensors


def _unpickle(path: Path, skip_objects: bool) -> dict[str, Any]:
    zipped = zipfile.is_zipfile(path)
    objects = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path)) if zipped else []
    if objects and not skip_objects:
        raise ValueError(
            f"{path.name} also pickles objects: {', '.join(objects)}. They are never built here. Give "
            "--skip-pickled-objects to read its tensors alone, with an empty placeholder for each object."
        )
    # The reader only compares these names: nothing that they name is imported or called.
    stand_ins = [(dict if name.endswith(".AttributeDict") else Placeholder, name) for name in objects]
    with torch.serialization.safe_globals(stand_ins):  # type: ignore[arg-type]
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    return dict(content.get("state_dict", content)) if isinstance(content, dict) else {"the content": content}


__all__ = ["TOKENIZER_FILES", "fetch", "locate", "read"]
