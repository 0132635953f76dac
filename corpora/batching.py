"""Rows of token ids to padded tensors."""

from collections.abc import Sequence

import torch


def pad_rows(
    rows: Sequence[Sequence[int]], fill: int, pad_to_multiple_of: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Pads rows of token ids on the right to the longest of them.

    Args:
        rows (`Sequence[Sequence[int]]`): B rows, none empty.
        fill (`int`): id that fills the pads; the mask, never this id, tells them apart.
        pad_to_multiple_of (`int`, *optional*, defaults to 1): round the length up to a multiple of this.

    Returns:
        `tuple` of `torch.Tensor`: ids and mask (1 for real tokens), `int` [B, L] each.

    Raises:
        ValueError: if there is no row, or a row is empty.
    """
    if not rows or not all(len(row) for row in rows):
        raise ValueError("A batch needs at least one row, and every row at least one token.")
    lengths = torch.tensor([len(row) for row in rows])  # [B]
    longest = -(-int(lengths.max()) // pad_to_multiple_of) * pad_to_multiple_of
    mask = torch.arange(longest) < lengths[:, None]  # [B, L]
    ids = torch.full(mask.shape, fill)
    ids[mask] = torch.tensor([token for row in rows for token in row])
    return ids, mask.long()
