"""Training steps that gpu.py checks and measures: SENSIA's, with gradient caching, and stock GPT-2's.

They are what the trainer computes (tests/benchmarks/test_gpu.py), without its logs, and without `datasets`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from gpu_setup import Setup
from torch import Tensor, nn

from modeling_sensia.positions_and_masks import Sentences
from sensia.trainers.contrastive_cache import ContrastiveCache, RandomState
from sensia.trainers.losses import info_nce
from sensia.trainers.schedule import PhaseSchedule

POOLING_TEMPERATURE, LABEL_SMOOTHING = 0.7, 0.05
#: The middle of the joint phase, where all three losses count.
POINT = PhaseSchedule().at(35, 100)

Batch = dict[str, Any]


def encode(model: nn.Module, batch: Batch):
    """The one forward of a step."""
    inputs = {
        name: value for name, value in batch.items() if name not in ("num_pairs", "num_source_texts", "row_numbers")
    }
    return model(
        **inputs,
        pooling_temperature=POOLING_TEMPERATURE,
        label_smoothing=LABEL_SMOOTHING,
        return_logits=False,
        use_cache=False,
    )


def contrast(context: Tensor, sense: Tensor, one_way: bool = False) -> tuple[Tensor, Tensor]:
    """InfoNCE of stacked context and sense vectors [2 B, D] each, sources first."""
    return (
        info_nce(*context.chunk(2), POINT.tau_ctx, one_way),
        info_nce(*sense.chunk(2), POINT.tau_sns, one_way),
    )


def sensia_losses(model: nn.Module, batch: Batch, one_way: bool = False) -> dict[str, Tensor]:
    """SENSIA's losses of a batch, and their weighted sum as `loss`."""
    outputs = encode(model, batch)
    ctx, sns = contrast(outputs.context_vectors, outputs.sense_vectors, one_way)
    loss = POINT.w_ctx * ctx + POINT.w_sns * sns + POINT.w_lm * outputs.loss
    return {"ctx": ctx, "sns": sns, "lm": outputs.loss, "lm_plain": outputs.plain_loss, "loss": loss}


def sensia_backward(model: nn.Module, batch: Batch) -> Tensor:
    loss = sensia_losses(model, batch)["loss"]
    loss.backward()
    return loss.detach()


def cached_backward(model: nn.Module, batches: Sequence[Batch], setup: Setup) -> Tensor:
    """A step of several micro-batches whose pairs are all each other's negatives, by gradient caching."""
    vectors, states = [], []
    for batch in batches:
        states.append(RandomState(setup.device))
        with torch.no_grad():
            outputs = encode(model, {name: value for name, value in batch.items() if name != "labels"})
        vectors.append((outputs.context_vectors, outputs.sense_vectors))
    cache = ContrastiveCache(vectors, states, contrast, (POINT.w_ctx, POINT.w_sns))
    labels = sum((batch["labels"][:, 1:] != -100).sum() for batch in batches)
    total = torch.zeros((), device=setup.device)
    for batch in batches:
        cache.restore_random_state()
        outputs = encode(model, {**batch, "num_items_in_batch": labels})
        loss = cache.replay(outputs.context_vectors, outputs.sense_vectors) + POINT.w_lm * outputs.loss
        loss.backward()
        total = total + loss.detach()
    return total


def stock_backward(model: nn.Module, batch: Batch) -> Tensor:
    """Stock GPT-2's language model loss over the same rows: every token of both languages but a sentence's first."""
    ids = batch["sentence_ids"]
    sentences = Sentences(ids, batch["sentence_ends"])
    goes_on = nn.functional.pad((ids[:, 1:] == ids[:, :-1]) & (ids[:, 1:] >= 0), (1, 0))  # [R, L]
    loss = model(
        input_ids=batch["input_ids"],
        attention_mask=sentences.attention_mask(),
        position_ids=sentences.position_ids(),
        labels=batch["input_ids"].masked_fill(~goes_on, -100),
        use_cache=False,
    ).loss
    loss.backward()
    return loss.detach()


class Training:
    """
    A model in training: autocast, clipping and fused AdamW.

    Args:
        setup ([`Setup`]): where it runs.
        model (`nn.Module`): trained in place.
        backward (`Callable`): from model and batch to the loss, gradients left in place.
    """

    def __init__(self, setup: Setup, model: nn.Module, backward: Callable[..., Tensor]):
        self.setup, self.model, self.run_backward = setup, model.train(), backward
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.01, fused=True)

    def backward(self, batch: Any) -> Tensor:
        with self.setup.autocast():
            return self.run_backward(self.model, batch)

    def step(self, batch: Any) -> Tensor:
        loss = self.backward(batch)
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss
