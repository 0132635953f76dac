"""The end of every command: its process group is closed, and wrong input, Ctrl-C and SIGTERM give one line."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from torch import distributed
from transformers.utils import logging

logger = logging.get_logger(__name__)

#: Exit codes that a shell reports of programs that SIGINT and SIGTERM end: 128 and the number of the signal.
_INTERRUPTED, _TERMINATED = 130, 143


class Terminated(KeyboardInterrupt):
    """The process received SIGTERM, which cluster schedulers send before they kill a job."""


@contextmanager
def exit_on_input_error(program: str) -> Iterator[None]:
    """
    Runs a command, alone or on each of several processes. Wrong input, a `ValueError` or `OSError`, ends it with the
    message alone, in one line; the traceback is shown where `TRANSFORMERS_VERBOSITY` is `debug`. Ctrl-C and SIGTERM
    end it with one line too. However the command ends, its process group is closed. A process that exits while the
    threads of the group run may abort, and a launcher then calls a run failed that did everything.

    Args:
        program (`str`): name of the script, put before the message.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
        if _has_process_group():
            # A process that closes its connections while another one still sends would end that one with an error.
            distributed.barrier()
    except (ValueError, OSError) as error:
        logger.debug("Where it was noticed:", exc_info=error)
        raise SystemExit(_line(program, str(error))) from None
    except Terminated as interrupt:
        print(_line(program, f"Stopped by SIGTERM. {interrupt}"), file=sys.stderr)
        raise SystemExit(_TERMINATED) from None
    except KeyboardInterrupt as interrupt:
        print(_line(program, f"Stopped by Ctrl-C. {interrupt}"), file=sys.stderr)
        raise SystemExit(_INTERRUPTED) from None
    finally:
        if _has_process_group():
            distributed.destroy_process_group()


def _terminate(signum: int, frame: FrameType | None):
    raise Terminated


def _has_process_group() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def _line(program: str, message: str) -> str:
    # Of several processes the line says which one wrote it.
    several = _has_process_group() and distributed.get_world_size() > 1
    process = f", rank {distributed.get_rank()}" if several else ""
    return f"{program}{process}: {' '.join(message.split())}"
