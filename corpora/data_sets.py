"""Data sets that the library `datasets` opens: of the Hub, in a clone of one, and in a folder of `save_to_disk`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import yaml
from datasets.exceptions import DatasetGenerationError, DatasetNotFoundError
from huggingface_hub import DatasetCard

NO_SCRIPTS = "data set scripts are Python code and are not run; convert the data to Parquet or JSON lines"


def load_folder(
    source: str, split: str | None, config_name: str | None, streaming: bool
) -> datasets.Dataset | datasets.IterableDataset | None:
    """
    A folder that `datasets` has written: by `save_to_disk`, or for the Hub.

    Args:
        source (`str`): path.
        split (`str` or `None`): split to take; needed where there are several.
        config_name (`str` or `None`): configuration of a clone of a Hub data set.
        streaming (`bool`): give an `IterableDataset`.

    Returns:
        `datasets.Dataset`, `datasets.IterableDataset` or `None`: the rows; `None` for any other folder or file.

    Raises:
        `ValueError`: if there are several splits and none is chosen, or what is chosen is not there.
    """
    folder = Path(source).expanduser()
    if (folder / "dataset_dict.json").is_file():
        return _load_saved(folder / _one_split(source, split, _saved_splits(folder / "dataset_dict.json")), streaming)
    if (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file():
        if split is not None:
            raise ValueError(f"split {split!r} was given, but {source} holds a single data set, saved without splits")
        return _load_saved(folder, streaming)
    if not is_clone(source):
        return None
    with hub_errors(source, name=config_name):
        splits = datasets.get_dataset_split_names(str(folder), config_name)
    return load_hub(str(folder), name=config_name, split=_one_split(source, split, splits), streaming=streaming)


def _saved_splits(path: Path) -> list[str]:
    try:
        splits = json.loads(path.read_text(encoding="utf-8"))["splits"]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path}: expected the splits that `save_to_disk` writes, got something else") from error
    return [str(split) for split in splits]


def _load_saved(folder: Path, streaming: bool) -> datasets.Dataset | datasets.IterableDataset:
    try:
        saved = datasets.load_from_disk(str(folder))
    except (KeyError, TypeError, AttributeError, ValueError, pa.ArrowInvalid, FileNotFoundError) as error:
        raise ValueError(f"{folder}: not a data set that `save_to_disk` has written whole ({error})") from error
    return saved.to_iterable_dataset() if streaming else saved


def _one_split(source: str, split: str | None, splits: list[str]) -> str:
    if split is None and len(splits) == 1:
        return splits[0]
    if split is None:
        raise ValueError(f"{source} holds several splits ({', '.join(splits)}): choose one")
    if split not in splits:
        raise ValueError(f"{source}: no split {split!r}; there is {', '.join(splits)}")
    return split


def is_clone(source: str) -> bool:
    """Tells if a folder is a clone of a Hub data set, whose card names the files of each configuration and split."""
    card = Path(source).expanduser() / "README.md"
    if not card.is_file():
        return False
    try:
        metadata = DatasetCard.load(card, ignore_metadata_errors=True).data.to_dict()
    except (ValueError, OSError, yaml.YAMLError):
        return False
    return any(isinstance(each, dict) and "data_files" in each for each in metadata.get("configs") or ())


def load_hub(source: str, **options: Any) -> datasets.Dataset | datasets.IterableDataset:
    """
    Load a data set from the Hub, with errors that say what to do.

    Args:
        source (`str`): Hub data set id (`org/name`).
        options: passed on to `datasets.load_dataset` (`name`, `split`, `revision`, `streaming`).

    Returns:
        `datasets.Dataset` or `datasets.IterableDataset`: the split asked for.

    Raises:
        `ValueError`: if the data set is a script, is damaged, or has no such split or configuration.
        `OSError`: if it does not exist, is gated or private, or the Hub cannot be reached.
    """
    with hub_errors(source, **options):
        files = _files_of_clone(source, options.get("name")) if is_clone(source) else {}
        return datasets.load_dataset(source, **options | files)


def _files_of_clone(source: str, configuration: str | None) -> dict[str, Any]:
    """
    Options that name the files of a clone. Without them, `datasets` gives the rows that it has cached of any other
    folder of this name, or of these files before they were changed.
    """
    config = datasets.load_dataset_builder(source, configuration).config
    named = {split: list(files) for split, files in (config.data_files or {}).items()}
    return {"name": config.name, "data_files": named} if named else {}


@contextmanager
def hub_errors(source: str, **options: Any) -> Iterator[None]:
    """
    Turns what goes wrong with a data set of the Hub into errors that say what to do, in one line.

    Args:
        source (`str`): Hub data set id.
        options: how it is opened, for the message.

    Raises:
        `ValueError`, `OSError`: as [`load_hub`] does.
    """
    try:
        yield
    except DatasetNotFoundError as error:
        raise OSError(
            f"cannot open data set {source!r}: {error} Check the name; if it is gated or private, ask for access on "
            "its page and log in with `hf auth login`, or give a local file instead."
        ) from error
    except ConnectionError as error:
        raise OSError(
            f"cannot reach the Hub for data set {source!r}: {error}. A local file needs no network."
        ) from error
    except RuntimeError as error:
        if "scripts are no longer supported" not in str(error):
            raise
        raise ValueError(f"data set {source!r} is a script: {NO_SCRIPTS}") from error
    except DatasetGenerationError as error:
        cause = " ".join(str(error.__cause__).split())
        raise ValueError(f"data set {source!r} has a damaged file: {cause}") from error
    except ValueError as error:
        given = ", ".join(f"{name}={value!r}" for name, value in options.items() if value is not None)
        # What follows is an example of Python code, which is no help on the command line.
        said = " ".join(str(error).partition("Example of usage")[0].split())
        raise ValueError(f"data set {source!r}{f' with {given}' if given else ''}: {said}") from error
