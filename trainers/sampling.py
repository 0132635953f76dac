"""The order in which pairs are read."""

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler


class LengthWindowSampler(Sampler[int]):
    """
    A random order whose batches hold pairs of similar length, so that little is padded.

    Each epoch shuffles all pairs, sorts windows of `batches_per_window` batches by length and shuffles the batches.
    The order is a function of seed and epoch alone, so a resumed run reads what the uninterrupted one would have.

    Args:
        lengths (`Sequence[int]`): padded length of each pair in tokens.
        batch_size (`int`): pairs of one optimizer step over all processes.
        seed (`int`): seed of the order.
        batches_per_window (`int`, *optional*, defaults to 50): more pads less, fewer mixes more.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int, batches_per_window: int = 50):
        self.lengths = torch.as_tensor(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.window = batch_size * batches_per_window
        self.epoch = 0

    def set_epoch(self, epoch: int):
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator)
        windows = [window[self.lengths[window].argsort(stable=True)] for window in order.split(self.window)]
        batches = list(torch.cat(windows).split(self.batch_size))
        last = [batches.pop()] if len(batches[-1]) < self.batch_size else []  # stays last, where it can be dropped
        shuffled = torch.randperm(len(batches), generator=generator).tolist()
        return iter(torch.cat([batches[position] for position in shuffled] + last).tolist())
