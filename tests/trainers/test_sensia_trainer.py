import json
import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from modeling_sensia.modeling_backpack import mix_senses
from sensia.trainers import ParallelCollator, PhaseSchedule, SensiaConfig

PARTS = ("loss_ctx", "loss_sns", "loss_lm")


def batches_of(trainer):
    return [trainer._prepare_inputs(batch) for batch in trainer.get_train_dataloader()]


def logged(trainer, name):
    return [entry[name] for entry in trainer.state.log_history if name in entry]


def naive_objective(model, batch, config, point):
    """The objective from its definition, row by row in float64, contributions and all."""
    model = model.double().eval()
    rows = batch["num_pairs"]
    context, sense, nll, smooth, count = [], [], 0.0, 0.0, 0
    for row in range(2 * rows):
        ids = batch["input_ids"][batch["sentence_ids"] == row]
        output = model(ids[None], output_senses=True, output_contextualization=True, use_cache=False)
        senses, weights = output.senses[0], output.contextualization[0]  # [K, L, D], [K, L, L]
        contributions = weights @ senses  # [K, L, D]
        mixture = (contributions.norm(dim=-1) / config.tau_pool).softmax(0)  # [K, L]
        sense.append(F.normalize((mixture[..., None] * contributions).sum(0).mean(0), dim=0))
        context.append(F.normalize(mix_senses(weights[None], senses[None])[0, -1], dim=0))
        if row >= rows:
            log_probabilities = output.logits[0, :-1].log_softmax(-1)
            nll = nll - log_probabilities.gather(1, ids[1:, None]).sum()
            smooth = smooth - log_probabilities.mean(-1).sum()
            count += len(ids) - 1

    def contrast(vectors, temperature):
        scores = torch.stack(vectors[:rows]) @ torch.stack(vectors[rows:]).T / temperature
        targets = torch.arange(rows)
        return (F.cross_entropy(scores, targets) + F.cross_entropy(scores.T, targets)) / 2

    eps = config.label_smoothing_factor
    losses = {
        "loss_ctx": contrast(context, point.tau_ctx),
        "loss_sns": contrast(sense, point.tau_sns),
        "loss_lm": ((1 - eps) * nll + eps * smooth) / count,
        "loss_lm_plain": nll / count,
    }
    weights = dict(zip(PARTS, (point.w_ctx, point.w_sns, point.w_lm), strict=True))
    return sum(weights[name] * losses[name] for name in PARTS), losses


