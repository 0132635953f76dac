"""Counted operations of a step, against those that the shapes of its matrix products give."""

import pytest
import torch
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel

from sensia.trainers.dense_alignment import DenseAlignmentConfig, DenseAlignmentTrainer
from sensia.trainers.step_flops import flop_counter, flops_of_run

LAYERS, WIDTH, HEADS, VOCABULARY = 2, 32, 4, 400


def dense_model(attention):
    config = GPT2Config(
        n_positions=128,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        vocab_size=VOCABULARY,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = GPT2LMHeadModel(config)
    model.set_attn_implementation(attention)
    return model


def forward_flops(rows, length):
    """Of the layers: queries, keys and values, scores and their sums, the output, and the MLP."""
    tokens = rows * length
    attention = 2 * tokens * WIDTH * 3 * WIDTH + 2 * (2 * tokens * length * WIDTH) + 2 * tokens * WIDTH * WIDTH
    return LAYERS * (attention + 2 * (2 * tokens * WIDTH * 4 * WIDTH))


@pytest.fixture
def batch_and_flops(make_trainer):
    """A batch of the trainer, and the operations that its log tells of the step on it."""

    def run(attention, **settings):
        trainer = make_trainer(
            dense_model(attention), kinds=(DenseAlignmentConfig, DenseAlignmentTrainer), max_steps=1, **settings
        )
        batch = next(iter(trainer.get_train_dataloader()))
        trainer.train()
        return batch, [entry["step_tflop"] for entry in trainer.state.log_history if "step_tflop" in entry]

    return run


def test_a_step_takes_the_operations_of_its_matrix_products(batch_and_flops):
    batch, (counted,) = batch_and_flops("eager")
    rows, length = batch["input_ids"].shape
    pairs, predicted = 4, int((batch["labels"][:, 1:] != -100).sum())
    head = 2 * predicted * WIDTH * VOCABULARY
    contrast = 2 * 2 * (2 * pairs * pairs * WIDTH)  # of context and of sense vectors, in both directions
    # Backward takes a product for the weights and one for the inputs: twice the forward.
    expected = 3 * (forward_flops(rows, length) + head + contrast)
    expected += 2 * rows * WIDTH * VOCABULARY  # logits of the last position, which nothing is learned from
    assert 1e12 * counted == pytest.approx(expected, rel=1e-6)


def test_micro_batches_of_a_step_are_added_up(make_trainer):
    settings = {"max_steps": 1, "gradient_accumulation_steps": 2}
    trainer = make_trainer(dense_model("eager"), kinds=(DenseAlignmentConfig, DenseAlignmentTrainer), **settings)
    batches = trainer.get_train_dataloader()
    shapes = [batch["input_ids"].shape for batch, _ in zip(batches, range(2), strict=False)]
    trainer.train()
    counted = next(entry["step_tflop"] for entry in trainer.state.log_history if "step_tflop" in entry)
    layers = 3 * sum(forward_flops(*shape) for shape in shapes)
    assert layers < 1e12 * counted < 1.5 * layers  # the rest is the head


@pytest.mark.parametrize("gradients", [False, True])
def test_fused_attention_of_a_cpu_is_counted(gradients):
    query, key, value = (torch.randn(2, 3, 16, 8, requires_grad=gradients) for _ in range(3))
    with flop_counter() as counter:
        found = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        if gradients:
            found.sum().backward()
    forward = 2 * (2 * 2 * 3 * 16 * 16 * 8)
    # Backward computes the scores again, and four products more.
    assert counter.get_total_flops() == forward + (5 * forward // 2 if gradients else 0)


def test_a_run_has_the_mean_of_the_steps_that_were_counted():
    history = [{"step_tflop": 0.5}, {"eval_loss": 1.0}, {"step_tflop": 1.5}]
    assert flops_of_run(history, 10) == {"flops": 10e12, "steps_counted": 2}
    assert flops_of_run([{"loss": 1.0}], 10) == {}


def test_counting_can_be_switched_off(batch_and_flops):
    _, counted = batch_and_flops("eager", count_flops=False)
    assert counted == []


def test_counting_changes_no_weight(make_trainer, make_model):
    found = []
    for counting in (False, True):
        torch.manual_seed(0)
        trainer = make_trainer(make_model(), count_flops=counting, max_steps=2)
        trainer.train()
        found.append(torch.cat([each.flatten() for each in trainer.model.parameters()]))
    assert torch.equal(*found)
