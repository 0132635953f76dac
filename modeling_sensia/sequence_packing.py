"""Sequence packing: several sentences in one row, to reduce padding. Computes attention masks and position ids.

Shapes: R rows, L positions, N sentences.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Sentences(NamedTuple):
    """
    Places of the sentences in a packed batch.

    Args:
        ids (`torch.Tensor` of `int` [R, L]): index of the sentence of each token, -1 for padding. The tokens of a
            sentence are contiguous.
        ends (`torch.Tensor` of `int` [N]): index of the last token of each sentence in the flattened [R L].
    """

    ids: Tensor
    ends: Tensor

    def attention_mask(self) -> Tensor:
        """
        Block-diagonal causal mask: a position attends to itself and earlier positions of its sentence. Padding attends
        to padding, so that no row of the mask is empty.

        Returns:
            `torch.Tensor` of `bool` [R, 1, L, L]
        """
        length = self.ids.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool, device=self.ids.device).tril()
        return ((self.ids[:, :, None] == self.ids[:, None, :]) & causal)[:, None]

    def position_ids(self) -> Tensor:
        """
        Position ids that start at 0 in each sentence.

        Returns:
            `torch.Tensor` of `int` [R, L]
        """
        places = torch.arange(self.ids.shape[1], device=self.ids.device).expand_as(self.ids)
        begins = torch.ones_like(self.ids, dtype=torch.bool)
        begins[:, 1:] = self.ids[:, 1:] != self.ids[:, :-1]
        return places - places.where(begins, 0).cummax(1).values


def rows_as_sentences(attention_mask: Tensor) -> tuple[Tensor, int]:
    """Sentence indices [R, L] of a batch without packing, padding included, and the number of sentences."""
    rows = torch.arange(len(attention_mask), device=attention_mask.device)
    return rows[:, None].expand(attention_mask.shape), len(attention_mask)


__all__ = ["Sentences", "rows_as_sentences"]
