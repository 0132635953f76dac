import random

from hypothesis import given
from hypothesis import strategies as st

from trainers.sampling import LengthWindowSampler


def lengths(count):
    return [random.Random(7 * count + position).randint(1, 200) for position in range(count)]


@given(count=st.integers(1, 300), batch_size=st.integers(1, 16), epoch=st.integers(0, 5))
def test_each_pair_is_read_once_an_epoch(count, batch_size, epoch):
    sampler = LengthWindowSampler(lengths(count), batch_size, seed=0)
    sampler.set_epoch(epoch)
    assert sorted(sampler) == list(range(count))


def test_order_depends_on_seed_and_epoch_alone():
    def order(seed, epoch):
        sampler = LengthWindowSampler(lengths(200), 8, seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)


def test_batches_hold_similar_lengths():
    known = lengths(2000)
    order = list(LengthWindowSampler(known, 20, seed=0))
    batches = [[known[i] for i in order[start : start + 20]] for start in range(0, 2000, 20)]
    padding = sum(max(batch) * len(batch) for batch in batches) / sum(known)
    assert padding < 1.05


def test_a_smaller_last_batch_stays_last():
    known = lengths(103)
    order = list(LengthWindowSampler(known, 10, seed=0))
    whole = [order[start : start + 10] for start in range(0, 100, 10)]
    assert all(max(known[i] for i in batch) - min(known[i] for i in batch) < 60 for batch in whole)
