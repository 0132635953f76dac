"""Freed memory is kept where glibc allocates, and the user has not said otherwise."""

import json
import os
import subprocess
import sys

import pytest

# Allocates and frees 24 MiB several times, and counts how often the system had to hand out a new page.
PROGRAM = """
import ctypes, json, resource, sys
from sensia.trainers.allocator import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else None
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
def use():
    blocks = [libc.malloc(24 * 2**20) for _ in range(4)]
    for block in blocks:
        ctypes.memset(block, 1, 24 * 2**20)
    for block in reversed(blocks):
        libc.free(block)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    use()
print(json.dumps([kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before]))
"""


def run(*arguments, **environment):
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.slow
def test_memory_that_is_kept_is_not_asked_for_again():
    (_, by_default), (kept, faults) = run("default"), run("keep")
    if not kept:
        pytest.skip("another C library allocates here")
    assert faults * 20 < by_default


@pytest.mark.parametrize(
    "environment", [{"MALLOC_TRIM_THRESHOLD_": "1"}, {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=1"}]
)
def test_what_the_user_has_set_is_left_alone(environment):
    assert run("keep", **environment)[0] is False
