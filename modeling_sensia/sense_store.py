"""What a Backpack keeps of each position to mix senses later: its id, the sense network's hidden layer, or the senses.

The senses of a position are K D numbers, so they are kept only where nothing smaller will do. Their last layer is
linear, and so is the mixture: with S[j, k] = W_k h[j] + b_k, the sum over j of C[k, t, j] S[j, k] is W_k applied to
the sum of C[k, t, j] h[j], plus b_k. Keeping h (4 D numbers by default) and mixing it first gives the same output.
With a sense table, the id is enough.

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

#: A cache has one dtype. Digits of this base are exact in all of them, bfloat16 included; ids are not.
_BASE = 256
_NUM_DIGITS = 3


class SenseStore(Protocol):
    """One way to keep positions, as rows [B, S, width] that a cache layer can hold, and to mix their senses."""

    width: int

    def encode(self, input_ids: Tensor, embeddings: Tensor) -> Tensor:
        """Ids [B, L] and embeddings [B, L, D] to what is kept of them [B, L, width]."""
        ...

    def senses(self, kept: Tensor) -> Tensor:
        """Sense vectors [B, K, S, D] of what was kept [B, S, width]."""
        ...

    def mix(self, contextualization: Tensor, kept: Tensor) -> Tensor:
        """Mixture [B, L, D] under weights C [B, K, L, S] of what was kept [B, S, width]."""
        ...


class KeptSenses:
    """Keeps the sense vectors themselves: for training, for adapters, and where K D is small."""

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
    """Keeps the sense network's last hidden layer."""

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
        if length * self.width <= total * self.sense_network.hidden_size:
            return self.sense_network.final_mlp.c_proj(kept, contextualization)
        return mix_senses(contextualization, self.senses(kept))


class KeptIds:
    """Keeps token ids, as digits; their senses are looked up, or computed again where the table is gone."""

    width = _NUM_DIGITS

    def __init__(self, compute: SenseFunction, table: SenseTable | None):
        self.compute, self.table = compute, table

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
        input_ids = (kept.to(torch.long) * powers).sum(-1)  # [B, S]
        if self.table is not None:
            self.table.add_missing(input_ids, self.compute)
        return input_ids


__all__ = ["KeptHidden", "KeptIds", "KeptSenses", "SenseStore"]
