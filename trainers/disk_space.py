"""Room on the disk for what a run saves: asked for before the first step, and named where it is missing later."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peft import PeftModel
from safetensors import SafetensorError
from torch import nn
from transformers import TrainingArguments
from transformers.trainer_utils import SaveStrategy

from sensia.trainers.checkpoints import newest_checkpoint, whole_checkpoints

#: Adam keeps two numbers of 4 bytes for every parameter that is trained.
_MOMENTS_BYTES = 8
#: A checkpoint is finished before the one that it replaces is deleted.
_CHECKPOINTS = 2
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def check_free_disk(config: TrainingArguments, model: nn.Module):
    """
    Refuses a run whose checkpoints will not fit on the disk, before it has computed anything.

    Args:
        config (`TrainingArguments`): the settings; `output_dir` exists.
        model (`nn.Module`): what is trained.

    Raises:
        ValueError: with what is needed and what is free.
    """
    folder = Path(str(config.output_dir))
    there = len(whole_checkpoints(folder))
    more = 0 if config.save_strategy == SaveStrategy.NO else max(_CHECKPOINTS - there, 1)
    needed, free = weight_bytes(model) + more * checkpoint_bytes(config, model), shutil.disk_usage(folder).free
    if needed > free:
        raise ValueError(
            f"`output_dir` {folder} has {_size(free)} of free disk, and this run needs about {_size(needed)} there: "
            f"for {more} checkpoints of weights and optimizer, and the final model. Free space, choose another "
            "`output_dir`, or save less (`save_only_model: true`, `save_strategy: no`)."
        )


def weight_bytes(model: nn.Module) -> int:
    """Bytes of all parameters of a model, tied ones once."""
    return sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())


def checkpoint_bytes(config: TrainingArguments, model: nn.Module) -> int:
    """
    About the size of a checkpoint: weights, of an adapter its own alone, and the two moments of Adam.

    Args:
        config (`TrainingArguments`): the settings.
        model (`nn.Module`): what is trained.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    saved = trained if isinstance(model, PeftModel) else list(model.parameters())
    weights = sum(parameter.numel() * parameter.element_size() for parameter in saved)
    moments = 0 if config.save_only_model else _MOMENTS_BYTES * sum(parameter.numel() for parameter in trained)
    return weights + moments


@contextmanager
def naming_a_full_disk(what: str, run: Path, size: int = 0) -> Iterator[None]:
    """
    Says in one line that the disk is full, where libraries name the write that failed.

    Args:
        what (`str`): what is saved, to begin the sentence.
        run (`Path`): `output_dir` of the run.
        size (`int`, *optional*, defaults to 0): about how many bytes it takes.

    Raises:
        OSError: if there is no space left; any other error stays as it is.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if (reason := _known_reason(error) or _missing_space(run, size)) is None:
            raise
        whole = newest_checkpoint(run)
        left = f"{whole} is whole: free space and give the same command again to go on from there."
        none = "There is no whole checkpoint yet: free space, and give the same command again."
        raise OSError(f"{what} could not be saved in {run}: {reason}. {left if whole else none}") from error


def _known_reason(error: BaseException | None) -> str | None:
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_SPACE:
            return _words(error.errno)
        error = error.__cause__ or error.__context__
    return None


def _missing_space(folder: Path, size: int) -> str | None:
    """Returns why so many bytes cannot be written now. Errors of torch and safetensors do not always say it."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(probe.fileno(), 0, max(size, 1))
    except OSError as error:
        return _words(error.errno) if error.errno in _NO_SPACE else None
    return _words(errno.ENOSPC) if shutil.disk_usage(folder).free < size else None


def _words(number: int | None) -> str:
    """The system's words, as in "no space left on device"."""
    return os.strerror(number or 0).lower()


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
