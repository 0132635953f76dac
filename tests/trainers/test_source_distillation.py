"""`source_kl_weight`: on the source side, a model goes on predicting what it predicted before training."""

from copy import deepcopy

import pytest
import torch
from datasets import Dataset
from moved_models import moved
from torch.nn import functional as F

from sensia.trainers.collator import of_sources
from sensia.trainers.lora import AdapterArguments, with_adapter

LM_ONLY = {"schedule": "constant", "joint_weights": [0, 0, 1], "label_smoothing_factor": 0.0}


def logged(trainer, name):
    return [entry[name] for entry in trainer.state.log_history if name in entry]


def predictions(copy, sources):
    return copy.predictions(sources, copy.encode(sources), 1)


def terms(model, before, batch):
    """Mean divergence over source tokens, and mean cross-entropy over target tokens, sentence by sentence."""
    divergences, losses = [], []
    for number in range(2 * batch["num_pairs"]):
        ids = batch["input_ids"][batch["sentence_ids"] == number]
        predicted = model(ids[None]).logits[0, :-1].log_softmax(-1)
        if number < batch["num_pairs"]:
            expected = before(ids[None]).logits[0, :-1].log_softmax(-1).detach()
            divergences.append((expected.exp() * (expected - predicted)).sum(-1))
        else:
            losses.append(F.nll_loss(predicted, ids[1:], reduction="none"))
    return torch.cat(divergences).mean(), torch.cat(losses).mean()


@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_the_divergence_is_a_mean_over_source_tokens_and_adds_to_the_loss_of_the_target(make_trainer, weight):
    trainer = make_trainer(max_steps=10, source_kl_weight=weight, **LM_ONLY)
    trainer.state.max_steps, trainer.current_gradient_accumulation_steps = 10, 1
    batch = trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))
    trainer.reference.model.double()
    before = deepcopy(trainer.reference.model)
    model = moved(trainer.model.double().eval())
    divergence, loss_of_target = terms(model, before, batch)
    expected = loss_of_target + weight * divergence
    loss = trainer.compute_loss(model, batch)
    torch.testing.assert_close(loss, expected)
    gradients = (torch.autograd.grad(each, list(model.parameters()), allow_unused=True) for each in (loss, expected))
    for given, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(given, wanted)


def test_before_the_first_step_there_is_no_divergence(make_trainer):
    trainer = make_trainer(max_steps=2, source_kl_weight=1.0, **LM_ONLY)
    for module in trainer.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    trainer.train()
    first, second = logged(trainer, "loss_kl")
    assert first == pytest.approx(0, abs=1e-6) and second > 1e-5


def test_training_does_not_change_what_is_learned_from(make_trainer):
    trainer = make_trainer(source_kl_weight=1.0)
    before = deepcopy(trainer.reference.model.state_dict())
    trainer.train()
    for name, value in trainer.reference.model.state_dict().items():
        assert torch.equal(value, before[name])
    assert not trainer.reference.model.training


def test_packing_leaves_the_divergence_as_it_is(make_trainer, make_model):
    runs = []
    for packing in (True, False):
        trainer = make_trainer(make_model(), packing=packing, source_kl_weight=1.0, **LM_ONLY)
        trainer.train()
        runs.append([*logged(trainer, "loss_kl"), *logged(trainer, "loss_lm_source")])
    assert runs[0] == pytest.approx(runs[1], rel=1e-4, abs=1e-6)


def test_gradient_caching_leaves_the_divergence_as_it_is(make_trainer, make_model):
    runs = []
    for settings in ({"gradient_accumulation_steps": 4}, {"contrastive_batch_size": 8}):
        trainer = make_trainer(make_model(), per_device_train_batch_size=2, source_kl_weight=0.5, **settings)
        trainer.train()
        runs.append((logged(trainer, "loss_lm")[0], logged(trainer, "loss_kl")[0]))
    assert runs[1] == pytest.approx(runs[0], rel=1e-5, abs=1e-6)


def with_texts(pairs):
    rows = {"source_ids": pairs["source_ids"][:9], "target_ids": [[]] * 9, "row": list(range(9))}
    return {"texts": Dataset.from_dict(rows), "text_rate": 0.5}


