"""Publishing on the Hub: one commit of named files, or nothing."""

import shutil
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

from huggingface_hub import CommitInfo, CommitOperationAdd, HfApi
from transformers.trainer import TRAINING_ARGS_NAME

#: Folder of a published model that holds the adapter alone; the model itself has it merged in.
ADAPTER_FOLDER = "adapter"
#: What a model repository of ours consists of. Pickles, event files and checkpoints are not named, so never sent.
PUBLISHED_FILES = (
    "README.md",
    "results.json",
    "config.json",
    "generation_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "adapter_config.json",
    "adapter_model.safetensors",
    f"{ADAPTER_FOLDER}/adapter_*.json",
    f"{ADAPTER_FOLDER}/adapter_*.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "backpack_outputs.py",
    "configuration_backpack.py",
    "decoder_wrapping.py",
    "distillation_loss.py",
    "generation_limits.py",
    "lm_loss.py",
    "modeling_backpack.py",
    "positions_and_masks.py",
    "public_checkpoints.py",
    "sense_*.py",
    "sentence_*.py",
    "modules.json",
    "sentence_encoder_config.json",
    "config_sentence_transformers.json",
    "plots/*.png",
    ".eval_results/*.yaml",
)


def published_files(folder: Path) -> Iterator[Path]:
    """
    The files of a folder that belong on the Hub, relative to it and in a fixed order.

    Args:
        folder (`Path`): a saved model.
    """
    for pattern in PUBLISHED_FILES:
        yield from sorted(path.relative_to(folder) for path in folder.glob(pattern) if path.is_file())


def publish(
    folder: str | Path,
    repo_id: str,
    *,
    commit_message: str,
    token: str | None = None,
    revision: str | None = None,
    run_as_future: bool = False,
) -> CommitInfo | Future:
    """
    Publishes a saved model in one commit: its repository shows all of it or nothing.

    Args:
        folder (`str` or `Path`): the model, its tokenizer and card; see [`PUBLISHED_FILES`] for what is taken.
        repo_id (`str`): repository on the Hub; it must exist.
        commit_message (`str`): message of the commit.
        token (`str`, *optional*): defaults to the one of `hf auth login` or `HF_TOKEN`.
        revision (`str`, *optional*, defaults to the main branch): branch to commit to.
        run_as_future (`bool`, *optional*, defaults to `False`): return at once with a `Future`.

    Returns:
        `CommitInfo`, or a `Future` of it.

    Raises:
        ValueError: if the folder holds no model.
        OSError: if the Hub refuses or cannot be reached; what is on disk stays whole.
    """
    folder = Path(folder)
    names = list(published_files(folder))
    if not any(name.suffix == ".safetensors" for name in names):
        raise ValueError(f"{folder} holds no model: there is no .safetensors file in it.")
    operations = [CommitOperationAdd(path_in_repo=name.as_posix(), path_or_fileobj=folder / name) for name in names]
    api = HfApi(token=token)
    if run_as_future:
        return api.run_as_future(_commit, api, folder, repo_id, operations, commit_message, revision)
    return _commit(api, folder, repo_id, operations, commit_message, revision)


def _commit(api: HfApi, folder: Path, repo_id: str, operations, commit_message: str, revision: str | None):
    try:
        return api.create_commit(repo_id, operations, commit_message=commit_message, revision=revision)
    except Exception as error:
        raise OSError(
            f"Could not publish to {repo_id}: {error}\nA commit appears whole or not at all, and the model is whole "
            f"in {folder}. Check the token (`hf auth whoami`), the repository's name and the network, then run again."
        ) from error


def stage(folder: Path, staging: Path) -> Path:
    """
    Copies what belongs on the Hub aside, so that it can be sent while the folder is rotated away.

    Args:
        folder (`Path`): a checkpoint. An adapter goes to [`ADAPTER_FOLDER`]: beside a whole model it would be loaded
            instead of that.
        staging (`Path`): where to; replaced.

    Returns:
        `Path`: `staging`.
    """
    shutil.rmtree(staging, ignore_errors=True)
    for name in published_files(folder):
        copy = staging / (Path(ADAPTER_FOLDER, name) if name.parts[0].startswith("adapter_") else name)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(folder / name, copy)
    return staging


def remove_pickled_arguments(folder: Path):
    """
    Deletes the pickle of the training arguments, which holds local paths and is never read back.

    Args:
        folder (`Path`): where the Trainer saved.
    """
    (folder / TRAINING_ARGS_NAME).unlink(missing_ok=True)
