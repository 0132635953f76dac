import random
from collections import Counter
from itertools import islice

import datasets
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensia.trainers.sampling import BatchFiller, BatchShape, LengthWindowSampler, measure_pairs, text_order


def lengths(count):
    return [random.Random(7 * count + position).randint(1, 200) for position in range(count)]


def sampler_of(known, size, seed=0, **options):
    return LengthWindowSampler(known, BatchShape(size), seed, **options)


def batches_of(sampler):
    size = sampler.shape.pairs_per_step
    order = list(sampler)
    return [order[start : start + size] for start in range(0, len(order), size)]


@given(count=st.integers(1, 300), size=st.integers(1, 16), epoch=st.integers(0, 5))
def test_each_pair_is_read_once_an_epoch_except_for_a_rest_smaller_than_a_batch(count, size, epoch):
    if count < size:
        return
    sampler = sampler_of(lengths(count), size)
    sampler.set_epoch(epoch)
    order = list(sampler)
    assert len(order) == len(set(order)) == len(sampler) == count - count % size
    assert sampler.left_out == count % size


def test_order_depends_on_seed_and_epoch_alone():
    def order(seed, epoch):
        sampler = sampler_of(lengths(200), 8, seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)


def padding(known, order, size):
    batches = [[known[i] for i in order[start : start + size]] for start in range(0, len(order), size)]
    return sum(max(batch) * len(batch) for batch in batches) / sum(map(sum, batches))


def test_batches_hold_similar_lengths_unless_a_window_is_one_batch():
    known = lengths(2000)
    assert padding(known, list(sampler_of(known, 20)), 20) < 1.05
    assert padding(known, list(sampler_of(known, 20, batches_per_window=1)), 20) > 1.5


keys_of_pairs = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=120)


@given(keys=keys_of_pairs, size=st.integers(1, 6), epoch=st.integers(0, 3))
def test_no_batch_holds_a_sentence_twice(keys, size, epoch):
    if len(keys) < size:
        return
    try:
        sampler = sampler_of(lengths(len(keys)), size, keys=np.array(keys))
    except ValueError:
        assert min(len({source for source, _ in keys}), len({target for _, target in keys})) < size or size > 1
        return
    sampler.set_epoch(epoch)
    batches = batches_of(sampler)
    assert len(batches) == sampler.num_batches
    for batch in batches:
        assert len(batch) == size
        for side in (0, 1):
            assert len({keys[index][side] for index in batch}) == size


@given(keys=keys_of_pairs, size=st.integers(1, 6), windows=st.integers(1, 3))
def test_batches_are_those_that_filling_pair_by_pair_makes(keys, size, windows):
    if len(keys) < size:
        return
    sizes = np.array(lengths(len(keys)))
    try:
        sampler = LengthWindowSampler(sizes, BatchShape(size), 0, np.array(keys), batches_per_window=windows)
    except ValueError:
        return
    order, waiting, aside, expected = np.arange(len(keys))[::-1], [], [], []
    filler = BatchFiller(lambda index: keys[index], size)
    for start in range(0, len(keys), sampler.window):
        window = [*waiting, *order[start : start + sampler.window]]
        window = sorted(window, key=sizes.__getitem__) if windows > 1 else window
        expected += filler.fill(window)
        left = filler.drain()
        waiting, aside = left[: sampler.window], [*aside, *left[sampler.window :]]
    rest = [*waiting, *aside]
    expected += filler.fill(sorted(rest, key=sizes.__getitem__) if windows > 1 else rest)
    assert sampler._fill(order) == expected


def test_pairs_that_collide_are_put_off_and_not_lost():
    keys = np.array([[index % 100, index] for index in range(400)])  # every source four times
    sampler = sampler_of(lengths(400), 50, keys=keys)
    order = list(sampler)
    assert len(set(order)) == len(order) >= 350
    assert sampler.left_out == 400 - len(order)


