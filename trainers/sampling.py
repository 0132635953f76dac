"""The order in which pairs and texts are read: batches of similar length, in which no sentence comes twice."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import count, islice
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch.utils.data import Sampler

Item = TypeVar("Item")
ROWS_PER_CHUNK = 10_000


class BatchShape(NamedTuple):
    """
    Numbers of pairs and texts that a step reads.

    Args:
        pairs (`int`): pairs of one forward on one device, B.
        forwards (`int`, *optional*, defaults to 1): forwards of one optimizer step over all processes.
        texts (`int`, *optional*, defaults to 0): texts that follow the pairs of each forward.
    """

    pairs: int
    forwards: int = 1
    texts: int = 0

    @property
    def pairs_per_step(self) -> int:
        """`int`: pairs among which no sentence may come twice."""
        return self.pairs * self.forwards


class BatchFiller(Generic[Item]):
    """
    Fills batches in the order given, such that no two items of a batch share a key.

    An item whose key is taken waits for a later batch, one for each key in the order of their coming, so that every
    item is looked at a few times however often a sentence is repeated.

    Args:
        keys (`Callable`): the keys of an item: those of its source and of its target.
        size (`int`): items of a batch.
    """

    def __init__(self, keys: Callable[[Item], tuple[Hashable, Hashable]], size: int):
        self.keys = keys
        self.size = size
        self._waiting: dict[tuple[int, Hashable], deque[Item]] = {}
        self._batch: list[Item] = []
        self._taken: tuple[set[Hashable], set[Hashable]] = (set(), set())

    def fill(self, items: Iterable[Item]) -> Iterator[list[Item]]:
        """
        Args:
            items (`Iterable`): more items; what is left of earlier ones comes first.

        Returns:
            `Iterator[list]`: whole batches. What is left stays for the next call; see [`drain`].
        """
        for item in items:
            if self._add(item):
                yield self._close()
                while self._readmit():
                    yield self._close()

    def drain(self) -> list[Item]:
        """`list`: what no batch has had room for, in the order of its coming; none is left behind."""
        left = [*self._batch, *(item for queue in self._waiting.values() for item in queue)]
        self._waiting, self._batch, self._taken = {}, [], (set(), set())
        return left

    def _add(self, item: Item) -> bool:
        """Puts an item into the batch or in line; says whether the batch is full now."""
        for side, (key, taken) in enumerate(zip(self.keys(item), self._taken, strict=True)):
            if key in taken:
                self._waiting.setdefault((side, key), deque()).append(item)
                return False
        for key, taken in zip(self.keys(item), self._taken, strict=True):
            taken.add(key)
        self._batch.append(item)
        return len(self._batch) == self.size

    def _close(self) -> list[Item]:
        batch, self._batch, self._taken = self._batch, [], (set(), set())
        return batch

    def _readmit(self) -> bool:
        """The first in each line gets into the new batch; says whether the batch is full now."""
        for line in list(self._waiting):
            queue = self._waiting.pop(line)
            item = queue.popleft()
            if queue:
                # Behind the others, before `_add` can put `item` in line elsewhere or here again.
                self._waiting[line] = queue
            if self._add(item):
                return True
        return False


class LengthWindowSampler(Sampler[int]):
    """
    A random order whose batches hold pairs of similar length, so that little is padded, and no sentence twice, since
    a second translation of the same sentence is no negative.

    Each epoch shuffles all pairs, sorts windows of `batches_per_window` batches by length, fills batches, putting off
    a pair that shares a side with another of the batch, and shuffles the batches. The pairs that fit nowhere are left
    out of the epoch, as are those that do not fill a last batch. The order is a function of seed and epoch alone, so a
    resumed run reads what the uninterrupted one would have.

    The texts of a forward follow its pairs, as indices from `len(lengths)` on: an endless row of shuffles of all
    texts, which goes on from epoch to epoch.

    Args:
        lengths (`Sequence[int]`): padded length of each pair in tokens.
        shape ([`BatchShape`]): pairs and texts of a step.
        seed (`int`): seed of the order.
        keys (`numpy.ndarray`, *optional*): `int` [pairs, 2], equal where sources, or targets, are equal; see
            [`measure_pairs`]. All pairs differ if not given.
        num_texts (`int`, *optional*, defaults to 0): texts that there are.
        batches_per_window (`int`, *optional*, defaults to 50): more pads less, fewer mixes more; 1 does not sort.

    Raises:
        ValueError: if there are fewer pairs than a step reads, or too many that share a side to fill one step.
    """

    def __init__(
        self,
        lengths: Sequence[int] | NDArray[np.integer],
        shape: BatchShape,
        seed: int,
        keys: NDArray[np.integer] | None = None,
        num_texts: int = 0,
        batches_per_window: int = 50,
    ):
        if len(lengths) < shape.pairs_per_step:
            raise ValueError(
                f"{len(lengths):,} pairs to train on are fewer than the {shape.pairs_per_step:,} of one step over all "
                "processes: use more data or smaller batches."
            )
        self.lengths = np.asarray(lengths)
        self.shape = shape
        self.seed = seed
        self.keys = np.arange(len(lengths))[:, None].repeat(2, 1) if keys is None else keys
        self.num_texts = num_texts
        self.window = shape.pairs_per_step * batches_per_window
        self.sorted = batches_per_window > 1
        self.epoch = 0
        self._first: list[list[int]] | None = self._batches(0)
        self.num_batches = len(self._first)
        if self.num_batches == 0:
            raise ValueError(
                f"No {shape.pairs_per_step:,} pairs without a sentence in common can be found among {len(lengths):,}: "
                "too many are translations of the same sentence. Use other data or smaller batches."
            )
        self.left_out = len(lengths) - self.num_batches * shape.pairs_per_step

    def set_epoch(self, epoch: int):
        self.epoch = epoch

    def __len__(self) -> int:
        return self.num_batches * self.shape.forwards * (self.shape.pairs + self.shape.texts)

    def __iter__(self) -> Iterator[int]:
        kept, self._first = self._first, None  # the order that was counted
        batches = kept if kept is not None and self.epoch == 0 else self._batches(self.epoch)
        # Epochs are equally long: where one is short of batches for want of pairs that fit, its first ones come again.
        batches = (batches * -(-self.num_batches // max(len(batches), 1)))[: self.num_batches]
        read = self.epoch * self.num_batches * self.shape.forwards * self.shape.texts
        texts = (len(self.lengths) + text for text in text_order(self.num_texts, self.seed, read))
        return interleave(batches, texts, self.shape)

    def _batches(self, epoch: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        order = torch.randperm(len(self.lengths), generator=generator)
        filled = self._fill(order.numpy())
        shuffled = torch.randperm(len(filled), generator=generator).tolist()
        return [filled[position] for position in shuffled]

    def _fill(self, order: NDArray[np.integer]) -> list[list[int]]:
        filler: BatchFiller[list[int]] = BatchFiller(lambda row: (row[1], row[2]), self.shape.pairs_per_step)
        batches: list[list[int]] = []
        waiting, aside = order[:0], order[:0]
        for start in range(0, len(order), self.window):
            # What waits is sorted with the next window, as it is as long as any. More than a window waits for the end.
            window = self._in_reading_order(np.concatenate([waiting, order[start : start + self.window]]))
            ready = self._without_repeats(window)
            batches += window[:ready].reshape(-1, filler.size).tolist()
            batches += self._fill_with(filler, window[ready:])
            left = np.array([index for index, *_ in filler.drain()], dtype=order.dtype)
            waiting, aside = left[: self.window], np.concatenate([aside, left[self.window :]])
        return batches + self._fill_with(filler, self._in_reading_order(np.concatenate([waiting, aside])))

    def _in_reading_order(self, window: NDArray[np.integer]) -> NDArray[np.integer]:
        return window[self.lengths[window].argsort(kind="stable")] if self.sorted else window

    def _without_repeats(self, window: NDArray[np.integer]) -> int:
        """Counts the pairs of a window, in whole batches, before the first batch that has a side twice."""
        size = self.shape.pairs_per_step
        whole = len(window) // size
        keys = np.sort(self.keys[window[: whole * size]].reshape(whole, size, 2), axis=1)  # [batches, size, 2]
        repeats = (keys[:, 1:] == keys[:, :-1]).any((1, 2))  # [batches]
        return int(repeats.argmax() if repeats.any() else whole) * size

    def _fill_with(self, filler: BatchFiller[list[int]], pairs: NDArray[np.integer]) -> list[list[int]]:
        rows = np.column_stack([pairs, self.keys[pairs]]).tolist()  # index and keys of each
        return [[index for index, *_ in batch] for batch in filler.fill(rows)]


def interleave(batches: Iterable[Sequence[Item]], texts: Iterator[Item], shape: BatchShape) -> Iterator[Item]:
    """
    Steps cut into forwards, each with its texts behind its pairs.

    Args:
        batches (`Iterable[Sequence]`): the pairs of each step.
        texts (`Iterator`): as many texts as are asked for.
        shape ([`BatchShape`]): pairs and texts of a forward.
    """
    for batch in batches:
        for start in range(0, shape.pairs_per_step, shape.pairs):
            yield from batch[start : start + shape.pairs]
            yield from islice(texts, shape.texts)


def text_order(num_texts: int, seed: int, start: int = 0) -> Iterator[int]:
    """
    An endless row of shuffles of all texts: a function of seed and place alone.

    Args:
        num_texts (`int`): texts that there are.
        seed (`int`): seed of the shuffles.
        start (`int`, *optional*, defaults to 0): place to begin at.
    """
    if num_texts == 0:
        return
    first, skipped = divmod(start, num_texts)
    for shuffle in count(first):
        generator = np.random.default_rng((seed, shuffle))
        yield from generator.permutation(num_texts)[skipped:].tolist()
        skipped = 0


def measure_pairs(pairs: Dataset) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """
    Lengths of pairs, and which of them share a side.

    Args:
        pairs (`datasets.Dataset`): columns `source_ids` and `target_ids`.

    Returns:
        `tuple` of `numpy.ndarray`: the longer side in tokens, `int` [pairs]; and keys, `int` [pairs, 2], equal where
        the sources, or the targets, have the same ids.
    """
    lengths, digests = [], []
    for chunk in pairs.select_columns(["source_ids", "target_ids"]).with_format("arrow").iter(ROWS_PER_CHUNK):
        sides = [_measure_rows(chunk[name].combine_chunks()) for name in ("source_ids", "target_ids")]
        lengths.append(np.maximum(*(length for length, _ in sides)))
        digests.append(np.stack([digest for _, digest in sides], axis=1))  # [chunk, 2]
    columns = np.concatenate(digests).T
    keys = np.stack([np.unique(column, return_inverse=True)[1] for column in columns], axis=1)  # [pairs, 2]
    return np.concatenate(lengths), keys


def _measure_rows(rows) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Length and a hash of 64 bits of each row of ids: a collision is not to be expected, and would only put off."""
    offsets = rows.offsets.to_numpy() - rows.offsets[0].as_py()
    lengths = np.diff(offsets)
    places = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)  # of each token within its row
    scattered = _scatter(rows.flatten().to_numpy().astype(np.uint64) + _scatter(places.astype(np.uint64)))
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(scattered)])  # modulo 2^64, as are the differences
    return lengths, (sums[offsets[1:]] - sums[offsets[:-1]]).view(np.int64)


def _scatter(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Numbers spread over 64 bits by the finalizer of SplitMix64 (Steele, Lea and Flood 2014)."""
    mixed = (numbers + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
