"""`source_encoder: base`: in both InfoNCE terms, sources have the vectors of the model before training."""

from copy import deepcopy

import pytest
import torch
from datasets import Dataset
from moved_models import moved

from sensia.trainers.collator import of_sources
from sensia.trainers.dense_alignment import DenseAlignmentConfig, DenseAlignmentTrainer

CONTRAST_ONLY = {"schedule": "constant", "joint_weights": [0.3, 0.7, 0.0]}


def vectors_of(model, batch, numbers, temperature):
    """Context and sense vectors of sentences of a packed batch, each encoded by itself."""
    alone = [batch["input_ids"][batch["sentence_ids"] == number][None] for number in numbers]
    found = [model.backpack(ids, pooling_temperature=temperature, use_cache=False) for ids in alone]
    return torch.cat([each.context_vectors for each in found]), torch.cat([each.sense_vectors for each in found])


def symmetric_info_nce(sources, targets, temperature):
    logits = sources @ targets.T / temperature
    both = logits.diagonal() - logits.logsumexp(1), logits.diagonal() - logits.logsumexp(0)
    return -(both[0] + both[1]).mean() / 2


def source_texts(pairs):
    rows = {"source_ids": pairs["source_ids"][:9], "target_ids": [[]] * 9, "row": list(range(9))}
    return {"texts": Dataset.from_dict(rows), "text_rate": 0.5}


@pytest.mark.parametrize("keeps", [{}, {"source_kl_weight": 0.5}, {"source_lm_weight": 0.5}])
def test_both_terms_are_info_nce_of_the_base_models_sources_and_the_models_targets(make_trainer, pairs, keeps):
    trainer = make_trainer(max_steps=10, source_encoder="base", **keeps, **CONTRAST_ONLY, **source_texts(pairs))
    trainer.state.max_steps, trainer.current_gradient_accumulation_steps = 10, 1
    batch = trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))
    base, model = trainer.reference.model.double(), moved(trainer.model.double().eval())
    args, count = trainer.args, batch["num_pairs"]
    sources = [each.detach() for each in vectors_of(base, batch, range(count), args.tau_pool)]
    targets = vectors_of(model, batch, range(count, 2 * count), args.tau_pool)
    expected = 0.3 * symmetric_info_nce(sources[0], targets[0], args.tau_ctx)
    expected = expected + 0.7 * symmetric_info_nce(sources[1], targets[1], args.tau_sns)
    loss = trainer.compute_loss(model, batch)
    if keeps.get("source_kl_weight"):
        loss = loss - 0.5 * trainer._step_losses["loss_kl"]
    torch.testing.assert_close(loss, expected)
    if not keeps.get("source_kl_weight"):
        parameters = list(model.parameters())
        gradients = (torch.autograd.grad(each, parameters, allow_unused=True) for each in (loss, expected))
        for given, wanted in zip(*gradients, strict=True):
            torch.testing.assert_close(given if wanted is not None else None, wanted)


def test_sources_have_no_labels_and_texts_are_not_read_unless_something_is_learned_from_them(make_trainer, pairs):
    trainer = make_trainer(source_encoder="base", **source_texts(pairs))
    batch = next(iter(trainer.get_train_dataloader()))
    assert (batch["labels"][(batch["sentence_ids"] < batch["num_pairs"])] == -100).all()
    assert len(batch["sources"]["sentence_ends"]) == batch["num_pairs"]


def test_the_copy_reads_a_batch_once_for_the_vectors_and_the_divergence(make_trainer, pairs):
    trainer = make_trainer(
        max_steps=1, source_encoder="base", source_kl_weight=0.5, packing=False, **source_texts(pairs)
    )
    batch, read = next(iter(trainer.get_train_dataloader())), []
    trainer.reference.model.backpack.register_forward_pre_hook(
        lambda _, args, given: read.append(given["input_ids"]), with_kwargs=True
    )
    before = deepcopy(trainer.reference.model.state_dict())
    trainer.train()
    (ids,) = read
    assert len(ids) == of_sources(batch).all(1).sum()
    assert all(torch.equal(value, before[name]) for name, value in trainer.reference.model.state_dict().items())


def trained(trainer, **kwargs):
    trainer.train(**kwargs)
    history = [entry for entry in trainer.state.log_history if "loss_ctx" in entry]
    return history, {name: value.detach().clone() for name, value in trainer.model.named_parameters()}


def test_a_cached_run_is_the_run_of_the_whole_batch(make_trainer, make_model):
    runs = []
    for settings in ({"per_device_train_batch_size": 8}, {"per_device_train_batch_size": 4}):
        caching = {} if settings["per_device_train_batch_size"] == 8 else {"contrastive_batch_size": 8}
        both = {"source_encoder": "base", "source_kl_weight": 0.5, "max_steps": 3, "learning_rate": 1e-3}
        runs.append(trained(make_trainer(make_model().double(), **both, **settings, **caching)))
    (whole, weights), (cached, cached_weights) = runs
    for one, two in zip(whole, cached, strict=True):
        for name in ("loss", "loss_ctx", "loss_sns", "loss_kl", "grad_norm", "entropy_source"):
            assert two[name] == pytest.approx(one[name], rel=1e-4), (one["step"], name)
    for name, value in weights.items():
        torch.testing.assert_close(cached_weights[name], value, rtol=1e-6, atol=1e-8)


def test_a_resumed_run_goes_on_with_the_vectors_of_the_base_model(make_trainer, make_model, tmp_path):
    settings = {"source_encoder": "base", "save_strategy": "steps", "save_steps": 2}
    _, whole = trained(make_trainer(make_model(), **settings))
    resumed = make_trainer(make_model(), **settings)
    _, again = trained(resumed, resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-2"))
    for name, value in whole.items():
        torch.testing.assert_close(again[name], value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source_encoder": "teacher"}, "`source_encoder` must be one of model, base, got 'teacher'"),
        (
            {"source_encoder": "base", "schedule": "constant", "joint_weights": [0.0, 0.0, 1.0]},
            "`source_encoder` means nothing where no phase weighs an InfoNCE term: leave it out, got base",
        ),
        (
            {"source_encoder": "base", "kinds": (DenseAlignmentConfig, DenseAlignmentTrainer)},
            "Dense alignment keeps no copy of the base: `source_encoder` must be model, got base",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make_trainer, settings, message):
    with pytest.raises(ValueError, match=message):
        make_trainer(**settings)
