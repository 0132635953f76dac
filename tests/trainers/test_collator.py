import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sensia.trainers import ParallelCollator
from sensia.trainers.collator import TEXT_DATASET, choose_width, of_sources, pack, sentences_of

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


@pytest.mark.parametrize("pairs", [[], [{"source_ids": [], "target_ids": []}]])
def test_a_batch_without_tokens_is_refused(tokenizer, pairs):
    with pytest.raises(ValueError, match="at least one"):
        ParallelCollator(tokenizer)(pairs)


def test_shared_rows_hold_each_sentence_once_and_whole(tokenizer):
    batch = ParallelCollator(tokenizer, packing=True)(PAIRS)
    assert batch["input_ids"].shape == (3, 4) and batch["num_pairs"] == 2
    held = [batch["input_ids"][batch["sentence_ids"] == number].tolist() for number in range(4)]
    assert held == [[5, 6, 0], [8, 0], [7, 0], [9, 10, 11, 0]]
    assert batch["input_ids"].flatten()[batch["sentence_ends"]].tolist() == [0] * 4
    assert batch["sentence_ids"].flatten()[batch["sentence_ends"]].tolist() == [0, 1, 2, 3]


def test_in_shared_rows_nothing_is_predicted_across_sentences(tokenizer):
    batch = ParallelCollator(tokenizer, packing=True)(PAIRS)
    labels = [batch["labels"][batch["sentence_ids"] == number].tolist() for number in range(4)]
    assert labels == [[-100] * 3, [-100] * 2, [-100, 0], [-100, 10, 11, 0]]
    assert (batch["labels"][batch["sentence_ids"] < 0] == -100).all()


@pytest.mark.parametrize("packing", [False, True])
def test_text_without_source_comes_behind_the_pairs_and_is_predicted(tokenizer, packing):
    rows = [PAIRS[0], {"source_ids": [], "target_ids": [4, 3, 0]}, PAIRS[1]]
    batch = ParallelCollator(tokenizer, packing=packing)(rows)
    assert batch["num_pairs"] == 2
    if packing:
        assert batch["input_ids"][batch["sentence_ids"] == 4].tolist() == [4, 3, 0]
        assert batch["labels"][batch["sentence_ids"] == 4].tolist() == [-100, 3, 0]
    else:
        assert batch["labels"][4].tolist() == [4, 3, 0, -100]


@pytest.mark.parametrize("packing", [False, True])
def test_the_prompt_of_a_target_is_not_predicted(tokenizer, packing):
    rows = [PAIRS[0], {**PAIRS[1], "prompt_tokens": 2}]
    batch = ParallelCollator(tokenizer, packing=packing)(rows)
    labels = batch["labels"][batch["sentence_ids"] == 3] if packing else batch["labels"][3]
    assert labels.tolist() == [-100, -100, 11, 0]


def test_rows_are_numbered_where_the_data_numbers_them(tokenizer):
    rows = [{**PAIRS[0], "row": 12}, {**PAIRS[1], "row": 3, "dataset": 1}]
    assert ParallelCollator(tokenizer)(rows)["row_numbers"].tolist() == [[0, 12], [1, 3]]
    assert "row_numbers" not in ParallelCollator(tokenizer)(PAIRS)


def test_texts_are_of_no_bitext(tokenizer):
    rows = [{**PAIRS[0], "row": 12}, {"source_ids": [], "target_ids": [4, 0], "row": 5}]
    assert ParallelCollator(tokenizer)(rows)["row_numbers"].tolist() == [[0, 12], [TEXT_DATASET, 5]]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=60))
def test_packed_sentences_do_not_overlap_and_leave_no_two_rows_half_empty(lengths):
    places = pack(lengths, 30)
    taken = [
        (row, position)
        for (row, start), length in zip(places, lengths, strict=True)
        for position in range(start, start + length)
    ]
    assert len(set(taken)) == len(taken) and all(position < 30 for _, position in taken)
    filled = [sum(row == number for row, _ in taken) for number in range(max(row for row, _ in places) + 1)]
    assert all(filled) and sum(count <= 15 for count in filled) <= 1


