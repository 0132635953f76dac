"""Batches of the trainer: their rows, their order, and what a resumed run reads."""

from itertools import chain, islice

import datasets
import pytest
import torch

from sensia.corpora import encode_texts, read_pairs
from tests.trainers.scenarios.sensia_run import BITEXT


@pytest.fixture(scope="session")
def texts(tokenizer):
    lines = read_pairs(BITEXT, source_language="en", target_language="id").select(range(300, 330))["target"]
    return encode_texts(datasets.Dataset.from_dict({"text": lines[:]}), tokenizer, max_length=32)[0]


@pytest.fixture
def make(make_trainer):
    def make(texts=None, train=None, **settings):
        rate = {} if texts is None else {"text_rate": 0.5}
        return make_trainer(train=train, texts=texts, **{**rate, **settings})

    return make


def rows_read(trainer):
    return [batch["row_numbers"][:, 1].tolist() for batch in islice(trainer.get_train_dataloader(), 24)]


def logged(trainer, name):
    return [entry[name] for entry in trainer.state.log_history if name in entry]


def streamed(pairs):
    return pairs.to_iterable_dataset().shuffle(seed=1, buffer_size=16)


@pytest.mark.parametrize("streaming", [False, True])
def test_a_batch_holds_its_pairs_and_then_its_texts(make, pairs, texts, streaming):
    trainer = make(texts, streamed(pairs) if streaming else pairs)
    for batch in islice(trainer.get_train_dataloader(), 12):
        assert batch["num_pairs"] == 4
        assert len(batch["row_numbers"]) == 4 + 2


@pytest.mark.parametrize("streaming", [False, True])
def test_training_takes_texts_beside_pairs(make, pairs, texts, streaming):
    trainer = make(texts, streamed(pairs) if streaming else pairs, max_steps=15)
    trainer.train()
    assert all(torch.tensor(logged(trainer, "loss")).isfinite())


@pytest.mark.parametrize("streaming", [False, True])
def test_a_resumed_run_reads_on_where_it_stopped(make, make_model, pairs, texts, streaming):
    # 48 pairs are 6 steps of 8: the resumed step lies in the second epoch.
    settings = {"gradient_accumulation_steps": 2, "max_steps": 11, "save_strategy": "steps", "save_steps": 8}
    data = streamed(pairs) if streaming else pairs
    whole = make(texts, data, model=make_model(), **settings)
    whole.train()
    again = make(texts, streamed(pairs) if streaming else pairs, model=make_model(), **settings)
    again.train(resume_from_checkpoint=f"{whole.args.output_dir}/checkpoint-8")
    assert logged(again, "loss") == logged(whole, "loss")
    for (name, value), wanted in zip(again.model.named_parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(value, wanted), name


def test_epochs_are_in_different_orders(make, pairs):
    loader = make(train=pairs).get_train_dataloader()
    first, second = ([batch["row_numbers"][:, 1].tolist() for batch in loader] for _ in range(2))
    assert first != second
    assert sorted(chain(*first)) == sorted(chain(*second))


def test_repeated_sentences_are_kept_apart_over_the_whole_step(make, pairs):
    twice = datasets.concatenate_datasets([pairs, pairs])
    batches = rows_read(make(train=twice, gradient_accumulation_steps=3))
    steps = [list(chain(*batches[start : start + 3])) for start in range(0, len(batches), 3)]
    assert len(steps) >= 7 and all(len(set(step)) == 12 for step in steps)


def test_a_window_of_one_batch_is_not_sorted(make, pairs):
    def widest(**settings):
        return [
            batch["input_ids"].shape[1]
            for batch in make(train=pairs, packing=False, **settings).get_train_dataloader()
        ]

    assert sum(widest(batches_per_window=1)) > 1.1 * sum(widest())


def test_texts_and_their_rate_need_each_other(make, make_trainer, texts):
    with pytest.raises(ValueError, match=r"got `text_rate` 0\.5 without texts"):
        make_trainer(text_rate=0.5)
    with pytest.raises(ValueError, match="got `text_rate` 0"):
        make(texts, text_rate=0.0)


def test_a_small_batch_gets_one_text(make, texts):
    batch = next(iter(make(texts, text_rate=0.1).get_train_dataloader()))
    assert batch["num_pairs"] == 4 and len(batch["row_numbers"]) == 4 + 1


def test_fewer_pairs_than_a_step_are_refused(make, pairs):
    trainer = make(train=pairs.select(range(7)), gradient_accumulation_steps=2)
    with pytest.raises(ValueError, match="7 pairs to train on are fewer than the 8 of one step"):
        trainer.train()


def test_a_stream_is_not_read_by_workers(make, pairs):
    with pytest.raises(ValueError, match="Leave `dataloader_num_workers` at 0, got 2"):
        make(train=streamed(pairs), dataloader_num_workers=2).get_train_dataloader()


@pytest.mark.parametrize(("name", "value"), [("batches_per_window", 0), ("text_rate", -1.0)])
def test_settings_out_of_range_are_refused(make_trainer, name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        make_trainer(**{name: value})
