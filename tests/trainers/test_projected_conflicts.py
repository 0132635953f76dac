"""`project_conflicts`: what of the contrast conflicts with the language model is left out, however a step is cut."""

import pytest
import torch

from sensia.trainers.dense_alignment import DenseAlignmentConfig, DenseAlignmentTrainer

WEIGHTS = {"schedule": "constant", "joint_weights": [0.5, 0.5, 1.0], "learning_rate": 1e-3, "max_steps": 3}


def trained(trainer):
    trainer.train()
    history = [entry for entry in trainer.state.log_history if "loss_ctx" in entry]
    return history, {name: value.detach().clone() for name, value in trainer.model.named_parameters()}


def assert_same(one, two):
    for ours, theirs in zip(one[0], two[0], strict=True):
        for name in ("loss", "loss_ctx", "loss_sns", "loss_lm", "grad_norm"):
            assert ours[name] == pytest.approx(theirs[name], rel=1e-4), (ours["step"], name)
    for name, value in one[1].items():
        torch.testing.assert_close(two[1][name], value, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("other", ["cached", "not packed"])
def test_a_step_that_is_laid_out_differently_is_the_same_step(make_trainer, make_model, other):
    settings = {"project_conflicts": True, "source_kl_weight": 0.5, **WEIGHTS}
    whole = trained(make_trainer(make_model().double(), per_device_train_batch_size=8, **settings))
    cut = {"per_device_train_batch_size": 2, "contrastive_batch_size": 8}
    settings |= cut if other == "cached" else {"per_device_train_batch_size": 8, "packing": False}
    assert_same(whole, trained(make_trainer(make_model().double(), **settings)))


def gradients(trainer, model, batch):
    trainer.state.max_steps, trainer.current_gradient_accumulation_steps = 10, 1
    loss = trainer.compute_loss(model, batch)
    return loss, torch.autograd.grad(loss, list(model.parameters()))


def test_a_step_has_another_gradient_and_the_same_loss(make_trainer, make_model):
    trainers = [make_trainer(make_model(), project_conflicts=projects, **WEIGHTS) for projects in (False, True)]
    batch = trainers[0]._prepare_inputs(next(iter(trainers[0].get_train_dataloader())))
    (loss, plain), (same, projected) = (gradients(each, each.model.double(), batch) for each in trainers)
    torch.testing.assert_close(same, loss)
    assert any((one - two).norm() > 1e-3 * one.norm() for one, two in zip(plain, projected, strict=True))


def test_the_logits_of_a_step_get_the_gradient_of_the_language_model_alone(make_trainer, make_model):
    """The head sees no contrast, so its own gradient, without the part of the tied embeddings, stays."""
    trainers = [make_trainer(make_model(), project_conflicts=projects, **WEIGHTS) for projects in (False, True)]
    batch = trainers[0]._prepare_inputs(next(iter(trainers[0].get_train_dataloader())))
    found = []
    for trainer in trainers:
        model = trainer.model.double()
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
        trainer.state.max_steps, trainer.current_gradient_accumulation_steps = 10, 1
        found += torch.autograd.grad(trainer.compute_loss(model, batch), model.lm_head.weight)
    torch.testing.assert_close(*found)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"schedule": "constant", "joint_weights": [0.0, 0.0, 1.0]},
            "`project_conflicts` means nothing where no phase weighs an InfoNCE term: leave it out, got True",
        ),
        (
            {"kinds": (DenseAlignmentConfig, DenseAlignmentTrainer)},
            "Dense alignment has no senses whose gradients it could project: `project_conflicts` must be False",
        ),
    ],
)
def test_where_there_is_nothing_to_project_it_is_refused(make_trainer, settings, message):
    with pytest.raises(ValueError, match=message):
        make_trainer(project_conflicts=True, **settings)
