"""The two networks that a Backpack adds to its trunk: embeddings to senses, and hidden states to their weights.

Shapes: B rows, L positions of this call, S positions including the cached past, K senses, D the hidden size.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.activations import ACT2FN, NewGELUActivation
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.pytorch_utils import Conv1D

from .configuration_backpack import BackpackConfig


def fuse_activations(network: PreTrainedModel) -> PreTrainedModel:
    """Replaces GPT-2's `gelu_new` (eight kernels) by one kernel of the same function; they differ by 2.4e-7."""
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, NewGELUActivation):
                setattr(module, name, ACT2FN["gelu_pytorch_tanh"])
    return network


def _activation(name: str) -> Callable[[Tensor], Tensor]:
    # See `fuse_activations`.
    return ACT2FN["gelu_pytorch_tanh" if name == "gelu_new" else name]


class SenseProjection(Conv1D):
    """
    Last layer of the sense network, S = W h + b for all senses at once, with GPT-2's weight orientation [in, out].

    Args:
        num_senses (`int`): number K of senses.
        hidden_size (`int`): width D of a sense vector.
        inner_size (`int`): width of h.
    """

    def __init__(self, num_senses: int, hidden_size: int, inner_size: int):
        super().__init__(num_senses * hidden_size, inner_size)

    def forward(self, hidden: Tensor, contextualization: Tensor | None = None) -> Tensor:
        """
        Args:
            hidden (`torch.Tensor` [B, S, inner]): hidden layer h of the sense network.
            contextualization (`torch.Tensor` [B, K, L, S], *optional*): weights C; if given, return the mixture.

        Returns:
            `torch.Tensor`: the senses [B, S, K D], or their mixture [B, L, D].
        """
        if contextualization is None:
            return super().forward(hidden)
        rows, num_senses, length, _ = contextualization.shape
        mixed = contextualization.flatten(1, 2) @ hidden  # [B, K L, inner]
        mixed = mixed.unflatten(1, (num_senses, length)).transpose(0, 1).flatten(1, 2)  # [K, B L, inner]
        weight = self.weight.unflatten(1, (num_senses, -1)).transpose(0, 1)  # [K, inner, D]
        totals = contextualization.sum(-1).permute(0, 2, 1)  # [B, L, K], ones if each row of C sums to 1
        bias = totals @ self.bias.unflatten(0, (num_senses, -1))  # [B, L, D]
        return torch.bmm(mixed, weight).sum(0).unflatten(0, (rows, length)) + bias  # [B, L, D]


class BackpackSenseMLP(nn.Module):
    """Two layers with GPT-2's weight orientation [in, out], as in public checkpoints."""

    def __init__(self, config: BackpackConfig, inner_size: int, projection: Conv1D):
        super().__init__()
        self.c_fc = Conv1D(inner_size, config.hidden_size)
        self.c_proj = projection
        self.activation = _activation(config.sense_activation)
        self.dropout = nn.Dropout(config.sense_dropout)

    def hidden(self, inputs: Tensor) -> Tensor:
        return self.activation(self.c_fc(inputs))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.dropout(self.c_proj(self.hidden(inputs)))


class BackpackSenseBlock(nn.Module):
    """First block of the sense network. Its residual adds the embedding to the embedding's layer norm."""

    def __init__(self, config: BackpackConfig):
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_epsilon)
        self.ln_2 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_epsilon)
        inner_size = 4 * config.hidden_size
        self.mlp = BackpackSenseMLP(config, inner_size, Conv1D(config.hidden_size, inner_size))
        self.dropout = nn.Dropout(config.sense_dropout)

    def forward(self, normed: Tensor, residual: Tensor) -> Tensor:
        # Public checkpoints were trained with this order, including a second dropout after that of the MLP.
        residual = self.dropout(normed) + residual
        return self.ln_2(self.dropout(self.mlp(self.ln_1(residual))) + residual)


class BackpackSenseNetwork(GradientCheckpointingLayer):
    """Network from word embeddings to sense vectors, for each token without context (arXiv 2305.16765, section 3)."""

    def __init__(self, config: BackpackConfig):
        super().__init__()
        self.num_senses, self.hidden_size = config.num_senses, config.hidden_size
        self.inner_size = config.sense_intermediate_scale * config.hidden_size
        self.dropout = nn.Dropout(config.sense_dropout)
        self.ln = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_epsilon)
        self.block = BackpackSenseBlock(config)
        projection = SenseProjection(config.num_senses, config.hidden_size, self.inner_size)
        self.final_mlp = BackpackSenseMLP(config, self.inner_size, projection)

    @classmethod
    def weight_names(cls) -> set[str]:
        """Names of the network's weights, as they are without adapters."""
        norms, linears = ("ln", "block.ln_1", "block.ln_2"), ("block.mlp", "final_mlp")
        layers = (*norms, *(f"{mlp}.{layer}" for mlp in linears for layer in ("c_fc", "c_proj")))
        return {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}

    def last_hidden(self, embeddings: Tensor) -> Tensor:
        """Computes the last hidden layer [..., inner] from embeddings [..., D]; the senses are linear in it."""
        return self.final_mlp.hidden(self._block_output(embeddings))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Computes sense vectors [..., K D] from embeddings [..., D]."""
        return self.final_mlp(self._block_output(embeddings))

    def _block_output(self, embeddings: Tensor) -> Tensor:
        residual = self.dropout(embeddings)  # [..., D]
        return self.block(self.ln(residual), residual)


class BackpackWeightNetwork(nn.Module):
    """Network from the trunk's hidden states to one query and one key per sense, each of width D // K."""

    def __init__(self, config: BackpackConfig):
        super().__init__()
        self.c_attn = nn.Linear(config.hidden_size, 2 * config.num_senses * (config.hidden_size // config.num_senses))

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        queries, keys = self.c_attn(states).chunk(2, -1)  # [B, L, K (D // K)] each
        return queries, keys


__all__ = ["BackpackSenseNetwork", "BackpackWeightNetwork", "SenseProjection", "fuse_activations"]
