"""What pretraining prepares: arguments, mixtures of blocks, counts of tokens."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import GPT2Config, GPT2LMHeadModel, TrainingArguments

from sensia.trainers.pretraining import MixedBlocks, PretrainArguments, PretrainingTrainer


def numbered(first, count):
    return np.arange(first, first + count, dtype=np.uint16).reshape(count, 1)


def rows_of(dataset):
    return [int(dataset[index]["input_ids"][0]) for index in range(len(dataset))]


def test_sources_follow_one_another():
    assert rows_of(MixedBlocks([numbered(0, 3), numbered(10, 2)])) == [0, 1, 2, 10, 11]


def test_a_weight_of_two_reads_a_source_twice():
    assert rows_of(MixedBlocks([numbered(0, 2), numbered(10, 2)], [1, 2])) == [0, 1, 10, 11, 10, 11]


def test_a_weight_of_a_half_reads_every_second_block():
    assert rows_of(MixedBlocks([numbered(0, 6)], [0.5])) == [0, 2, 4]


@given(
    st.lists(st.tuples(st.integers(1, 30), st.floats(0.05, 4)), min_size=1, max_size=4),
)
def test_each_source_has_its_share_of_an_epoch(sources):
    blocks = [numbered(1000 * number, count) for number, (count, _) in enumerate(sources)]
    rows = rows_of(MixedBlocks(blocks, [weight for _, weight in sources]))
    for number, (count, weight) in enumerate(sources):
        own = [row for row in rows if row // 1000 == number]
        assert len(own) == max(1, round(weight * count))
        times = [own.count(row) for row in set(own)]
        assert max(times) - min(times) <= 1  # no block is read twice before all that are read were read once
        assert weight < 1 or len(set(own)) == count


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "`texts` or `pairs` must name"),
        ({"texts": ["a"], "model": "x", "trunk": "y"}, "give one of them"),
        ({"texts": ["a", "b"], "text_weights": [1.0]}, "one number for each of 2 sources"),
        ({"texts": ["a"], "pairs": ["b"], "text_weights": [1.0]}, "one number for each of 2 sources"),
        ({"texts": ["a"], "text_weights": [0.0]}, "must be a positive number"),
        ({"texts": ["a"], "trunk": "y", "num_senses": 0}, "`num_senses` must be at least 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        PretrainArguments(**settings)


def trainer_of(folder, rows=8, **settings):
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=9, n_positions=4, n_embd=8, n_layer=1, n_head=1))
    blocks = MixedBlocks([np.ones((rows, 4), np.uint16)])
    given = {"per_device_train_batch_size": 2, "use_cpu": True, "report_to": "none", "save_strategy": "no", **settings}
    return PretrainingTrainer(model, TrainingArguments(str(folder), **given), train_dataset=blocks, decay_share=0.25)


@pytest.mark.parametrize("accumulated", [1, 4])
def test_tokens_of_accumulated_batches_are_counted(tmp_path, accumulated):
    trainer = trainer_of(tmp_path, max_steps=2, gradient_accumulation_steps=accumulated)
    trainer.train()
    assert trainer.tokens_seen(4) == 2 * accumulated * 2 * 4  # steps, batches, rows, tokens


def test_tokens_of_epochs_are_counted(tmp_path):
    trainer = trainer_of(tmp_path, num_train_epochs=3)
    trainer.train()
    assert trainer.tokens_seen(4) == 3 * 8 * 4


def test_the_last_share_of_the_steps_decays(tmp_path):
    trainer = trainer_of(tmp_path, max_steps=8, lr_scheduler_type="warmup_stable_decay", learning_rate=1.0)
    rates = []
    trainer.create_optimizer_and_scheduler(8)
    for _ in range(8):
        rates.append(trainer.lr_scheduler.get_last_lr()[0])
        trainer.optimizer.step()
        trainer.lr_scheduler.step()
    assert rates[:6] == [1.0] * 6 and 0 < rates[7] < rates[6] <= 1.0
