"""Memory of the C library on CPUs: what is freed is kept for the next step instead of being given back each time."""

import ctypes
import os
import platform

# Of <malloc.h>; see mallopt(3).
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
#: Above this, glibc maps a block of its own for each allocation; versions before 2.34 take 32 MiB at most.
_MAPPED_FROM = (2**30, 32 * 2**20)
_KEPT = 2**30
_ASKED_FOR_AT_ONCE = 64 * 2**20


def keep_freed_memory() -> bool:
    """
    Tells glibc to keep up to 1 GiB of freed memory at the end of its heap.

    Each training step allocates and frees the same hundreds of megabytes, in other shapes. By default glibc gives them
    back to the system and asks for them again, and the system clears every page.

    Returns:
        `bool`: True if it was done; False on other C libraries, where another allocator is preloaded, and where the
        user has set `MALLOC_TRIM_THRESHOLD_` or another of glibc's own variables.
    """
    by_user = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    if by_user or os.environ.get("LD_PRELOAD") or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    kept = mallopt(_M_TRIM_THRESHOLD, _KEPT) and mallopt(_M_TOP_PAD, _ASKED_FOR_AT_ONCE)
    return bool(kept and any(mallopt(_M_MMAP_THRESHOLD, size) for size in _MAPPED_FROM))