def test_objective_equals_its_definition_in_value_and_gradient(make_trainer, make_model):
    trainer = make_trainer(max_steps=10)
    trainer.state.max_steps, trainer.state.global_step = 10, 3
    trainer.current_gradient_accumulation_steps = 1
    batch = batches_of(trainer)[0]
    trainer.model.double().eval()
    loss = trainer.compute_loss(trainer.model, batch)
    loss.backward()
    reference = make_model()
    expected, _ = naive_objective(reference, batch, trainer.args, PhaseSchedule().at(3, 10))
    expected.backward()
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-8)
    for (name, given), wanted in zip(trainer.model.named_parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(
            given.grad, wanted.grad, rtol=1e-4, atol=1e-7, msg=lambda text, n=name: f"{n}: {text}"
        )


def test_every_raw_loss_weight_temperature_phase_and_entropy_is_logged(make_trainer):
    trainer = make_trainer(max_steps=10)
    first = batches_of(trainer)[0]
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.train()
    entry = next(entry for entry in trainer.state.log_history if entry["step"] == 1)
    trainer.model.load_state_dict(before)
    expected, losses = naive_objective(trainer.model, first, trainer.args, PhaseSchedule().at(0, 10))
    assert entry["loss"] == pytest.approx(expected.item(), rel=1e-4)
    for name, value in losses.items():
        assert entry[name] == pytest.approx(value.item(), rel=1e-4)
    assert (entry["tau_ctx"], entry["tau_sns"], entry["phase"]) == (0.07, 0.05, 0)
    assert entry["weight_lm"] == pytest.approx(0.02 / 1.02)
    assert 0 < entry["entropy_source"] <= math.log(4) and 0 < entry["entropy_target"] <= math.log(4)


def test_logged_loss_is_the_weighted_sum_of_its_parts_in_every_phase(make_trainer):
    trainer = make_trainer(max_steps=10)
    trainer.train()
    entries = [entry for entry in trainer.state.log_history if "loss_ctx" in entry]
    assert [entry["phase"] for entry in entries] == [0, 0, 0, 1, 1, 2, 2, 2, 2, 2]
    for entry in entries:
        weighted = sum(entry[f"weight_{part[5:]}"] * entry[part] for part in PARTS)
        assert entry["loss"] == pytest.approx(weighted, rel=1e-3)


def test_language_model_term_is_the_same_when_the_batch_is_cut_into_micro_batches(make_trainer, make_model, pairs):
    only_lm = {name: [0, 0, 1] for name in ("align_weights", "joint_weights", "polish_weights")}
    lengths = [max(len(a), len(b)) for a, b in zip(pairs["source_ids"], pairs["target_ids"], strict=True)]
    assert len(set(lengths)) > 5  # micro-batches differ in their number of tokens
    runs = []
    for size, accumulated in ((8, 1), (2, 4)):
        trainer = make_trainer(
            make_model(), per_device_train_batch_size=size, gradient_accumulation_steps=accumulated, **only_lm
        )
        trainer.train()
        runs.append((logged(trainer, "loss"), logged(trainer, "loss_lm"), logged(trainer, "grad_norm")))
    for whole, cut in zip(*runs, strict=True):
        assert cut == pytest.approx(whole, rel=1e-4)


def test_contrastive_terms_are_means_over_micro_batches(make_trainer, make_model):
    no_lm = {name: [1, 1, 0] for name in ("align_weights", "joint_weights", "polish_weights")}
    trainer = make_trainer(
        make_model(), per_device_train_batch_size=4, gradient_accumulation_steps=2, max_steps=1, **no_lm
    )
    batches = batches_of(trainer)[:2]
    reference = trainer.model.state_dict()
    model = make_model()
    model.load_state_dict(reference)
    point = trainer.args.phase_schedule().at(0, 1)
    expected = sum(naive_objective(model, batch, trainer.args, point)[0] for batch in batches) / 2
    trainer.train()
    assert logged(trainer, "loss")[0] == pytest.approx(expected.item(), rel=1e-4)


FROZEN = {
    "none": set(),
    "sense_network": {"sense_network", "weight_network"},
    "sense_vectors": {"sense_network", "trunk.wte"},
}


@pytest.mark.parametrize("polish_freeze", FROZEN)
def test_polish_changes_no_bit_of_what_is_frozen_and_all_of_the_rest(make_trainer, polish_freeze):
    trainer = make_trainer(
        align_share=0.0, joint_share=0.0, polish_freeze=polish_freeze, weight_decay=0.1, max_steps=3
    )
    before = {name: value.clone() for name, value in trainer.model.backpack.named_parameters()}
    trainer.train()
    for name, value in trainer.model.backpack.named_parameters():
        frozen = any(name.startswith(part) for part in FROZEN[polish_freeze])
        assert torch.equal(value, before[name]) == frozen, name


def test_senses_stay_through_polish_when_sense_vectors_are_frozen(make_trainer):
    trainer = make_trainer(align_share=0.0, joint_share=0.0, polish_freeze="sense_vectors")
    ids = torch.arange(50)[None]
    before = trainer.model.eval().get_senses(ids)
    trainer.train()
    assert torch.equal(trainer.model.eval().get_senses(ids), before)


def test_frozen_parameters_stay_out_of_the_clipping_norm(make_trainer, make_model):
    norms = {}
    for freeze in ("none", "sense_network"):
        trainer = make_trainer(
            make_model(), align_share=0.0, joint_share=0.0, polish_freeze=freeze, max_steps=1, max_grad_norm=1e9
        )
        trainer.train()
        norms[freeze] = logged(trainer, "grad_norm")[0]
    assert norms["sense_network"] < norms["none"]


def test_nothing_is_frozen_before_polish(make_trainer):
    trainer = make_trainer(align_share=0.5, joint_share=0.5, polish_freeze="sense_vectors", max_steps=2)
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}
    trainer.train()
    assert not any(torch.equal(value, before[name]) for name, value in trainer.model.named_parameters())


def test_training_aligns_the_pairs_it_sees(make_trainer, pairs):
    trainer = make_trainer(
        evaluate=pairs.select(range(16)), train=pairs.select(range(16)), max_steps=60, per_device_train_batch_size=16
    )
    before = trainer.evaluate()
    trainer.train()
    after = trainer.evaluate()
    assert after["eval_sense_recall@1"] > 0.8 > before["eval_sense_recall@1"] + 0.3
    assert after["eval_bits_per_byte"] < 0.8 * before["eval_bits_per_byte"]


def test_evaluation_names_its_sets_and_can_choose_the_best_model(make_trainer, pairs):
    trainer = make_trainer(
        evaluate={"dev": pairs.select(range(8)), "other": pairs.select(range(8, 16))},
        eval_strategy="steps",
        eval_steps=2,
        save_strategy="steps",
        save_steps=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_dev_sense_recall@1",
        greater_is_better=True,
    )
    trainer.train()
    seen = logged(trainer, "eval_dev_sense_recall@1")
    assert len(seen) == 2
    assert trainer.state.best_metric == max(seen)
    assert len(logged(trainer, "eval_other_bits_per_byte")) == 2


