"""Run by torchrun: InfoNCE of a small network on each rank's rows, and its gradient averaged as DDP does."""

import sys
from pathlib import Path

import torch
from torch import distributed
from torch.nn import functional as F

from sensia.trainers import info_nce
from sensia.trainers.command_ends import exit_on_input_error

ROWS, WIDTH = 3, 6


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(WIDTH, 8), torch.nn.Tanh(), torch.nn.Linear(8, 5)).double()


def inputs(world):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, ROWS * world, WIDTH, generator=generator, dtype=torch.float64)


def loss_of(model, queries, keys, one_way):
    return info_nce(F.normalize(model(queries), dim=-1), F.normalize(model(keys), dim=-1), 0.07, one_way)


def average_over_ranks(rank, world, one_way):
    """The mean loss, and the gradients that DDP averaged."""
    model = torch.nn.parallel.DistributedDataParallel(network())
    queries, keys = inputs(world)[:, rank * ROWS : (rank + 1) * ROWS]
    loss = loss_of(model, queries, keys, one_way)
    loss.backward()
    mean = loss.detach().clone()
    distributed.all_reduce(mean)
    return mean / world, [parameter.grad for parameter in model.parameters()]


def main():
    distributed.init_process_group("gloo")
    rank, world = distributed.get_rank(), distributed.get_world_size()
    results = {one_way: average_over_ranks(rank, world, one_way) for one_way in (False, True)}
    if rank == 0:
        torch.save(results, sys.argv[1])


if __name__ == "__main__":
    with exit_on_input_error(Path(__file__).name):
        main()
