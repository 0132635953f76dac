import pytest
import torch

from trainers import ParallelCollator

PAIRS = [
    {"source_ids": [5, 6, 0], "target_ids": [7, 0]},
    {"source_ids": [8, 0], "target_ids": [9, 10, 11, 0]},
]


def test_sources_come_first_then_targets_in_the_same_order(tokenizer):
    batch = ParallelCollator(tokenizer)(PAIRS)
    rows = [ids[mask.bool()].tolist() for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)]
    assert rows == [[5, 6, 0], [8, 0], [7, 0], [9, 10, 11, 0]]


def test_rows_are_padded_to_the_longest_of_the_batch(tokenizer):
    batch = ParallelCollator(tokenizer)(PAIRS)
    assert batch["input_ids"].shape == (4, 4)
    assert batch["attention_mask"].sum(1).tolist() == [3, 2, 2, 4]


def test_only_target_tokens_are_labels_and_a_real_eos_is_one(tokenizer):
    labels = ParallelCollator(tokenizer)(PAIRS)["labels"].tolist()
    assert labels == [[-100] * 4, [-100] * 4, [7, 0, -100, -100], [9, 10, 11, 0]]


def test_length_is_rounded_up_to_the_multiple(tokenizer):
    batch = ParallelCollator(tokenizer, pad_to_multiple_of=8)(PAIRS)
    assert batch["input_ids"].shape == (4, 8)
    assert torch.equal(batch["attention_mask"].sum(1), torch.tensor([3, 2, 2, 4]))


@pytest.mark.parametrize("pairs", [[], [{"source_ids": [1], "target_ids": []}]])
def test_a_batch_without_tokens_is_refused(tokenizer, pairs):
    with pytest.raises(ValueError, match="at least one"):
        ParallelCollator(tokenizer)(pairs)
