"""The model as it was before training: its predictions and its sentence vectors of the source language."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, cast

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from modeling_sensia.backpack_outputs import BackpackModelOutput
from modeling_sensia.distillation_loss import Reference

#: What the reference reads of the sources of a batch.
_INPUTS = ("input_ids", "attention_mask", "sentence_ids", "sentence_ends")
#: Logit of a token that is never predicted; finite, since 0 times infinity is no number.
_NEVER = -1e4
#: A bias is a column of the head that the states meet with 1. Eight keep rows aligned for matrix products.
_BIAS_COLUMNS = 8


class FrozenReference:
    """
    A frozen copy of a Backpack, which reads what a batch has of the source language. Each process holds a whole copy.

    A model that is trained to predict what the copy predicts there keeps its knowledge of the source language while it
    learns another (Li and Hoiem, "Learning without Forgetting", arXiv 1606.09282). Its sentence vectors are a space
    that does not move, which another language can be aligned with (Reimers and Gurevych, "Making Monolingual Sentence
    Embeddings Multilingual using Knowledge Distillation", arXiv 2004.09813).

    Args:
        model ([`BackpackForCausalLM`] or `PeftModel` of one): the model before its first step.
        device (`torch.device`): where the copy computes.
        new_ids (`Sequence[int]`, *optional*): ids of tokens that the base model did not have. The copy gives them no
            probability: what their embeddings begin as would make it expect them in the source language.
    """

    def __init__(self, model: PreTrainedModel | PeftModel, device: torch.device, new_ids: Sequence[int] = ()):
        copy: Any = deepcopy(model)
        if isinstance(copy, PeftModel):
            copy = copy.merge_and_unload()
        self.model = copy.to(device).eval().requires_grad_(False)
        self.head = self.model.lm_head.weight  # [V, D]
        self.biased = bool(new_ids)
        if self.biased:
            bias = self.head.new_zeros(len(self.head), _BIAS_COLUMNS)
            bias[torch.as_tensor(list(new_ids), device=device), 0] = _NEVER
            self.head = torch.cat([self.head, bias], 1)  # [V, D + columns]

    @torch.no_grad()
    def encode(
        self, sources: dict[str, torch.Tensor], pooling_temperature: float | None = None
    ) -> BackpackModelOutput:
        """
        Encodes the source language alone, in the precision of the autocast that this is called in.

        Args:
            sources (`dict`): `sources` of a batch of [`ParallelCollator`], on the copy's device.
            pooling_temperature (`float`, *optional*): if given, the output has sentence vectors; see
                [`BackpackModel.forward`].

        Returns:
            [`BackpackModelOutput`]: without gradient. Sources of pairs come before texts.
        """
        inputs = {name: sources[name] for name in _INPUTS if name in sources}
        return self.model.backpack(**inputs, pooling_temperature=pooling_temperature, use_cache=False)

    def predictions(
        self, sources: dict[str, torch.Tensor], encoded: BackpackModelOutput, num_distilled: torch.Tensor | int
    ) -> Reference:
        """
        Gives the copy's predictions of what it has encoded.

        Args:
            sources (`dict`): `sources` of a batch of [`ParallelCollator`], on the copy's device.
            encoded ([`BackpackModelOutput`]): what [`encode`] makes of them.
            num_distilled (`torch.Tensor` or `int`): see [`Reference`].

        Returns:
            [`Reference`]: the copy's predictions on the source side.
        """
        states = cast(torch.Tensor, encoded.last_hidden_state).flatten(0, 1)[sources["places"]]  # [P, D]
        if self.biased:
            states = torch.cat([states, states.new_ones(len(states), _BIAS_COLUMNS)], 1)  # [P, D + columns]
        return Reference(states, self.head, sources["places_in_batch"], num_distilled)
