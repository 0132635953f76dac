"""Weights of 8 or 4 bits, by torchao. Activations and embeddings stay as they are."""

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from .modeling_backpack import BackpackForCausalLM

BITS = (4, 8)


def quantize_weights(model: BackpackForCausalLM, bits: int = 8, group_size: int = 32) -> BackpackForCausalLM:
    """
    Quantizes the weights of all linear layers but the head, which is the embedding. The 8-bit weights of an output
    share a scale, and 4-bit weights share one in groups. torchao has no packed 4-bit weights for the CPU, so they take
    as much memory as those of 8 bits.

    torchao quantizes `nn.Linear` alone, and most layers of a Backpack with a GPT-2 trunk are `Conv1D`, which has its
    weight transposed. They are replaced by linear layers first. Therefore the model cannot be saved any more, and has
    no sense table.

    Args:
        model ([`BackpackForCausalLM`]): the model, in evaluation mode; it is changed in place.
        bits (`int`, *optional*, defaults to 8): 8 or 4.
        group_size (`int`, *optional*, defaults to 32): inputs of a group of 4-bit weights.

    Returns:
        [`BackpackForCausalLM`]: `model`.

    Raises:
        ValueError: for another number of bits, a group that does not divide the inputs of a layer, a model in training
            mode, or without torchao.
    """
    if bits not in BITS:
        raise ValueError(f"`bits` must be 4 or 8, got {bits!r}.")
    if model.training:
        raise ValueError("`quantize_weights` needs a model in evaluation mode: call `eval()` first.")
    try:
        from torchao.quantization import Int8WeightOnlyConfig, IntxWeightOnlyConfig, PerGroup, quantize_
    except ImportError:
        raise ValueError("`quantize_weights` needs torchao: `pip install 'sensia[quantization]'`.") from None
    layers = {name: layer for name, layer in model.backpack.named_modules() if isinstance(layer, Conv1D | nn.Linear)}
    inputs = {name: _inputs(layer) for name, layer in layers.items()}
    for name, width in inputs.items():
        if bits == 4 and width % group_size:
            raise ValueError(
                f"`group_size` must divide the inputs of every layer, got {group_size}; {name} has {width}."
            )
    _use_linear_layers(model.backpack)
    four = torch.int4  # type: ignore[attr-defined]
    config = Int8WeightOnlyConfig() if bits == 8 else IntxWeightOnlyConfig(four, PerGroup(group_size))
    quantize_(model.backpack, config)
    model.backpack.sense_table = None
    model.backpack.precompute_senses = _refuse_table  # type: ignore[method-assign]
    model.save_pretrained = _refuse_saving  # type: ignore[method-assign]
    return model


def _inputs(layer: nn.Module) -> int:
    return layer.nx if isinstance(layer, Conv1D) else layer.in_features  # type: ignore[return-value]


def _use_linear_layers(module: nn.Module):
    for name, child in module.named_children():
        if isinstance(child, Conv1D):
            setattr(module, name, _linear(child))
        else:
            _use_linear_layers(child)


def _linear(layer: Conv1D) -> nn.Linear:
    linear = nn.Linear(layer.nx, layer.nf, device="meta")
    linear.weight = nn.Parameter(layer.weight.detach().T.contiguous(), requires_grad=False)
    linear.bias = nn.Parameter(layer.bias.detach(), requires_grad=False)
    return linear.eval()


def _refuse_saving(*args, **kwargs):
    raise ValueError("A model with quantized weights cannot be saved: quantize it each time that it is loaded.")


def _refuse_table(*args, **kwargs):
    raise ValueError("A model with quantized weights has no sense table: their changes could not be noticed.")


__all__ = ["quantize_weights"]