@pytest.mark.parametrize("packing", [True, False])
def test_the_copy_predicts_from_sources_alone_what_it_predicts_in_the_whole_batch(make_trainer, pairs, packing):
    trainer = make_trainer(packing=packing, source_kl_weight=0.5, **with_texts(pairs))
    batch = trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))
    copy = trainer.reference.model.double()
    reference = predictions(trainer.reference, batch["sources"])
    whole = {
        name: batch[name] for name in ("input_ids", "attention_mask", "sentence_ids", "sentence_ends") if name in batch
    }
    expected = copy(**whole).logits.flatten(0, 1)[reference.positions].log_softmax(-1)
    torch.testing.assert_close((reference.states @ reference.head.T).log_softmax(-1), expected)
    next_is_of_source = (of_sources(batch) & (batch["labels"] != -100))[:, 1:]
    assert torch.equal(reference.positions.sort().values, F.pad(next_is_of_source, (0, 1)).flatten().nonzero()[:, 0])


def test_the_copy_reads_each_sentence_of_the_source_language_once_and_no_other(make_trainer, pairs):
    trainer = make_trainer(max_steps=1, source_kl_weight=0.5, **with_texts(pairs))
    batch = next(iter(trainer.get_train_dataloader()))
    read = []
    trainer.reference.model.backpack.register_forward_pre_hook(
        lambda _, args, given: read.append(given["input_ids"][given["sentence_ids"] >= 0].tolist()), with_kwargs=True
    )
    trainer.train()
    (tokens,) = read
    assert sorted(tokens) == sorted(batch["input_ids"][of_sources(batch) & (batch["sentence_ids"] >= 0)].tolist())


def test_the_copy_computes_in_the_precision_of_the_model(make_trainer):
    trainer = make_trainer(max_steps=1, source_kl_weight=0.5, bf16=True)
    computed_in = []
    for model in (trainer.model, trainer.reference.model):
        model.backpack.register_forward_hook(lambda _, args, out: computed_in.append(out.last_hidden_state.dtype))
    trainer.train()
    assert computed_in == [torch.bfloat16] * 2


def test_texts_of_the_source_language_are_distilled_too(make_trainer, pairs):
    trainer = make_trainer(source_kl_weight=0.5, **with_texts(pairs), **LM_ONLY)
    batch = trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))
    reference = predictions(trainer.reference, batch["sources"])
    of_texts = (batch["sentence_ids"] >= 2 * batch["num_pairs"]).flatten()
    of_texts[batch["sentence_ends"]] = False  # nothing follows on the last token
    assert of_texts.any() and set(of_texts.nonzero()[:, 0].tolist()) <= set(reference.positions.tolist())


def test_the_loss_of_the_source_side_is_logged_per_token(make_trainer):
    trainer = make_trainer(max_steps=1, source_kl_weight=0.5, **LM_ONLY)
    batch = trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))
    losses = []
    for number in range(batch["num_pairs"]):
        ids = batch["input_ids"][batch["sentence_ids"] == number]
        losses.append(F.cross_entropy(trainer.model.eval()(ids[None]).logits[0, :-1], ids[1:], reduction="none"))
    trainer.train()
    assert logged(trainer, "loss_lm_source")[0] == pytest.approx(torch.cat(losses).mean().item(), rel=1e-4)


def test_under_an_adapter_the_base_model_is_learned_from(make_trainer, make_model):
    base = make_model()
    expected = deepcopy(base).eval()
    adapted = with_adapter(base, AdapterArguments(use_peft=True, lora_r=4), "org/base")
    trainer = make_trainer(adapted, source_kl_weight=1.0)
    trainer.train()
    ids = torch.tensor([[5, 6, 7]])
    torch.testing.assert_close(trainer.reference.model(ids).logits, expected(ids).logits)
    assert logged(trainer, "loss_kl")[-1] > 0


def test_without_a_weight_there_is_no_copy_and_sources_have_no_labels(make_trainer):
    trainer = make_trainer()
    batch = next(iter(trainer.get_train_dataloader()))
    assert trainer.reference is None and (batch["labels"][of_sources(batch)] == -100).all()


def test_two_ways_to_keep_the_source_language_are_refused(make_trainer):
    with pytest.raises(ValueError, match="`source_lm_weight` and `source_kl_weight` are two ways"):
        make_trainer(source_lm_weight=1.0, source_kl_weight=1.0)


@pytest.mark.parametrize("weight", [-1.0, float("inf")])
def test_a_weight_that_makes_no_sense_is_refused(make_trainer, weight):
    with pytest.raises(ValueError, match="`source_kl_weight` must be 0 or more"):
        make_trainer(source_kl_weight=weight)
