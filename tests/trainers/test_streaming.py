from itertools import islice

import datasets
import pytest
from accelerate.data_loader import IterableDatasetShard

from sensia.trainers.sampling import BatchShape
from sensia.trainers.streaming import StreamedWindows


def rows(count, sentences=10**9):
    return [{"source_ids": [i % sentences, *[0] * (i * 7919 % 50)], "target_ids": [i], "row": i} for i in range(count)]


def stream(count=400, sentences=10**9, buffer=64):
    data = datasets.Dataset.from_list(rows(count, sentences)).to_iterable_dataset()
    return data.shuffle(seed=3, buffer_size=buffer)


def one_epoch(windows):
    """What an endless stream gives until it begins anew."""
    first, read = windows.epoch, []
    for row in windows:
        if windows.epoch > first:
            return read
        read.append(row)
    raise AssertionError("a stream of training data never ends")


def numbers(rows):
    return [row["row"] for row in rows]


def test_every_pair_is_read_once_an_epoch_but_for_a_rest_smaller_than_a_batch():
    read = numbers(one_epoch(StreamedWindows(stream(403), BatchShape(8), 0)))
    assert len(set(read)) == len(read) == 400


def test_no_batch_holds_a_sentence_twice_and_none_is_lost():
    read = one_epoch(StreamedWindows(stream(sentences=40), BatchShape(8, forwards=2), 0, batches_per_window=5))
    for start in range(0, len(read), 16):
        assert len({tuple(row["source_ids"]) for row in read[start : start + 16]}) == 16
    assert len(set(numbers(read))) == len(read) > 350


def test_batches_hold_similar_lengths_unless_windows_are_not_sorted():
    def padding(**options):
        windows = StreamedWindows(stream(2000), BatchShape(10), 0, **options)
        read = [len(row["source_ids"]) for row in one_epoch(windows)]
        return sum(10 * max(read[start : start + 10]) for start in range(0, len(read), 10)) / sum(read)

    assert padding(batches_per_window=50) < 1.1
    assert padding(batches_per_window=1) > 1.5


def test_the_order_is_a_function_of_seed_and_epoch():
    def order(seed, epoch):
        windows = StreamedWindows(stream(), BatchShape(8), seed)
        windows.set_epoch(epoch)
        return numbers(one_epoch(windows))

    assert order(0, 0) == order(0, 0)
    assert order(0, 1) == order(0, 1)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


def test_a_stream_that_ends_is_shuffled_anew_and_goes_on():
    def order(epoch):
        windows = StreamedWindows(stream(), BatchShape(8), 0)
        windows.set_epoch(epoch)
        return numbers(one_epoch(windows))

    endless = numbers(islice(StreamedWindows(stream(), BatchShape(8), 0), 1200))
    assert endless == [*order(0), *order(1), *order(2)]


def test_texts_follow_the_pairs_of_each_forward_and_all_are_read_in_turn():
    texts = [{"source_ids": [], "target_ids": [i], "row": -i} for i in range(1, 12)]
    windows = StreamedWindows(stream(16), BatchShape(4, forwards=2, texts=2), 0, texts)
    read = list(islice(windows, 11 * 6))
    for start in range(0, len(read), 6):
        assert [not row["source_ids"] for row in read[start : start + 6]] == [False] * 4 + [True] * 2
    assert sorted(row["row"] for row in read if not row["source_ids"]) == sorted([*range(-11, 0)] * 2)


def test_processes_share_the_steps_of_one_process():
    texts = [{"source_ids": [], "target_ids": [i], "row": -i} for i in range(1, 12)]
    shape = BatchShape(4, forwards=2, texts=1)

    def windows():
        return StreamedWindows(stream(), shape, 0, texts)

    whole = numbers(islice(windows(), 1000))  # into the third epoch
    shares = [numbers(islice(IterableDatasetShard(windows(), 5, False, 2, rank), 500)) for rank in (0, 1)]
    blocks = [share[start : start + 5] for start in range(0, 500, 5) for share in shares]
    assert [row for block in blocks for row in block] == whole


def test_a_sentence_in_every_pair_does_not_pile_up_and_is_refused():
    rows = [{"source_ids": [7], "target_ids": [i], "row": i} for i in range(3000)]
    windows = StreamedWindows(datasets.Dataset.from_list(rows).to_iterable_dataset(), BatchShape(2), 0, (), 4)
    with pytest.raises(ValueError, match="3,000 pairs"):
        list(windows)
    assert windows.left_out == 3000


def test_a_stream_shorter_than_a_step_is_refused_with_both_numbers():
    with pytest.raises(ValueError, match=r"ended after 15 pairs that can be learned from.*one step of 16 pairs"):
        list(StreamedWindows(stream(15), BatchShape(16), 0))


def test_only_what_is_needed_of_a_stream_is_read():
    def endless():
        for number in range(10**9):
            yield {"source_ids": [number], "target_ids": [number], "row": number}

    data = datasets.IterableDataset.from_generator(endless)
    assert len(list(islice(StreamedWindows(data, BatchShape(8), 0), 100))) == 100
