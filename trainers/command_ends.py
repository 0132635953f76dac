"""How every command ends: with its process group closed, and on wrong input or Ctrl-C with one line."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from torch import distributed
from transformers.utils import logging

logger = logging.get_logger(__name__)

#: What a shell reports of a program that Ctrl-C ended.
_INTERRUPTED = 130


@contextmanager
def exit_on_input_error(program: str) -> Iterator[None]:
    """
    Runs a command, alone or on each of several processes. Wrong input, a `ValueError` or `OSError`, ends it with the
    message alone, in one line; the traceback is shown where `TRANSFORMERS_VERBOSITY` is `debug`. Ctrl-C ends it with
    one line too. However the command ends, its process group is closed: a process that exits while the threads of the
    group run may abort, and a launcher then calls a run failed that did everything.

    Args:
        program (`str`): name of the script, put before the message.
    """
    try:
        yield
        if _has_process_group():
            # A process that closes its connections while another one still sends would end that one with an error.
            distributed.barrier()
    except (ValueError, OSError) as error:
        logger.debug("Where it was noticed:", exc_info=error)
        raise SystemExit(_line(program, str(error))) from None
    except KeyboardInterrupt as interrupt:
        print(_line(program, f"Stopped by Ctrl-C. {interrupt}"), file=sys.stderr)
        raise SystemExit(_INTERRUPTED) from None
    finally:
        if _has_process_group():
            distributed.destroy_process_group()


def _has_process_group() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def _line(program: str, message: str) -> str:
    return f"{program}: {' '.join(message.split())}"
