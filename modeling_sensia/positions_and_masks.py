"""Position ids and attention masks of a forward: of packed sentences, of padding and of cached positions.

Shapes: B or R rows, L positions of this call, S positions including the cached past, N sentences, K senses, D the
hidden size.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers.cache_utils import Cache


class Sentences(NamedTuple):
    """
    Places of the sentences in a packed batch. Sequence packing puts several sentences into one row, to reduce padding.

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


def check_positions(cache: Cache | None, length: int, limit: int, layer: int):
    """
    Raises a `ValueError` if a call does not fit its cache or the model's positions.

    Args:
        cache (`Cache`, *optional*): the cache of the call.
        length (`int`): positions L of the call.
        limit (`int`): maximum number of positions of the model.
        layer (`int`): the mixture's layer in the cache, which is the last.
    """
    past: int | Tensor = 0
    if cache is not None:
        if cache.layers and len(cache.layers) <= layer and cache.layer_class_to_replicate is None:
            raise ValueError(
                f"The cache has {len(cache.layers)} layers, and this Backpack needs {layer + 1}: build it from the "
                "Backpack's configuration, not from its trunk's."
            )
        past = cache.get_seq_length()
    # A static cache holds its length in a tensor. Comparing it breaks a compiled graph and synchronises the device.
    if isinstance(past, Tensor):
        if torch.compiler.is_compiling() or (past.device.type != "cpu" and length == 1):
            return
        past = int(past)
    if past + length > limit:
        raise ValueError(f"{past + length} positions were given ({past} of them cached); this model has {limit}.")
    # Without `int`, which would make the number of past positions of an exported graph a constant.
    if past and cache is not None and cache.get_seq_length(layer) != past:
        raise ValueError("The cache holds positions of the trunk but not their senses: the trunk alone filled it.")


def width_in_cache(cache: Cache | None, layer: int) -> int | None:
    """
    Numbers that the cache holds for the senses of each past position; `None` if it holds no position.

    Args:
        cache (`Cache`, *optional*): the cache of the call.
        layer (`int`): the mixture's layer in the cache.

    Raises:
        ValueError: if the layer has several heads, as the prefixes of prefix tuning have.
    """
    if cache is None or len(cache.layers) <= layer:
        return None
    values = getattr(cache.layers[layer], "values", None)
    if values is not None and values.ndim == 4 and values.shape[1] != 1:
        raise ValueError(
            "A Backpack cannot be prefix-tuned: the virtual tokens of a prefix have keys and values of the trunk, and "
            "no senses. Use LoRA or another adapter of its layers."
        )
    return None if values is None else values.shape[-1]


def extend_cache(cache: Cache | None, keys: Tensor, kept: Tensor, layer: int) -> tuple[Tensor, Tensor]:
    """
    Appends positions to the mixture's cache layer, which stores them as one attention head.

    Args:
        cache (`Cache`, *optional*): the cache of the call.
        keys (`torch.Tensor` [B, L, K (D // K)]): keys of all senses.
        kept (`torch.Tensor` [B, L, width]): cached form of the senses (see `sense_store.py`).
        layer (`int`): the mixture's layer in the cache.

    Returns:
        `tuple` of `torch.Tensor`: `keys` and `kept` with the cached past before them, [B, S, ...].
    """
    kept = kept.to(keys)  # a cache has one dtype, and under autocast the two may differ
    if cache is None:
        return keys, kept
    keys, kept = cache.update(keys[:, None], kept[:, None], layer)
    return keys.squeeze(1), kept.squeeze(1)


def mixing_mask(attention_mask: Tensor | None, length: int, cache: Cache | None, layer: int, device) -> Tensor:
    """
    Causal mask of the mixture, with padding masked out. Compute it before the call advances the cache.

    Args:
        attention_mask (`torch.Tensor` [B, S] or [B, 1, L, S], *optional*): the padding mask or 4-D mask given to the
            model.
        length (`int`): positions L of the call.
        cache (`Cache`, *optional*): the cache of the call.
        layer (`int`): the mixture's layer in the cache.
        device (`torch.device`): device of the result.

    Returns:
        `torch.Tensor` of `bool` [B or 1, 1, L, S]
    """
    if attention_mask is not None and attention_mask.ndim == 4:
        return attention_mask if attention_mask.dtype == torch.bool else attention_mask == 0
    past, total = 0, length
    if cache is not None:
        past = cache.get_seq_length(layer)
        total, _ = cache.get_mask_sizes(length, layer)
    positions = torch.arange(length, device=device) + past  # [L]
    mask = (torch.arange(total, device=device) <= positions[:, None])[None, None]  # [1, 1, L, S]
    if attention_mask is None:
        return mask
    real = F.pad(attention_mask.to(torch.bool), (0, max(total - attention_mask.shape[-1], 0)))[:, :total]  # [B, S]
    return mask & real[:, None, None]  # [B, 1, L, S]


def additive_mask(attention_mask: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """Turns a boolean mask [B, 1, L, S] into an additive one for eager attention; other masks stay as they are."""
    if attention_mask is None or attention_mask.ndim != 4 or attention_mask.dtype != torch.bool:
        return attention_mask
    scores = torch.zeros(attention_mask.shape, dtype=dtype, device=attention_mask.device)
    return scores.masked_fill(~attention_mask, torch.finfo(dtype).min)


def positions_of_real_tokens(attention_mask: Tensor | None, length: int) -> Tensor | None:
    """Position ids [B, L] that do not count padding, so that padding does not change the outputs of a row."""
    if attention_mask is None or attention_mask.ndim != 2:
        return None
    return (attention_mask.to(torch.long).cumsum(-1) - 1).clamp(min=0)[:, -length:]


__all__ = [
    "Sentences",
    "additive_mask",
    "check_positions",
    "extend_cache",
    "mixing_mask",
    "positions_of_real_tokens",
    "rows_as_sentences",
    "width_in_cache",
]
