"""Several sentences in one row, so that little of a batch is padding: who may see whom, and where each one stands.

Shapes: R rows, L positions, N sentences.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Sentences(NamedTuple):
    """
    Where the sentences of a batch are.

    Args:
        ids (`torch.Tensor` of `int` [R, L]): number of the sentence that each token belongs to, -1 for pads. A
            sentence's tokens stand side by side.
        ends (`torch.Tensor` of `int` [N]): place of each sentence's last token in the flattened [R L].
    """

    ids: Tensor
    ends: Tensor

    def attention_mask(self) -> Tensor:
        """
        What each position may look at: the earlier ones of its own sentence. Pads look at pads, so that no position
        looks at nothing.

        Returns:
            `torch.Tensor` of `bool` [R, 1, L, L]
        """
        length = self.ids.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool, device=self.ids.device).tril()
        return ((self.ids[:, :, None] == self.ids[:, None, :]) & causal)[:, None]

    def position_ids(self) -> Tensor:
        """
        Positions within each sentence.

        Returns:
            `torch.Tensor` of `int` [R, L]
        """
        places = torch.arange(self.ids.shape[1], device=self.ids.device).expand_as(self.ids)
        begins = torch.ones_like(self.ids, dtype=torch.bool)
        begins[:, 1:] = self.ids[:, 1:] != self.ids[:, :-1]
        return places - places.where(begins, 0).cummax(1).values


def rows_as_sentences(attention_mask: Tensor) -> tuple[Tensor, int]:
    """Sentence numbers [R, L] where each row is one sentence, pads included, and how many there are."""
    rows = torch.arange(len(attention_mask), device=attention_mask.device)
    return rows[:, None].expand(attention_mask.shape), len(attention_mask)


__all__ = ["Sentences", "rows_as_sentences"]
