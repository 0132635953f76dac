"""Whole checkpoints: how one is written, and which one a run goes on from.

A checkpoint is written in `output_dir`/.writing. When every process has written its part, the first one lists the
files in a manifest, has them flushed to the disk and renames the folder to `output_dir`/checkpoint-N; only then is an
older one deleted. A process may be killed at any moment of this: what carries the name of a checkpoint is whole.
"""

import json
import os
import re
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from accelerate.state import PartialState
from accelerate.utils import broadcast_object_list, gather_object
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from sensia.trainers.data_order import texts_per_forward
from sensia.trainers.sensia_config import SensiaConfig
from sensia.whole_files import write_whole

if TYPE_CHECKING:
    from sensia.trainers.run_arguments import AdaptArguments

#: Folder beside the checkpoints, for what is not one yet or not any more.
WRITING_FOLDER = ".writing"
#: File of a checkpoint, written last: its step, and the size of each of its other files in bytes.
MANIFEST_NAME = "manifest.json"

#: Settings that may differ between a run and its resumption: they say where, how often and under which name, not what
#: is computed. A name that ends in `_` stands for all that begin so.
_FREE_SETTINGS = (
    "alignment_floor",
    "collapse_entropy",
    "count_flops",
    "expected_entropy",
    "data",
    "data_license",
    "dataset_num_proc",
    "dataloader_",
    "ddp_timeout",
    "disable_tqdm",
    "do_",
    "eval_on_start",
    "eval_overlap",
    "hub_",
    "include_num_input_tokens_seen",
    "keep_freed_memory",
    "local_rank",
    "log_",
    "logging_",
    "model_license",
    "model_license_link",
    "model_license_name",
    "model_name",
    "output_dir",
    "per_device_eval_batch_size",
    "project",
    "prompts",
    "push_to_hub",
    "report_to",
    "resume_from_checkpoint",
    "run_name",
    "save_",
    "skip_memory_metrics",
    "trackio_",
)


def find_checkpoint(config: SensiaConfig, args: "AdaptArguments") -> str | None:
    """
    The newest whole checkpoint of this run, or `None`. The settings of a run are kept beside its checkpoints; what a
    killed process left half-written is removed. Every process calls this, and all get the same answer.

    Args:
        config ([`SensiaConfig`]), args ([`AdaptArguments`]): the settings now.

    Raises:
        ValueError: if the checkpoints in `output_dir` were made with other settings, or if the machines of a run do
            not see the same folder there.
    """
    output = Path(str(config.output_dir))
    _refuse_folders_apart(output)
    with PartialState().main_process_first():  # it tidies the folder that the others then read
        if config.should_save:
            recover_interrupted(output)
        checkpoint = newest_checkpoint(output)
        if checkpoint:
            _refuse_other_settings(output, _settings(config, args))
        elif config.should_save:
            text = json.dumps(_settings(config, args), indent=2) + "\n"
            write_whole(output / "settings.json", text.encode())
    return checkpoint


def _refuse_folders_apart(output: Path):
    """
    Refuses machines whose `output_dir` is not one folder: each would write a part of what belongs together. What an
    earlier run left there tells nothing, so a file is put there that only this start can have put there.
    """
    state = PartialState()
    if state.num_processes == 1:
        return
    mark = output / broadcast_object_list([f".start-{uuid4().hex}"])[0]
    if state.is_main_process:
        mark.touch()
    state.wait_for_everyone()
    apart = [rank for rank, there in enumerate(gather_object([mark.exists()])) if not there]
    if state.is_main_process:
        mark.unlink()
    if apart:
        raise ValueError(
            f"`output_dir` must be one folder that all machines share; rank {', '.join(map(str, apart))} does not see "
            f"in {output} what rank 0 has written there."
        )


def newest_checkpoint(folder: str | Path) -> str | None:
    """
    The whole checkpoint of the most steps in a folder, or `None`.

    Args:
        folder (`str` or `Path`): where a run keeps its checkpoints.
    """
    whole = whole_checkpoints(folder)
    return str(whole[-1]) if whole else None


def whole_checkpoints(folder: str | Path) -> list[Path]:
    """
    The whole checkpoints in a folder, that of the most steps last.

    Args:
        folder (`str` or `Path`): where a run keeps its checkpoints.
    """
    return [path for _, path in sorted(_checkpoints(Path(folder)).items()) if is_whole(path)]


def is_whole(checkpoint: Path) -> bool:
    """
    Tells if a checkpoint is as it was when it was finished: it has its manifest, and every file that this lists is
    there in its full size. So a checkpoint that was copied or deleted in part does not count either.

    Args:
        checkpoint (`Path`): a folder named checkpoint-N.
    """
    try:
        manifest = json.loads((checkpoint / MANIFEST_NAME).read_text(encoding="utf-8"))
        named = checkpoint.name == f"{PREFIX_CHECKPOINT_DIR}-{manifest['step']}"
        return named and manifest["files"] == _sizes(checkpoint, manifest["files"])
    except (OSError, ValueError, TypeError, KeyError):
        return False


