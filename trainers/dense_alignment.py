"""Dense alignment, the baseline: hidden states of a dense model are aligned in the way that SENSIA aligns senses.

Shapes: R rows, L positions, N sentences, D the hidden size.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from modeling_sensia import BackpackConfig
from modeling_sensia.lm_loss import language_model_losses_of_states
from modeling_sensia.positions_and_masks import Sentences, additive_mask, rows_as_sentences
from sensia.evaluation.bitext import Encoder
from sensia.trainers.renamed_settings import accepts_old_names
from sensia.trainers.sensia_config import SensiaConfig
from sensia.trainers.sensia_trainer import SensiaTrainer
from sensia.trainers.setting_ranges import check_counts

#: Where a sentence's vector is taken from.
REPRESENTATIONS = ("last_token", "mean")
# Settings by which a decoder's logits are something else than states times the head's weight.
_OTHER_LOGITS = ("logit_scale", "logits_scaling", "final_logit_softcapping")
# Settings of the senses, which a dense model does not have, and the only value that each may have here.
_OF_SENSES: dict[str, Any] = {
    "polish_freeze": "none",
    "packing": True,
    "sense_learning_rate": None,
    "trunk_learning_rate": None,
    **{
        each.name: each.default
        for each in fields(SensiaConfig)
        if each.name in ("tau_pool", "collapse_entropy", "expected_entropy")
    },
}


@accepts_old_names
@dataclass
class DenseAlignmentConfig(SensiaConfig):
    """
    Arguments of [`DenseAlignmentTrainer`]: those of [`SensiaConfig`], and how a sentence becomes a vector.

    Raises:
        ValueError: naming the setting that is out of range, or that means nothing to a dense model.
    """

    representation: str = field(
        default="mean",
        metadata={
            "help": "Vector of a sentence: the hidden state at its last_token, or the mean of its hidden states. The "
            "vector of the last layer stands for the context vector, that of the middle layer for the sense vector.",
            "choices": REPRESENTATIONS,
        },
    )
    middle_layer: int | None = field(
        default=None,
        metadata={
            "help": "Layer whose states stand for the sense vector, counted from 1; the middle one if not given."
        },
    )
    polish_freeze: str = field(default="none", metadata={"help": "Stays none: a dense model has no senses to freeze."})

    def __post_init__(self):
        super().__post_init__()
        if self.representation not in REPRESENTATIONS:
            raise ValueError(
                f"`representation` must be one of {', '.join(REPRESENTATIONS)}, got {self.representation!r}."
            )
        for name, value in _OF_SENSES.items():
            if getattr(self, name) != value:
                raise ValueError(
                    f"Dense alignment has no senses: `{name}` must be {value}, got {getattr(self, name)}."
                )
        if self.source_kl_weight:
            raise ValueError(
                "Dense alignment keeps the source language by `source_lm_weight`: `source_kl_weight` must be 0, got "
                f"{self.source_kl_weight}."
            )
        if self.source_encoder != "model":
            raise ValueError(
                "Dense alignment keeps no copy of the base: `source_encoder` must be model, got "
                f"{self.source_encoder}."
            )
        if self.project_conflicts:
            raise ValueError(
                "Dense alignment has no senses whose gradients it could project: `project_conflicts` must be False, "
                "got True."
            )
        if self.word_alignment_weight:
            raise ValueError(
                "Dense alignment has no senses of words: `word_alignment_weight` must be 0, got "
                f"{self.word_alignment_weight}."
            )
        check_counts(self, "middle_layer")


class DenseAlignmentTrainer(SensiaTrainer):
    """
    [`SensiaTrainer`] of a dense causal language model. Hidden states take the place of the sentence vectors; see
    [`encode_dense`].

    Args:
        model (`PreTrainedModel`): a dense causal language model.
        args ([`DenseAlignmentConfig`]): the settings.
        kwargs: as in [`SensiaTrainer`].
    """

    args: DenseAlignmentConfig  # type: ignore[assignment]

    def __init__(self, model: PreTrainedModel | PeftModel, args: DenseAlignmentConfig, **kwargs):
        layers = model.config.num_hidden_layers
        if args.middle_layer is not None and args.middle_layer > layers:
            raise ValueError(f"`middle_layer` must be at most {layers}, the last layer, got {args.middle_layer}.")
        super().__init__(model, args, **kwargs)

    @staticmethod
    def check_model(model: PreTrainedModel | PeftModel):
        check_dense_model(model)

    def encode(self, model, inputs, num_items_in_batch=None):
        head = self.accelerator.unwrap_model(model).get_output_embeddings()
        with self.accelerator.autocast():  # the head runs outside of the model's forward
            return encode_dense(
                model,
                head,
                inputs,
                self.args.representation,
                middle_layer=self.args.middle_layer,
                label_smoothing=self.args.label_smoothing_factor,
                num_items_in_batch=num_items_in_batch,
            )

    def held_out_encoder(self) -> Encoder:
        head = self.accelerator.unwrap_model(self.model).get_output_embeddings()

        def encode(ids: Tensor, mask: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
            batch = sentences_in_rows(ids, mask) | ({} if labels is None else {"labels": labels})
            return encode_dense(self.model, head, batch, self.args.representation, middle_layer=self.args.middle_layer)

        return encode


def sentences_in_rows(ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """
    A batch of [`encode_dense`] with a sentence in each row.

    Args:
        ids, mask (`torch.Tensor` [N, L]): token ids and their attention mask, padded on the right.
    """
    rows, _ = rows_as_sentences(mask)  # [N, L]
    ends = torch.arange(len(ids), device=ids.device) * ids.shape[1] + mask.sum(1) - 1  # [N]
    return {"input_ids": ids, "sentence_ids": rows.masked_fill(mask == 0, -1), "sentence_ends": ends}


def encode_dense(
    model: nn.Module,
    head: nn.Linear,
    batch: Mapping[str, Any],
    pooling: str,
    *,
    middle_layer: int | None = None,
    label_smoothing: float = 0.0,
    num_items_in_batch: Tensor | int | None = None,
) -> dict[str, Tensor]:
    """
    Encodes a batch with a dense causal language model, in the form that a Backpack gives the trainer: the sentence
    vectors of the last layer in the place of the context vectors, those of the middle layer in the place of the sense
    vectors, and the losses.

    Args:
        model (`nn.Module`): a decoder of transformers that takes `position_ids`, wrapped or not.
        head (`nn.Linear`): its language model head, a linear layer without bias.
        batch (`Mapping`): of [`ParallelCollator`] with packing.
        pooling (`str`): `"last_token"` or `"mean"`.
        middle_layer (`int`, *optional*): layer in the place of the sense vectors, from 1; half of their number if not
            given.
        label_smoothing (`float`, *optional*, defaults to 0): share of each target spread over the vocabulary.
        num_items_in_batch (`int`, *optional*): divisor of the loss; defaults to the number of predicted tokens.

    Returns:
        `dict`: `context_vectors` and `sense_vectors` [N, D], of unit length and float32 at least; with `labels` in the
        batch, `loss` and `plain_loss`, scalars in nats, and `token_losses` [R, L], of each predicted token.

    Raises:
        ValueError: if the head's weight is sharded.
    """
    if type(head.weight) is not nn.Parameter:
        raise ValueError("Dense alignment needs a head whose weight is whole: train without sharding.")
    sentences = Sentences(batch["sentence_ids"], batch["sentence_ends"])
    mask: Tensor | None = sentences.attention_mask()  # [R, 1, L, L]
    if model_config(model)._attn_implementation == "eager":
        mask = additive_mask(mask, head.weight.dtype)
    outputs = model(
        input_ids=batch["input_ids"],
        attention_mask=mask,
        position_ids=sentences.position_ids(),
        output_hidden_states=True,
        use_cache=False,
        logits_to_keep=1,  # the head runs below, where something is predicted
    )
    layers = outputs.hidden_states  # the first are the embeddings; [R, L, D] each
    last, middle = layers[-1], layers[len(layers) // 2 if middle_layer is None else middle_layer]
    encoded = {
        "context_vectors": pool_states(last, sentences, pooling),
        "sense_vectors": pool_states(middle, sentences, pooling),
    }
    if "labels" in batch:
        targets = F.pad(batch["labels"][:, 1:], (0, 1), value=-100).flatten()  # [R L]
        predicted = (targets != -100).nonzero().squeeze(-1)  # [n]
        weights = batch.get("label_weights")
        if weights is not None:
            weights = F.pad(weights[:, 1:], (0, 1)).flatten()[predicted]  # [n]
        states = last.flatten(0, 1)[predicted]  # [n, D]
        encoded["loss"], encoded["plain_loss"], of_tokens = language_model_losses_of_states(
            states, head.weight, targets[predicted], label_smoothing, num_items_in_batch, weights
        )
        losses = of_tokens.new_zeros(targets.shape).index_copy_(0, predicted, of_tokens)
        encoded["token_losses"] = losses.view_as(batch["labels"])
    return encoded


def check_dense_model(model: PreTrainedModel | PeftModel):
    """
    Refuses a model that dense alignment is not exact for.

    Args:
        model (`PreTrainedModel`): a causal language model.

    Raises:
        ValueError: if it is a Backpack, or if its logits are not the last hidden states times the weight of a linear
            head.
    """
    if model.config.model_type == BackpackConfig.model_type:
        raise ValueError("Dense alignment takes a dense model, got a Backpack: SensiaTrainer aligns its senses.")
    head, config = model.get_output_embeddings(), model.config
    if not isinstance(head, nn.Linear) or head.bias is not None:
        raise ValueError(f"Dense alignment needs a linear head without bias, got {head} of a {config.model_type}.")
    for name in _OTHER_LOGITS:
        if (value := getattr(config, name, None)) not in (None, 1.0):
            raise ValueError(
                f"Dense alignment takes logits to be states times the head's weight; a {config.model_type} changes "
                f"them by `{name}` {value}."
            )


def model_config(model: nn.Module) -> Any:
    """The configuration of a model, which may be wrapped as DDP does."""
    return getattr(model, "module", model).config


def pool_states(states: Tensor, sentences: Sentences, pooling: str) -> Tensor:
    """
    A unit vector of each sentence.

    Args:
        states (`torch.Tensor` [R, L, D]): hidden states.
        sentences ([`Sentences`]): N sentences in these rows.
        pooling (`str`): `"last_token"` or `"mean"`.

    Returns:
        `torch.Tensor` [N, D], float32 at least.
    """
    precise = torch.promote_types(states.dtype, torch.float32)
    if pooling == "last_token":
        return F.normalize(states.flatten(0, 1)[sentences.ends].to(precise), dim=-1)
    real = sentences.ids >= 0  # [R, L]
    sums = states.new_zeros(len(sentences.ends), states.shape[-1], dtype=precise)
    # A sum points where the mean does.
    return F.normalize(sums.index_add(0, sentences.ids[real], states[real].to(precise)), dim=-1)