def test_a_sentence_in_most_pairs_leaves_out_all_but_one_a_batch():
    keys = np.array([[0, index] for index in range(300)] + [[index, index] for index in range(300, 400)])
    sampler = sampler_of([10] * 400, 11, keys=keys)
    common = Counter(index < 300 for index in sampler)
    assert common[True] == sampler.num_batches == 10
    assert sampler.left_out == 290


def test_epochs_are_equally_long():
    generator = np.random.default_rng(0)
    sampler = sampler_of(lengths(200), 8, keys=generator.integers(0, 12, (200, 2)))
    orders = []
    for epoch in range(6):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
    assert {len(order) for order in orders} == {len(sampler)}
    assert len({len(set(order)) for order in orders}) > 1  # some epoch had fewer batches of its own


def test_many_copies_of_one_sentence_take_linear_time():
    class Counting:
        looked_at = 0

        def __call__(self, item):
            self.looked_at += 1
            return item % 3, item

    keys = Counting()
    filled = list(BatchFiller(keys, 3).fill(range(30_000)))
    assert len(filled) > 9_000
    keys.looked_at = 0
    skewed = BatchFiller(lambda item: (keys(item) and 0, item) if item % 2 else (item, keys(item) and item), 4)
    list(skewed.fill(range(30_000)))
    assert keys.looked_at < 200_000


def test_texts_follow_the_pairs_of_each_forward():
    sampler = LengthWindowSampler([5] * 24, BatchShape(pairs=4, forwards=2, texts=3), seed=0, num_texts=7)
    order = list(sampler)
    assert len(order) == len(sampler) == 3 * 2 * (4 + 3)
    for start in range(0, len(order), 7):
        assert all(index < 24 for index in order[start : start + 4])
        assert all(24 <= index < 31 for index in order[start + 4 : start + 7])


def test_texts_go_on_from_epoch_to_epoch_and_all_are_read():
    sampler = LengthWindowSampler([5] * 8, BatchShape(4, texts=3), seed=0, num_texts=9)
    read = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        read += [index - 8 for index in sampler if index >= 8]
    assert read == list(islice(text_order(9, 0), 18))
    assert Counter(read) == dict.fromkeys(range(9), 2)
    assert read[:9] != read[9:]


@given(num_texts=st.integers(1, 9), start=st.integers(0, 40))
def test_the_order_of_texts_is_a_function_of_their_place(num_texts, start):
    whole = list(islice(text_order(num_texts, 5), start + 20))
    assert list(islice(text_order(num_texts, 5, start), 20)) == whole[start:]


def test_fewer_pairs_than_a_step_are_refused_with_both_numbers():
    with pytest.raises(ValueError, match="15 pairs to train on are fewer than the 16 of one step"):
        LengthWindowSampler([5] * 15, BatchShape(8, forwards=2), seed=0)


def test_pairs_that_all_share_a_side_are_refused():
    keys = np.array([[0, index] for index in range(20)])
    with pytest.raises(ValueError, match="No 4 pairs without a sentence in common can be found among 20"):
        sampler_of([5] * 20, 4, keys=keys)


def test_pairs_are_measured_by_their_longer_side_and_keyed_by_their_ids():
    rows = [([1, 2], [3]), ([1], [3, 4, 5]), ([1, 2], [4, 3]), ([2, 1], [3])]
    data = datasets.Dataset.from_dict({"source_ids": [a for a, _ in rows], "target_ids": [b for _, b in rows]})
    found, keys = measure_pairs(data)
    assert found.tolist() == [2, 3, 2, 2]
    for side in (0, 1):
        same = [[a[side] == b[side] for a in rows] for b in rows]
        assert (keys[:, side][:, None] == keys[:, side]).tolist() == same


def test_measuring_follows_a_selection_of_rows():
    data = datasets.Dataset.from_dict({"source_ids": [[1], [2, 2], [3]], "target_ids": [[1], [2], [3, 3, 3]]})
    assert measure_pairs(data.select([2, 1]))[0].tolist() == [3, 2]
