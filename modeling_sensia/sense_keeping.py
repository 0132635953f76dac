"""Senses that are computed once and kept: for the whole vocabulary in a table, or for the positions of a cache.

Shapes: B rows, L positions, K senses, D the hidden size, V tokens.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .sense_network import BackpackSenseNetwork, SenseProjection
from .sense_store import KeptHidden, KeptIds, KeptSenses, SenseStore, choose_store
from .sense_table import SenseEdit, SenseTable, build_table
from .sense_words import SenseWords


def _is_plain(weight: Tensor) -> bool:
    # `torch.export` puts tensors of its own in the places of the parameters.
    return type(weight) is nn.Parameter or torch.compiler.is_exporting()


class SenseKeepingMixin:
    """What [`BackpackModel`] does to read its senses by token id, and to keep them."""

    config: Any  # a `BackpackConfig`
    training: bool
    get_input_embeddings: Callable[[], nn.Module]
    _compute_senses: Callable[..., Tensor]
    _sense_ids: Callable[[Tensor], Tensor]
    sense_network: BackpackSenseNetwork
    sense_table: SenseTable | None
    sense_edit: SenseEdit | None
    sense_words: SenseWords | None  # of several tokens, that the edit names

    def get_senses(self, input_ids: Tensor) -> Tensor:
        """
        Computes the sense vectors of tokens, which do not depend on context.

        Args:
            input_ids (`torch.Tensor` of `int` [B, L]): token ids.

        Returns:
            `torch.Tensor` [B, K, L, D]
        """
        return self._compute_senses(self._sense_ids(input_ids)).transpose(1, 2)

    def precompute_senses(
        self, token_ids: Iterable[int] | None = None, path: str | Path | None = None, chunk_size: int = 1024
    ) -> Tensor:
        """
        Computes a table of the sense vectors of the vocabulary, which inference then reads.

        Results do not change. The table is used while gradients are off. It is dropped by `train()` and by changes of
        the embeddings or the sense network, and is not saved with the model. It takes V K D numbers (1.24 GB for
        50,264 tokens of 16 senses of 768 two-byte numbers).

        Args:
            token_ids (iterable of `int`, *optional*): tokens to compute, for example those of one language, where a
                table of all is too large. Token ids do not change. Senses of other tokens are computed when they first
                occur and are added to the table.
            path (`str` or `Path`, *optional*): safetensors file for the table. It is memory-mapped, and reused by
                later processes with the same weights and tokens.
            chunk_size (`int`, *optional*, defaults to 1024): tokens computed at a time.

        Returns:
            `torch.Tensor` [V, K, D], or as many rows as there are distinct `token_ids`, in ascending order. Words of
            several tokens that an active edit names have further rows.

        Raises:
            ValueError: in training mode, with unmerged adapters of the senses, without weights in memory, if a token
                is not in the vocabulary, or if `path` is not a sense table.
        """
        weights = self._sense_weights()
        if not self.can_precompute_senses:
            raise ValueError(
                "`precompute_senses` needs a model in evaluation mode (`eval()`) with its weights in memory, and "
                "adapters of the senses merged (`merge_and_unload()`)."
            )
        device = next(iter(weights.values())).device
        more = 0 if self.sense_words is None else self.sense_words.num_ids - self.config.vocab_size
        with torch.inference_mode(False), torch.no_grad(), torch.autocast(device.type, enabled=False):
            self.sense_table = build_table(
                self._compute_senses, weights, self.config, token_ids, path, chunk_size, self.sense_edit, more
            )
        return self.sense_table.rows

    @property
    def can_precompute_senses(self) -> bool:
        """`bool`: true in evaluation mode, with weights in memory and without adapters of the senses."""
        meta = any(weight.is_meta for weight in self._sense_weights().values())
        return not (self.training or meta or self._has_adapters())

    def _sense_weights(self) -> dict[str, Tensor]:
        modules = {"embeddings": self.get_input_embeddings(), "sense_network": self.sense_network}
        return {f"{name}.{n}": weight for name, module in modules.items() for n, weight in module.named_parameters()}

    def _has_adapters(self) -> bool:
        # An adapter wraps a layer in another module, so the names of the layer's weights become longer.
        plain = BackpackSenseNetwork.weight_names() | {"weight"}
        modules = (self.sense_network, self.get_input_embeddings())
        return any(name not in plain for module in modules for name, _ in module.named_parameters())

    def _usable_table(self, look_at_values: bool) -> SenseTable | None:
        table = self.sense_table
        if table is None or table.edit is not self.sense_edit:
            return None
        weights = self._sense_weights()
        if torch.is_grad_enabled() and any(weight.requires_grad for weight in weights.values()):
            return None
        if torch.compiler.is_compiling():
            # A compiled graph cannot compare weights or add rows to a table; this is done before, at the prompt.
            return None if look_at_values or table.row_of is not None else table
        if table.watch.changed(weights, look_at_values):
            self.sense_table = None
        return self.sense_table

    def _sense_store(self, kept_width: int | None, is_prompt: bool) -> SenseStore:
        """The form in which this call stores positions: that of the given cache, else the smallest."""
        table = self._usable_table(look_at_values=is_prompt or kept_width is None)
        ids = KeptIds(self._compute_senses, table, self._sense_ids)
        if self.sense_words is not None:  # no other form tells which tokens stand before a position
            return choose_store(kept_width, ids, None, None)
        senses, hidden = KeptSenses(self._compute_senses, self.config), KeptHidden(self.sense_network)
        # Dropout and edits apply to the senses themselves. Hidden layers cannot be mixed if the projection has an
        # adapter, or if its weight is sharded until the sense network's forward.
        projection = self.sense_network.final_mlp.c_proj
        projects = isinstance(projection, SenseProjection) and _is_plain(projection.weight)
        can_be_hidden = projects and not self.training and self.sense_edit is None and hidden.width < senses.width
        return choose_store(kept_width, ids, senses, hidden if can_be_hidden else None)


__all__ = ["SenseKeepingMixin"]
