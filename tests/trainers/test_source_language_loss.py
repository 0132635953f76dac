"""The language model loss on the source side: one mean over the tokens of both sides, however a step is cut."""

import pytest
import torch
from datasets import Dataset

from sensia.trainers import ParallelCollator
from sensia.trainers.collator import of_sources

LM_ONLY = {"schedule": "constant", "joint_weights": [0, 0, 1], "label_smoothing_factor": 0.0}
PAIRS = [
    {"source_ids": [5, 6, 0], "target_ids": [7, 0]},
    {"source_ids": [8, 0], "target_ids": [9, 10, 11, 0]},
]


def logged(trainer, name):
    return [entry[name] for entry in trainer.state.log_history if name in entry]


def side_sums(model, batch):
    """Summed loss in nats and number of predicted tokens of sources and of targets, sentence by sentence."""
    sums = {"source": [0.0, 0], "target": [0.0, 0]}
    for number in range(2 * batch["num_pairs"]):
        ids = batch["input_ids"][batch["sentence_ids"] == number]
        losses = -model(ids[None]).logits[0, :-1].log_softmax(-1).gather(1, ids[1:, None])
        of_side = sums["source" if number < batch["num_pairs"] else "target"]
        of_side[0], of_side[1] = of_side[0] + losses.sum(), of_side[1] + len(losses)
    return sums


@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_the_loss_is_one_weighted_mean_over_the_tokens_of_both_sides(make_trainer, weight):
    trainer = make_trainer(max_steps=10, source_lm_weight=weight, **LM_ONLY)
    trainer.state.max_steps, trainer.current_gradient_accumulation_steps = 10, 1
    batch = trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))
    model = trainer.model.double().eval()
    (source, n_source), (target, n_target) = side_sums(model, batch).values()
    expected = (target + weight * source) / (n_target + weight * n_source)
    loss = trainer.compute_loss(model, batch)
    torch.testing.assert_close(loss, expected)
    gradients = (torch.autograd.grad(each, list(model.parameters()), allow_unused=True) for each in (loss, expected))
    for given, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(given, wanted)


def test_the_loss_of_each_side_is_logged_per_token(make_trainer):
    trainer = make_trainer(max_steps=1, source_lm_weight=0.5, **LM_ONLY)
    batch = trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))
    sums = side_sums(trainer.model.eval(), batch)
    trainer.train()
    for side, (total, count) in sums.items():
        assert logged(trainer, f"loss_lm_{side}")[0] == pytest.approx(total.item() / count, rel=1e-4)


@pytest.mark.parametrize(("weight", "also"), [("source_lm_weight", ()), ("source_kl_weight", ("loss_kl", "loss_lm"))])
def test_the_loss_is_the_same_when_the_batch_is_cut_into_micro_batches(make_trainer, make_model, weight, also):
    runs = []
    for size, accumulated in ((8, 1), (2, 4)):
        trainer = make_trainer(
            make_model(),
            per_device_train_batch_size=size,
            gradient_accumulation_steps=accumulated,
            **{weight: 0.5},
            **LM_ONLY,
        )
        trainer.train()
        names = ("loss", "grad_norm", "loss_lm_source", "loss_lm_target", *also)
        runs.append([logged(trainer, name) for name in names])
    for whole, cut in zip(*runs, strict=True):
        assert cut == pytest.approx(whole, rel=1e-4, abs=1e-6)


def test_the_losses_of_the_sides_make_up_the_loss_of_an_accumulated_step(make_trainer):
    settings = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4, "max_steps": 1}
    trainer = make_trainer(source_lm_weight=0.5, **settings, **LM_ONLY)
    labels = [(batch["labels"][:, 1:] != -100, of_sources(batch)[:, 1:]) for batch in trainer.get_train_dataloader()]
    n_source = sum(int((real & source).sum()) for real, source in labels[:4])
    n_target = sum(int((real & ~source).sum()) for real, source in labels[:4])
    trainer.train()
    source, target = (logged(trainer, f"loss_lm_{side}")[0] for side in ("source", "target"))
    mean = (n_target * target + 0.5 * n_source * source) / (n_target + 0.5 * n_source)
    assert logged(trainer, "loss_lm")[0] == pytest.approx(mean, rel=1e-4)


