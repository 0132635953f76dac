"""Windows of a stream that is never in memory as a whole."""

from collections.abc import Hashable, Iterator, Sequence
from itertools import islice
from typing import Any

import datasets
import torch
from torch.utils.data import IterableDataset

from sensia.trainers.sampling import BatchFiller, BatchShape, interleave, text_order


class StreamedWindows(IterableDataset):
    """
    The batches of [`LengthWindowSampler`] on a stream: windows are sorted by length, cut into batches in which no
    sentence comes twice, and these are shuffled.

    It never ends: the stream is shuffled anew and read again. The Trainer, which cannot know where an epoch of a
    stream ends, takes everything for one epoch, and skips to the right place of it when it resumes. Every process
    reads the whole stream, in the same order, and accelerate gives each its share: the forwards of a step follow each
    other.

    Pairs that fit into no batch of their window go on to the next one, as many as a window holds; more are left out,
    as is the rest at the end of the stream. The order is a function of seed and epoch alone.

    Args:
        stream (`datasets.IterableDataset`): shuffled pairs of [`sensia.corpora.clean_pairs`].
        shape ([`BatchShape`]): pairs and texts of a step.
        seed (`int`): seed of the order of batches and texts.
        texts (`Sequence[dict]`, *optional*): rows of [`sensia.corpora.encode_texts`], read in the order of
            [`text_order`].
        batches_per_window (`int`, *optional*, defaults to 50): more pads less, fewer mixes more; 1 does not sort.

    Attributes:
        epoch (`int`): how often the stream has been read to its end.
        left_out (`int`): pairs of this epoch that no batch had room for, so far.

    Raises:
        ValueError: while iterating, if the stream ends before one step is full.
    """

    def __init__(
        self,
        stream: datasets.IterableDataset,
        shape: BatchShape,
        seed: int,
        texts: Sequence[dict[str, Any]] | datasets.Dataset = (),
        batches_per_window: int = 50,
    ):
        self.stream = stream
        self.shape = shape
        self.seed = seed
        self.texts = texts
        self.window = shape.pairs_per_step * batches_per_window
        self.sorted = batches_per_window > 1
        self.epoch = 0
        self.left_out = 0

    def set_epoch(self, epoch: int):
        self.epoch = epoch

    def __iter__(self) -> Iterator[dict[str, Any]]:
        texts = (self.texts[text] for text in text_order(len(self.texts), self.seed))
        return interleave(self._endless_batches(), texts, self.shape)

    def _endless_batches(self) -> Iterator[list[dict[str, Any]]]:
        while True:
            self.stream.set_epoch(self.epoch)
            yield from self._batches()
            self.epoch += 1

    def _batches(self) -> Iterator[list[dict[str, Any]]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        filler: BatchFiller[dict[str, Any]] = BatchFiller(_sides, self.shape.pairs_per_step)
        rows, read, given, waiting = iter(self.stream), 0, 0, list[dict[str, Any]]()
        self.left_out = 0
        while fresh := list(islice(rows, self.window)):
            read += len(fresh)
            window = sorted([*waiting, *fresh], key=_padded_length) if self.sorted else [*waiting, *fresh]
            batches = list(filler.fill(window))
            given += len(batches)
            yield from (batches[position] for position in torch.randperm(len(batches), generator=generator).tolist())
            waiting = filler.drain()
            self.left_out += len(waiting[self.window :])
            del waiting[self.window :]
        self.left_out += len(waiting)
        if given == 0:
            raise ValueError(
                f"The stream ended after {read:,} pairs that can be learned from, which do not fill one step of "
                f"{self.shape.pairs_per_step:,} pairs without a sentence in common: use more data or smaller batches, "
                "and look whether cleaning drops too many."
            )


def _sides(pair: dict[str, Any]) -> tuple[Hashable, Hashable]:
    return tuple(pair["source_ids"]), tuple(pair["target_ids"])


def _padded_length(pair: dict[str, Any]) -> int:
    return max(len(pair["source_ids"]), len(pair["target_ids"]))
