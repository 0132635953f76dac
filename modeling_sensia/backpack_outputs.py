"""Output classes of the Backpack models.

Shapes: B rows, N sentences (equal to B without sequence packing), L positions of this call, S positions including the
cached past, K senses, D the hidden size, V tokens.
"""

from dataclasses import dataclass

from torch import Tensor
from transformers.cache_utils import Cache
from transformers.utils import ModelOutput


@dataclass
class BackpackModelOutput(ModelOutput):
    """
    Output of [`BackpackModel`].

    Args:
        last_hidden_state (`torch.Tensor` [B, L, D]): the mixture o of sense vectors at each position.
        past_key_values (`Cache`, *optional*): the trunk's keys and values, then the mixture's keys and the cached form
            of the senses (see `sense_store.py`).
        hidden_states (`tuple` of `torch.Tensor` [B, L, D], *optional*): the trunk's hidden states, then o.
        attentions (`tuple` of `torch.Tensor` [B, heads, L, S], *optional*): the trunk's attention weights, then the
            contextualization.
        senses (`torch.Tensor` [B, K, S, D], *optional*): the sense vectors of every position.
        contextualization (`torch.Tensor` [B, K, L, S], *optional*): weight of each sense of each earlier position.
        context_vectors (`torch.Tensor` [N, D], *optional*): context vectors of length 1; given with
            `pooling_temperature`.
        sense_vectors (`torch.Tensor` [N, D], *optional*): sense vectors of sentences, of length 1; given with
            `pooling_temperature`.
        mixture_entropy (`torch.Tensor` [N], *optional*): mean entropy of the sense mixture in nats; given with
            `pooling_temperature`.
    """

    last_hidden_state: Tensor | None = None
    past_key_values: Cache | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
    senses: Tensor | None = None
    contextualization: Tensor | None = None
    context_vectors: Tensor | None = None
    sense_vectors: Tensor | None = None
    mixture_entropy: Tensor | None = None


@dataclass
class BackpackCausalLMOutput(ModelOutput):
    """
    Output of [`BackpackForCausalLM`]: the fields of [`BackpackModelOutput`] except `last_hidden_state`, and

    Args:
        loss (`torch.Tensor` [], *optional*): language modelling loss in nats, with `label_smoothing`.
        plain_loss (`torch.Tensor` [], *optional*): the loss without label smoothing.
        distillation_loss (`torch.Tensor` [], *optional*): with a reference, the mean divergence from it in nats.
        logits (`torch.Tensor` [B, L, V], *optional*): scores of the next token; absent with `return_logits=False`.
        token_losses (`torch.Tensor` [B, L], *optional*): with labels, the loss in nats of predicting the next token at
            each position, without smoothing, weights or gradient; 0 where nothing is predicted.
        word_vectors (`torch.Tensor` [W, K D], *optional*): with `word_ids`, the vectors of words, of length 1.
    """

    loss: Tensor | None = None
    plain_loss: Tensor | None = None
    logits: Tensor | None = None
    past_key_values: Cache | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
    senses: Tensor | None = None
    contextualization: Tensor | None = None
    context_vectors: Tensor | None = None
    sense_vectors: Tensor | None = None
    mixture_entropy: Tensor | None = None
    token_losses: Tensor | None = None
    distillation_loss: Tensor | None = None
    word_vectors: Tensor | None = None


__all__ = ["BackpackCausalLMOutput", "BackpackModelOutput"]
