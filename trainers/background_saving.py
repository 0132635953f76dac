"""What a checkpoint takes to write is done beside the training: from a copy of weights and optimizer, in a thread."""

import threading
import time
from collections.abc import Callable
from typing import Any

import psutil  # type: ignore[import-untyped]
import torch

#: Largest share of the free memory that the copy of a checkpoint may take.
_SHARE = 0.5


class BackgroundSaving:
    """
    Writes one checkpoint at a time in a thread, while the training goes on.

    What is big is handed over with [`defer`]: a function that writes a copy. [`start`] begins to write it. An error of
    the thread is raised in the training's own thread, by [`raise_error`] or [`wait`].
    """

    def __init__(self):
        self._deferred: list[Callable[[], None]] = []
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._finished: list[tuple[float, float]] = []  # seconds of checkpoints, for the log

    def defer(self, write: Callable[[], None]):
        """
        Keeps a part of the checkpoint for the thread.

        Args:
            write (`Callable`): writes it; what it writes must not change any more.
        """
        self._deferred.append(write)

    def write_deferred(self):
        """Writes what was deferred, in the thread of the caller."""
        while self._deferred:
            self._deferred.pop(0)()

    def drop_deferred(self):
        """Forgets what was deferred, after an error."""
        self._deferred.clear()

    def start(self, finish: Callable[[], None], stood: float):
        """
        Writes what was deferred, and then finishes the checkpoint.

        Args:
            finish (`Callable`): makes a checkpoint of what is written; it also cares for what is left by an error.
            stood (`float`): seconds that the training has stood still for this checkpoint.
        """
        self._thread = threading.Thread(target=self._run, args=(finish, stood), name="checkpoint", daemon=True)
        self._thread.start()

    def raise_error(self):
        """Raises the error of a checkpoint that could not be written, if there is one; waits for nothing."""
        if self._thread is not None and not self._thread.is_alive():
            self.wait()

    def wait(self):
        """Waits until the checkpoint is there, and raises the error if it could not be written."""
        began = time.monotonic()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self._finished.append((time.monotonic() - began, 0.0))
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def seconds(self) -> dict[str, float]:
        """
        Seconds of the checkpoints that were finished since this was last asked, for the log: `checkpoint_seconds`,
        which the training stood still for them, and `checkpoint_write_seconds` of writing beside it. Empty without
        such a checkpoint.
        """
        finished, self._finished = self._finished, []
        if not finished:
            return {}
        stood, written = (round(sum(each), 3) for each in zip(*finished, strict=True))
        return {"checkpoint_seconds": stood, "checkpoint_write_seconds": written}

    def _run(self, finish: Callable[[], None], stood: float):
        began = time.monotonic()
        try:
            finish()
        except BaseException as error:
            self._error = error
        self._finished.append((stood, time.monotonic() - began))


def fits_in_memory(size: int) -> bool:
    """
    Tells if a copy of so many bytes leaves enough of the free memory.

    Args:
        size (`int`): bytes of the copy.
    """
    return size <= _SHARE * psutil.virtual_memory().available


def copy_on_cpu(state: Any, copies: dict[tuple, torch.Tensor] | None = None) -> Any:
    """
    Copies the tensors of a state, which training then changes, to the memory of the CPU. Tensors that are one weight
    stay one.

    Args:
        state: tensors in `dict`, `list` and `tuple`, with other values, which are taken as they are.
        copies (`dict`, *optional*): the copies so far.
    """
    copies = {} if copies is None else copies
    if isinstance(state, torch.Tensor):
        key = (state.data_ptr(), state.shape, state.stride(), state.dtype, state.device)
        if state.numel() == 0 or key not in copies:
            copies[key] = state.detach().to("cpu", copy=True)
        return copies[key]
    if isinstance(state, dict):
        copied = {name: copy_on_cpu(value, copies) for name, value in state.items()}
        return type(state)(copied)
    if isinstance(state, list | tuple):
        return type(state)(copy_on_cpu(value, copies) for value in state)
    return state