def rows_of(lengths, width):
    return 1 + max(row for row, _ in pack(lengths, width))


def test_a_longer_row_is_chosen_where_it_wastes_less():
    lengths = [10] * 3 + [5] * 3  # rows of 10 hold one of 10 or two of 5: a rest of 5; rows of 15 hold one of each
    assert choose_width(lengths, 10) == 15


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40), st.integers(30, 70))
def test_the_chosen_row_is_allowed_and_wastes_no_more_than_the_shortest(lengths, most):
    width = choose_width(lengths, 30, most)
    assert 30 <= width <= min(most, 60)
    assert rows_of(lengths, width) * width <= rows_of(lengths, 30) * 30


def test_shared_rows_fit_the_positions_of_the_model(tokenizer):
    pairs = [{"source_ids": [5] * 10, "target_ids": [7] * 5}] * 3
    shapes = [
        ParallelCollator(tokenizer, packing=True, max_positions=most)(pairs)["input_ids"].shape for most in (None, 14)
    ]
    assert shapes == [(3, 15), (5, 10)]


@pytest.mark.parametrize("packing", [False, True])
def test_without_sources_every_row_is_text(tokenizer, packing):
    pairs = [{**pair, "row": row, "dataset": 2} for row, pair in enumerate(PAIRS)]
    batch = ParallelCollator(tokenizer, packing=packing, targets_only=True)(pairs)
    texts = ParallelCollator(tokenizer, packing=packing)([{**pair, "source_ids": []} for pair in PAIRS])
    assert batch["num_pairs"] == 0 and batch["row_numbers"].tolist() == [[2, 0], [2, 1]]
    assert all(torch.equal(batch[name], texts[name]) for name in ("input_ids", "labels"))


@pytest.mark.parametrize("packing", [False, True])
@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_text_of_the_source_language_comes_last_and_has_the_weight_of_the_sources(tokenizer, packing, weight):
    rows = [{"source_ids": [21, 22, 23], "target_ids": []}, PAIRS[0], {"source_ids": [], "target_ids": [31, 32]}]
    batch = ParallelCollator(tokenizer, packing=packing, source_lm_weight=weight)(rows)
    assert (batch["num_pairs"], batch["num_source_texts"]) == (1, 1)
    of_text = sentences_of(batch) == 3
    labelled = of_text & (batch["labels"] != -100)
    assert set(batch["input_ids"][labelled].tolist()) == ({22, 23} if packing else {21, 22, 23})
    assert set(batch["input_ids"][of_sources(batch) & (batch["labels"] != -100)].tolist()) >= {22, 23}
    assert not of_sources(batch)[sentences_of(batch) == 2].any()
    if weight:
        assert batch["label_weights"][labelled].tolist() == [weight] * int(labelled.sum())


@pytest.mark.parametrize("packing", [False, True])
def test_sources_are_laid_out_once_more_with_their_places_in_the_batch(tokenizer, packing):
    rows = [{"source_ids": [21, 22, 23], "target_ids": []}, *PAIRS, {"source_ids": [], "target_ids": [31, 32]}]
    batch = ParallelCollator(tokenizer, packing=packing, label_sources=True)(rows)
    sources = batch["sources"]
    ids, ids_in_batch = sources["input_ids"].flatten(), batch["input_ids"].flatten()
    sentences = sentences_of(batch).flatten()[sources["places_in_batch"]].tolist()
    assert sorted(zip(sentences, ids[sources["places"]].tolist(), strict=True)) == [
        (0, 5),
        (0, 6),
        (1, 8),
        (5, 21),
        (5, 22),
    ]
    assert torch.equal(ids_in_batch[sources["places_in_batch"]], ids[sources["places"]])
    assert torch.equal(ids_in_batch[sources["places_in_batch"] + 1], ids[sources["places"] + 1])
    assert "labels" not in sources


def test_without_sentences_of_the_source_language_there_is_no_second_layout(tokenizer):
    texts = [{"source_ids": [], "target_ids": [31, 32]}]
    assert "sources" not in ParallelCollator(tokenizer, label_sources=True)(texts)
