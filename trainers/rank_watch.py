"""The processes of a run watch each other: one that fails, stops or keeps the others waiting is named by its rank."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from torch import distributed
from torch.distributed.distributed_c10d import _get_default_store
from transformers import TrainingArguments
from transformers.utils import logging

logger = logging.get_logger(__name__)

#: Seconds between two signs of life of a process.
_INTERVAL = 1.0
#: Seconds without a sign of life after which a process counts as gone.
_SILENT = 45.0
#: Seconds that processes wait for another one before it is named; named again when twice as many have passed.
_LATE = 30.0
#: Seconds in which a process may end by itself when another one has failed.
_GRACE = 5.0


class RankWatch:
    """
    Watches the processes of the default process group, in a thread of its own.

    Each process writes a sign of life to the group's store every second: a count, how many collective operations it
    has begun, and where its program is. The first process reads those of all, the others that of the first one. So
    the traffic grows with the number of processes, not with its square. Whoever waits in a collective operation has
    begun more of them than the one that it waits for: that is how a late process is told, on every backend.

    The first failure is kept in the store. A process that reads the failure of another one ends with one line, also
    where it waits in a collective operation that no exception ends.

    Args:
        patience (`float`): seconds that processes wait for another one before the run ends.
    """

    def __init__(self, patience: float):
        self.rank, self.world, self.patience = distributed.get_rank(), distributed.get_world_size(), patience
        # A launcher may keep one store for a run that it starts again: what an earlier start wrote must not be read.
        start = [uuid4().hex]
        distributed.broadcast_object_list(start)
        # A connection of its own: one that the training also used would be busy while that waits.
        store: Any = _get_default_store()
        self._store = distributed.PrefixStore(f"sensia/{start[0]}", store.clone())
        self._watched = [each for each in range(self.world) if each != self.rank] if self.rank == 0 else [0]
        self._ended = threading.Event()
        self._beats = 0
        self._main = threading.main_thread().ident
        self._thread = threading.Thread(target=self._run, name="rank watch", daemon=True)

    def start(self):
        self._beat()
        self._thread.start()

    def stop(self):
        """Says that this process needs no watching any more."""
        self._ended.set()
        self._thread.join(_GRACE)  # it may wait for a store that is gone
        with suppress(RuntimeError):  # the store may have ended before
            self._store.set(self._key(self.rank), "done")

    def note_failure(self, rank: int, why: str):
        """Keeps the first failure of the run, for all processes to read."""
        try:
            self._store.compare_set("failed", "", json.dumps({"rank": rank, "why": " ".join(why.split())}))
        except RuntimeError as error:
            logger.debug("The failure could not be told to the other processes.", exc_info=error)

    def failure(self) -> str | None:
        """The failure of another process in words, or `None`."""
        if not self._store.check(["failed"]):
            return None
        found = json.loads(self._store.get("failed"))
        whose = "this process" if found["rank"] == self.rank else f"rank {found['rank']}"
        return f"Ended because {whose} {found['why']}"

    def reason_of_lost_connection(self) -> str | None:
        """Why a collective operation failed: the failure of another process, or which one gives no sign of life."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a launcher's, which comes now too and would say less
        try:
            before = self._signs(range(self.world))
            for _ in range(3):
                if found := self.failure():
                    return found
                time.sleep(_INTERVAL)
            after = self._signs(range(self.world))
        except RuntimeError:
            return "Ended because the store of the process group is gone: rank 0 or its launcher has ended."
        gone = [rank for rank, sign in after.items() if sign == before.get(rank) != "done" and rank != self.rank]
        for rank in gone:
            self.note_failure(rank, "is gone: it was killed, or its machine was.")
        return self.failure()

    def _run(self):
        seen: dict[int, tuple[str, float]] = {}
        waiting = _Waiting()
        reached = woken = time.monotonic()
        while not self._ended.wait(_INTERVAL):
            now = time.monotonic()
            if now - woken > _SILENT / 2:  # this process was itself suspended, perhaps the others with it
                seen.clear()
                waiting = _Waiting()
            woken = now
            try:
                self._beat()
                self._judge(seen, waiting, now)
                failure, reached = self.failure(), now
            except RuntimeError as error:
                failure = None
                if now - reached > _GRACE:
                    failure = f"Ended because the store of the process group, which rank 0 has, is gone ({error})"
            if failure:
                self._end(failure)
                return

    def _judge(self, seen: dict[int, tuple[str, float]], waiting: "_Waiting", now: float):
        for rank, sign in self._signs(self._watched).items():
            if sign != seen.get(rank, ("", 0))[0]:
                seen[rank] = (sign, now)
            elif sign != "done" and now - seen[rank][1] > _SILENT:
                self.note_failure(rank, f"gave no sign of life for {_SILENT:.0f} seconds.")
        if self.rank == 0:
            signs = {rank: sign for rank, (sign, _) in seen.items()} | {0: self._sign()}
            if late := waiting.late(signs, now, self.patience):
                self.note_failure(*late)

    def _end(self, failure: str):
        """Ends a process that its main thread has not ended within the grace: it waits where no exception comes."""
        if self._ended.wait(_GRACE):
            return
        print(f"{Path(sys.argv[0]).name}, rank {self.rank}: {failure}", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(1)

    def _beat(self):
        self._beats += 1
        self._store.set(self._key(self.rank), self._sign())

    def _sign(self) -> str:
        frame = sys._current_frames().get(self._main or 0)
        code = frame and frame.f_code
        where = f"{code.co_name} ({Path(code.co_filename).name}, line {frame.f_lineno})" if frame and code else "?"
        group: Any = distributed.group.WORLD
        return json.dumps([self._beats, group._get_sequence_number_for_group(), where])

    def _signs(self, ranks) -> dict[int, str]:
        """The last sign of life of each process that has given one; `done` of one that is not watched any more."""
        there = [rank for rank in ranks if self._store.check([self._key(rank)])]
        return {rank: self._store.get(self._key(rank)).decode() for rank in there}

    @staticmethod
    def _key(rank: int) -> str:
        return f"alive/{rank}"


class _Waiting:
    """Finds processes that others wait for, from how many collective operations each has begun."""

    def __init__(self):
        self.begun: dict[int, int] = {}
        self.since = 0.0
        self.named_at = _LATE

    def late(self, signs: dict[int, str], now: float, patience: float) -> tuple[int, str] | None:
        """
        Warns of processes that others wait for.

        Returns:
            `tuple` of the rank and a text, of one that is too late; else `None`.
        """
        running = {rank: json.loads(sign) for rank, sign in signs.items() if sign != "done"}
        begun = {rank: sign[1] for rank, sign in running.items()}
        if begun != self.begun:
            self.begun, self.since, self.named_at = begun, now, _LATE
            return None
        late = {rank: sign[2] for rank, sign in running.items() if sign[1] < max(begun.values())}
        waited = now - self.since
        if late and waited >= self.named_at:
            self.named_at *= 2
            where = "; ".join(f"rank {rank} is in {place}" for rank, place in late.items())
            logger.warning(f"The other processes have waited for {waited:.0f} seconds: {where}.")
        if late and waited >= patience:
            rank, place = next(iter(late.items()))
            return rank, f"kept the others waiting for {waited:.0f} seconds (`ddp_timeout`) in {place}."
        return None


@contextmanager
def watch_ranks(config: TrainingArguments) -> Iterator[None]:
    """
    Lets the processes of a run watch each other while the block runs; see [`RankWatch`]. One process watches nothing.

    Args:
        config (`TrainingArguments`): the settings. `ddp_timeout` is how long processes wait for one that is late.

    Raises:
        OSError: in place of an error of the connection, or of a launcher's SIGTERM, where another process has failed:
            with its rank and its reason.
    """
    if config.world_size == 1 or not distributed.is_initialized():
        yield
        return
    watch = RankWatch(config.ddp_timeout)
    watch.start()
    try:
        yield
    except BaseException as error:
        reason = _reason_of_others(watch, error)
        if reason is None:
            if not isinstance(error, KeyboardInterrupt):
                watch.note_failure(watch.rank, f"failed: {str(error) or type(error).__name__}")
            raise
        logger.debug("Where it was noticed:", exc_info=error)
        raise OSError(reason) from None
    finally:
        watch.stop()


def _reason_of_others(watch: RankWatch, error: BaseException) -> str | None:
    """The failure of another process that this error follows from; `None` where the error is this process's own."""
    cause: BaseException | None = error
    while cause is not None:
        # gloo raises plain RuntimeErrors, whose text names the file in gloo.
        if isinstance(cause, distributed.DistError) or (isinstance(cause, RuntimeError) and "gloo" in str(cause)):
            return watch.reason_of_lost_connection()
        cause = cause.__context__
    try:
        return watch.failure() if isinstance(error, KeyboardInterrupt) else None
    except RuntimeError:
        return None