def test_a_collapsed_mixture_is_reported(make_trainer, caplog, monkeypatch):
    from transformers.utils import logging

    monkeypatch.setattr(logging.get_logger("transformers"), "propagate", True)
    logging.enable_propagation()
    trainer = make_trainer(collapse_entropy=0.999999, max_steps=1, tau_pool=0.01)
    with torch.no_grad():
        trainer.model.backpack.sense_network.final_mlp.c_proj.bias.mul_(0).add_(torch.linspace(0, 9, 128))
    trainer.train()
    assert "collapsing" in caplog.text and "of ln 4 = 1.386" in caplog.text


def test_checkpoints_hold_no_pickled_arguments(make_trainer):
    trainer = make_trainer(save_strategy="steps", save_steps=2)
    trainer.train()
    trainer.save_model()
    names = {path.name for path in Path(trainer.args.output_dir).rglob("*")}
    assert "training_args.bin" not in names
    assert {"optimizer.pt", "model.safetensors", "modeling_backpack.py"} <= names


def test_a_single_pair_per_step_is_refused(make_trainer):
    with pytest.raises(ValueError, match="at least 2 pairs"):
        make_trainer(per_device_train_batch_size=1)


def test_the_recipe_of_the_paper_is_the_default(tmp_path):
    config = SensiaConfig(output_dir=str(tmp_path))
    assert (config.learning_rate, config.warmup_steps, config.max_grad_norm) == (5e-5, 0.02, 1.0)
    assert (config.per_device_train_batch_size, config.label_smoothing_factor, config.tau_pool) == (64, 0.05, 0.7)
    assert config.phase_schedule() == PhaseSchedule()


def test_collator_of_the_trainer_is_the_stacked_one(make_trainer):
    assert isinstance(make_trainer().data_collator, ParallelCollator)


def test_a_finished_run_is_loaded_and_not_trained_further(make_trainer, make_model):
    settings = {"save_strategy": "steps", "save_steps": 4, "max_steps": 4}
    first = make_trainer(make_model(), **settings)
    first.train()
    again = make_trainer(make_model(seed=1), **settings)
    again.train(resume_from_checkpoint=True)
    assert again.state.global_step == 4
    for (name, value), wanted in zip(again.model.named_parameters(), first.model.parameters(), strict=True):
        assert torch.equal(value, wanted), name


def test_a_finished_run_is_loaded_with_its_best_weights_where_it_ended_with_them(make_trainer, make_model, pairs):
    settings = {
        "evaluate": pairs.select(range(8)),
        "eval_strategy": "steps",
        "eval_steps": 1,
        "save_strategy": "steps",
        "save_steps": 1,
        "max_steps": 3,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_perplexity",
        "greater_is_better": True,  # the first step's: perplexity falls
    }
    first = make_trainer(make_model(), **settings)
    first.train()
    assert first.state.best_global_step < 3
    again = make_trainer(make_model(seed=1), **settings)
    again.train(resume_from_checkpoint=True)
    for (name, value), wanted in zip(again.model.named_parameters(), first.model.parameters(), strict=True):
        assert torch.equal(value, wanted), name


def test_seconds_of_a_resumed_run_include_those_before(make_trainer, make_model):
    settings = {"save_strategy": "steps", "save_steps": 2, "max_steps": 4}
    first = make_trainer(make_model(), **settings)
    first.train()
    checkpoint = Path(first.args.output_dir, "checkpoint-2")
    state = json.loads((checkpoint / "trainer_state.json").read_text())
    state["log_history"][-1]["seconds"] = 1000.0
    (checkpoint / "trainer_state.json").write_text(json.dumps(state))
    again = make_trainer(make_model(), **settings)
    again.train(resume_from_checkpoint=str(checkpoint))
    assert 1000 < max(logged(again, "seconds")) < 1060


def test_without_contrast_the_sources_are_left_out_and_the_weights_are_the_same(make_trainer, make_model, tokenizer):
    lm_only = {"schedule": "custom", "phases": [{"name": "lm", "share": 1, "weights": [0, 0, 1]}]}
    models = [make_model(), make_model()]
    trainers = [make_trainer(model, **lm_only, polish_freeze="none") for model in models]
    assert all(batch["num_pairs"] == 0 for batch in batches_of(trainers[0]))
    trainers[1].data_collator = ParallelCollator(tokenizer)
    for trainer in trainers:
        trainer.train()
    assert "loss_ctx" not in trainers[0].state.log_history[0] and "loss_ctx" in trainers[1].state.log_history[0]
    for ours, theirs in zip(*(model.parameters() for model in models), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)


def test_a_contrastive_batch_without_contrast_is_refused(make_trainer):
    lm_only = {"schedule": "custom", "phases": [{"name": "lm", "share": 1, "weights": [0, 0, 1]}]}
    with pytest.raises(ValueError, match="means nothing where no phase weighs"):
        make_trainer(**lm_only, contrastive_batch_size=8)
