"""Forms in which a Backpack caches the senses of a position: token id, hidden layer of the sense network, or senses.

The senses of a position are K D numbers, so they are cached only where no smaller form is possible. The last layer of
the sense network and the mixture are both linear: with S[j, k] = W_k h[j] + b_k, the sum over j of C[k, t, j] S[j, k]
is W_k applied to the sum of C[k, t, j] h[j], plus b_k. So caching h (4 D numbers by default) and mixing it first gives
the same output. With a sense table, the id is enough.

Shapes: B rows, L positions of this call, S positions including the cached past, K senses, D the hidden size.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from .configuration_backpack import BackpackConfig
from .sense_mixing import mix_senses
from .sense_network import BackpackSenseNetwork
from .sense_table import SenseFunction, SenseTable

#: A cache has one dtype, in which large ids would be rounded. Digits of this base are exact in all dtypes, also in
#: bfloat16.
_BASE = 256
_NUM_DIGITS = 3


class SenseStore(Protocol):
    """Base class of the cached forms: encodes positions as [B, S, width] for a cache layer, and mixes their senses."""

    width: int

    def encode(self, input_ids: Tensor, embeddings: Tensor) -> Tensor:
        """Computes the cached form [B, L, width] of ids [B, L] and embeddings [B, L, D]."""
        ...

    def senses(self, kept: Tensor) -> Tensor:
        """Computes sense vectors [B, K, S, D] from the cached form [B, S, width]."""
        ...

    def mix(self, contextualization: Tensor, kept: Tensor) -> Tensor:
        """Computes the mixture [B, L, D] from weights C [B, K, L, S] and the cached form [B, S, width]."""
        ...


class KeptSenses:
    """Caches the sense vectors themselves: for training, for adapters and edits, and where K D is small."""

    def __init__(self, compute: Callable[[Tensor, Tensor], Tensor], config: BackpackConfig):
        self.compute, self.num_senses = compute, config.num_senses
        self.width = config.num_senses * config.hidden_size

    def encode(self, input_ids: Tensor, embeddings: Tensor) -> Tensor:
        return self.compute(input_ids, embeddings).flatten(-2)

    def senses(self, kept: Tensor) -> Tensor:
        return kept.unflatten(-1, (self.num_senses, -1)).transpose(1, 2)

    def mix(self, contextualization: Tensor, kept: Tensor) -> Tensor:
        return mix_senses(contextualization, self.senses(kept))


class KeptHidden:
    """Caches the last hidden layer of the sense network."""

    def __init__(self, sense_network: BackpackSenseNetwork):
        self.sense_network = sense_network
        self.width = sense_network.inner_size

    def encode(self, input_ids: Tensor, embeddings: Tensor) -> Tensor:
        return self.sense_network.last_hidden(embeddings)

    def senses(self, kept: Tensor) -> Tensor:
        senses = self.sense_network.final_mlp.c_proj(kept)  # [B, S, K D]
        return senses.unflatten(-1, (self.sense_network.num_senses, -1)).transpose(1, 2)

    def mix(self, contextualization: Tensor, kept: Tensor) -> Tensor:
        length, total = contextualization.shape[-2:]
        # Mixing h costs width / D times as much as mixing senses, and saves projecting every position to its senses.
        cheaper = length * self.width <= total * self.sense_network.hidden_size
        # An exported graph has one way for all sizes: with a cache, that of decoding.
        if length != total if torch.compiler.is_exporting() else cheaper:
            return self.sense_network.final_mlp.c_proj(kept, contextualization)
        return mix_senses(contextualization, self.senses(kept))


class KeptIds:
    """
    Caches token ids as digits. Senses are read from the table, or computed again if the table was dropped.

    Args:
        compute (function of ids [...] to senses [..., K, D]): the sense network, including the edit.
        table ([`SenseTable`], *optional*): of the senses.
        sense_ids (function of ids [B, S] to ids [B, S], *optional*): gives the ids of words of several tokens, where
            an edit names such words; ids stay as they are by default.
    """

    width = _NUM_DIGITS

    def __init__(self, compute: SenseFunction, table: SenseTable | None, sense_ids: SenseFunction = torch.as_tensor):
        self.compute, self.table, self.sense_ids = compute, table, sense_ids

    def encode(self, input_ids: Tensor, embeddings: Tensor) -> Tensor:
        powers = _BASE ** torch.arange(_NUM_DIGITS, device=input_ids.device)
        return (input_ids[..., None] // powers % _BASE).to(embeddings.dtype)  # [B, L, digits]

    def senses(self, kept: Tensor) -> Tensor:
        input_ids = self._covered_ids(kept)
        senses = self.compute(input_ids) if self.table is None else self.table.lookup(input_ids)  # [B, S, K, D]
        return senses.transpose(1, 2)

    def mix(self, contextualization: Tensor, kept: Tensor) -> Tensor:
        if self.table is not None and contextualization.shape[2] == 1:
            return self.table.mix(contextualization, self._covered_ids(kept))
        return mix_senses(contextualization, self.senses(kept))

    def _covered_ids(self, kept: Tensor) -> Tensor:
        powers = _BASE ** torch.arange(_NUM_DIGITS, device=kept.device)
        input_ids = self.sense_ids((kept.to(torch.long) * powers).sum(-1))  # [B, S]
        if self.table is not None:
            self.table.add_missing(input_ids, self.compute)
        return input_ids


def choose_store(
    kept_width: int | None, ids: KeptIds, senses: KeptSenses | None, hidden: KeptHidden | None
) -> SenseStore:
    """
    Chooses the form of a filled cache by its width, or else the smallest that gives the senses back exactly.

    Args:
        kept_width (`int`, *optional*): numbers that the cache keeps of each position; `None` if it has no position.
        ids ([`KeptIds`]): used for an empty cache if it has a table.
        senses ([`KeptSenses`], *optional*): `None` where an edit names words of several tokens, which only ids tell.
        hidden ([`KeptHidden`], *optional*): `None` where it is not possible, or no smaller than the senses.

    Raises:
        ValueError: if the cache has another width than each of them.
    """
    stores = [store for store in (ids, senses, hidden) if store is not None]  # from the largest but for ids
    if kept_width is None:
        return stores[-1] if ids.table is None else ids
    for store in stores:
        if store.width == kept_width:
            return store
    raise ValueError(
        f"The cache keeps {kept_width} numbers of each position's senses; this model, as it is now, would keep "
        f"{' or '.join(str(store.width) for store in stores)}. It was filled by another model, or before an "
        "adapter, an edit of senses or the training mode was switched on."
    )


__all__ = ["KeptHidden", "KeptIds", "KeptSenses", "SenseStore", "choose_store"]
