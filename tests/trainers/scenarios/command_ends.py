"""A command on two gloo ranks that ends well (`well`), on wrong input (`wrong`) or on a mistake in it (`mistake`)."""

import atexit
import sys
from pathlib import Path

import torch
from torch import distributed

from sensia.trainers.command_ends import exit_on_input_error


def main(way: str):
    distributed.init_process_group("gloo")
    atexit.register(lambda: print(f"group is open: {distributed.is_initialized()}", flush=True))
    distributed.all_reduce(torch.ones(1))
    if way == "wrong":
        raise ValueError("no such\nword")
    if way == "mistake":
        raise KeyError("a mistake")


if __name__ == "__main__":
    with exit_on_input_error(Path(__file__).name):
        main(sys.argv[1])
