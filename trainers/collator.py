"""Pairs to one stacked batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from corpora.batching import pad_rows


@dataclass
class ParallelCollator:
    """
    Stacks a batch of B pairs into 2 B rows, sources first, so that one forward encodes both languages.

    Rows are padded on the right to the longest of the batch. Labels are the target rows' ids; sources and pads have
    -100, so that the language model loss is on the target alone.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): supplies the id that fills pads; masks, never ids, mark them.
        pad_to_multiple_of (`int`, *optional*, defaults to 1): round the padded length up to a multiple of this.
    """

    tokenizer: PreTrainedTokenizerBase
    pad_to_multiple_of: int = 1

    def __call__(self, pairs: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """
        Args:
            pairs (`Sequence[dict]`): each with `source_ids` and `target_ids`, lists of token ids.

        Returns:
            `dict`: `input_ids`, `attention_mask` and `labels`, each `torch.Tensor` of `int` [2 B, L].

        Raises:
            ValueError: if there is no pair, or a side is empty.
        """
        fill = self.tokenizer.pad_token_id
        if fill is None:
            fill = self.tokenizer.eos_token_id
        rows = [pair["source_ids"] for pair in pairs] + [pair["target_ids"] for pair in pairs]
        ids, mask = pad_rows(rows, fill, self.pad_to_multiple_of)  # [2 B, L]
        is_target = torch.arange(len(rows))[:, None] >= len(pairs)  # [2 B, 1]
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "labels": ids.masked_fill((mask == 0) | ~is_target, -100),
        }