def test_texts_count_as_tokens_of_the_target_side(make_trainer, pairs):
    texts = Dataset.from_dict({"source_ids": [[]] * 9, "target_ids": pairs["target_ids"][:9], "row": list(range(9))})
    trainer = make_trainer(texts=texts, text_rate=0.5, max_steps=1, source_lm_weight=0.5, **LM_ONLY)
    batch = next(iter(trainer.get_train_dataloader()))
    sentences = len(batch["sentence_ends"])
    assert sentences == 2 * batch["num_pairs"] + 2
    of_texts = batch["sentence_ids"] >= 2 * batch["num_pairs"]
    assert set(batch["label_weights"][of_texts].tolist()) == {1.0}
    assert not of_sources(batch)[of_texts].any()


def test_texts_of_the_source_language_count_in_the_mean_as_they_count_in_the_sum(make_trainer, pairs):
    texts = Dataset.from_dict({"source_ids": pairs["source_ids"][:9], "target_ids": [[]] * 9, "row": list(range(9))})
    trainer = make_trainer(texts=texts, text_rate=0.5, max_steps=1, source_lm_weight=0.5, **LM_ONLY)
    trainer.state.max_steps, trainer.current_gradient_accumulation_steps = 1, 1
    batch = trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))
    assert batch["num_source_texts"] == 2
    model = trainer.model.double().eval()
    items = trainer._get_num_items_in_batch([batch], trainer.args.device)
    logits = model(**{name: batch[name] for name in ("input_ids", "sentence_ids")}).logits[:, :-1]
    labels = batch["labels"][:, 1:]
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(
        labels
    )
    weights = torch.where(of_sources(batch)[:, 1:], 0.5, 1.0) * (labels != -100)
    torch.testing.assert_close(
        trainer.compute_loss(model, batch, num_items_in_batch=items), (weights * losses).sum() / weights.sum()
    )


def test_gradient_caching_leaves_the_loss_as_it_is(make_trainer, make_model):
    runs = []
    for settings in ({"gradient_accumulation_steps": 4}, {"contrastive_batch_size": 8}):
        trainer = make_trainer(make_model(), per_device_train_batch_size=2, source_lm_weight=0.5, **settings)
        trainer.train()
        runs.append(logged(trainer, "loss_lm")[0])
    assert runs[1] == pytest.approx(runs[0], rel=1e-5)


def test_without_a_weight_sources_have_no_labels(make_trainer):
    batch = next(iter(make_trainer().get_train_dataloader()))
    assert "label_weights" not in batch and (batch["labels"][of_sources(batch)] == -100).all()


@pytest.mark.parametrize("packing", [False, True])
def test_sources_get_labels_and_their_weight(tokenizer, packing):
    batch = ParallelCollator(tokenizer, packing=packing, source_lm_weight=0.5)(PAIRS)
    weights, real = batch["label_weights"], batch["labels"] != -100
    assert set(weights[real & of_sources(batch)].tolist()) == {0.5}
    assert set(weights[real & ~of_sources(batch)].tolist()) == {1.0}
    predicted = batch["labels"][:, 1:][real[:, 1:]].tolist()
    assert sorted(predicted) == sorted([6, 0, 0, 0, 10, 11, 0])  # every token but the first of each sentence


@pytest.mark.parametrize("weight", [-1.0, float("inf")])
def test_a_weight_that_makes_no_sense_is_refused(make_trainer, weight):
    with pytest.raises(ValueError, match="`source_lm_weight` must be 0 or more"):
        make_trainer(source_lm_weight=weight)