def commit_checkpoint(written: Path, checkpoint: Path):
    """
    Makes a checkpoint of a folder that all processes have written.

    Args:
        written (`Path`): the folder, in [`WRITING_FOLDER`].
        checkpoint (`Path`): its name as a checkpoint, on the same file system. One that has this name is replaced.
    """
    names = sorted(path.relative_to(written).as_posix() for path in written.rglob("*") if path.is_file())
    step = int(checkpoint.name.rpartition("-")[2])
    manifest = {"step": step, "files": _sizes(written, names)}
    (written / MANIFEST_NAME).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    # A name can outlive a power cut that its contents did not: those go to the disk first.
    for path in (*written.rglob("*"), written):
        _flush(path)
    if checkpoint.exists():
        _set_aside(checkpoint, written.parent)
    written.rename(checkpoint)
    _flush(checkpoint.parent)
    shutil.rmtree(_replaced(checkpoint, written.parent), ignore_errors=True)


def rotate(newest: Path, limit: int | None, best: str | None = None):
    """
    Deletes the oldest checkpoints beside the newest one until no more than `limit` are left.

    Args:
        newest (`Path`): the checkpoint that was just finished; never deleted.
        limit (`int`, *optional*): how many to keep; all where it is not positive or not given.
        best (`str`, *optional*): the checkpoint of the best model; never deleted.
    """
    checkpoints = [path for _, path in sorted(_checkpoints(newest.parent).items())]
    kept = {newest.name, Path(best).name} if best else {newest.name}
    surplus = len(checkpoints) - max(limit, len(kept)) if limit and limit > 0 else 0
    for path in [path for path in checkpoints if path.name not in kept][: max(surplus, 0)]:
        _delete(path)


def recover_interrupted(folder: Path):
    """
    Clears up after a process that was killed while it saved: a checkpoint that was being replaced gets its name back,
    what was half-written or half-deleted is removed.

    Args:
        folder (`Path`): where a run keeps its checkpoints.
    """
    writing = folder / WRITING_FOLDER
    for replaced in writing.glob("replaced-*"):
        checkpoint = folder / replaced.name.partition("-")[2]
        if not checkpoint.exists():
            replaced.rename(checkpoint)
    shutil.rmtree(writing, ignore_errors=True)


def _checkpoints(folder: Path) -> dict[int, Path]:
    """Folders with the name of a checkpoint, by step."""
    named = {path: re.fullmatch(rf"{PREFIX_CHECKPOINT_DIR}-(\d+)", path.name) for path in folder.glob("*")}
    return {int(match[1]): path for path, match in named.items() if match and path.is_dir()}


def _sizes(folder: Path, names) -> dict[str, int]:
    return {name: (folder / name).stat().st_size for name in names}


def _set_aside(checkpoint: Path, writing: Path):
    shutil.rmtree(_replaced(checkpoint, writing), ignore_errors=True)
    checkpoint.rename(_replaced(checkpoint, writing))


def _replaced(checkpoint: Path, writing: Path) -> Path:
    return writing / f"replaced-{checkpoint.name}"


def _delete(checkpoint: Path):
    # Renamed first: a checkpoint that is deleted in part must not look like one.
    gone = checkpoint.parent / WRITING_FOLDER / checkpoint.name
    shutil.rmtree(gone, ignore_errors=True)
    gone.parent.mkdir(exist_ok=True)
    checkpoint.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _flush(path: Path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_other_settings(output: Path, settings: dict[str, Any]):
    path = output / "settings.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    changed = [name for name in settings if name in kept and settings[name] != kept[name]]
    if changed:
        changes = "; ".join(f"{name}: {kept[name]} then, {settings[name]} now" for name in changed)
        raise ValueError(
            f"{output} holds checkpoints of a run with other settings ({changes}). Choose another `output_dir`, "
            "delete this one, or restore the settings to resume."
        )


def _settings(config: SensiaConfig, args: "AdaptArguments") -> dict[str, Any]:
    settings = {**config.to_dict(), **asdict(args), **_divided_among_processes(config)}
    del settings["per_device_train_batch_size"]
    free = tuple(name for name in _FREE_SETTINGS if name.endswith("_"))
    fixed = {
        name: value for name, value in settings.items() if name not in _FREE_SETTINGS and not name.startswith(free)
    }
    return json.loads(json.dumps(fixed, default=str))


def _divided_among_processes(config: SensiaConfig) -> dict[str, int]:
    """
    What the processes have together: a run may go on with another number of them while this stays, since the order of
    the data is then the same.
    """
    pairs, texts = config.train_batch_size, texts_per_forward(config)
    return {
        "per_device_train_batch_size x processes": pairs * config.world_size,
        "texts of a forward x processes": texts * config.world_size,
    }
