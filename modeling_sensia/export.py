"""Export of a Backpack by `torch.export` and to ONNX: one step of generation, with the cache as inputs and outputs.

Shapes: B rows, L positions of a step, S cached positions, V tokens.
"""

import os
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from .modeling_backpack import BackpackForCausalLM

#: Keys and values of each layer of the cache; the mixture of senses is the last layer.
Past = list[tuple[Tensor, Tensor]]
#: Sizes of the example that is traced: rows, cached positions and new ones. None is 1, and no two are equal, because
#: equal numbers would be taken for one size.
_ROWS, _PAST, _NEW = 2, 5, 3


class CachedStep(nn.Module):
    """
    One step of generation as a function of tensors.

    Args:
        model ([`BackpackForCausalLM`]): the model, in evaluation mode.
    """

    def __init__(self, model: BackpackForCausalLM):
        super().__init__()
        self.model = model
        self.eval()

    def forward(self, input_ids: Tensor, attention_mask: Tensor, past: Past) -> tuple[Tensor, Past]:
        """
        Args:
            input_ids (`torch.Tensor` of `int` [B, L]): new tokens.
            attention_mask (`torch.Tensor` of `int` [B, S + L]): 1 for real tokens, 0 for padding.
            past (`list` of `tuple` of `torch.Tensor` [B, heads, S, width]): keys and values of each layer.

        Returns:
            `tuple`: logits [B, L, V], and the keys and values with the new positions.
        """
        cache = DynamicCache()
        for layer, (keys, values) in enumerate(past):
            cache.update(keys, values, layer)
        outputs = self.model(input_ids=input_ids, attention_mask=attention_mask, past_key_values=cache, use_cache=True)
        return outputs.logits, [(layer.keys, layer.values) for layer in outputs.past_key_values.layers]


def empty_past(model: BackpackForCausalLM, rows: int = 1) -> Past:
    """
    The cache before the first step, S = 0.

    Args:
        model ([`BackpackForCausalLM`]): the model.
        rows (`int`, *optional*, defaults to 1): rows B.
    """
    return [(keys[:, :, :0], values[:, :, :0]) for keys, values in _past(model, rows, 1)]


def input_names(model: BackpackForCausalLM) -> list[str]:
    """
    Names of the inputs of an exported model, in order.

    Args:
        model ([`BackpackForCausalLM`]): the model.
    """
    return ["input_ids", "attention_mask", *_cache_names("past", model)]


def export_step(model: BackpackForCausalLM) -> torch.export.ExportedProgram:
    """
    Traces [`CachedStep`] with `torch.export`. The numbers of rows, of new positions and of cached ones may vary. There
    is at least one of each, and there are at least 4 positions in all.

    The cache has the form of this model as it is now, so drop a sense table and edits of senses before.

    Args:
        model ([`BackpackForCausalLM`]): the model, in evaluation mode.

    Returns:
        `torch.export.ExportedProgram`: its module is called as [`CachedStep`] is.

    Raises:
        ValueError: in training mode, or with a sense table or an edit of senses.
    """
    arguments, sizes = _example(model)
    return torch.export.export(CachedStep(model), arguments, dynamic_shapes=sizes, strict=False)


def export_onnx(model: BackpackForCausalLM, path: str | Path):
    """
    Writes a model as ONNX: the forward of one step, with sizes B, L and S that may vary. Its inputs are those of
    [`CachedStep.forward`], named as [`input_names`] says; its outputs are `logits` and `present.0.key` and so on. A
    first step has a cache of 0 positions ([`empty_past`]).

    The cache has the form of this model as it is now, so drop a sense table and edits of senses before. Needs `onnx`
    and `onnxscript`. If this fails, no file is left at `path`.

    Args:
        model ([`BackpackForCausalLM`]): the model, in evaluation mode.
        path (`str` or `Path`): the file, of at most 2 GB.

    Raises:
        ValueError: in training mode, with a sense table or an edit of senses, or if a library is missing.
    """
    arguments, sizes = _example(model)
    try:
        import onnxscript  # noqa: F401
    except ImportError:
        raise ValueError("`export_onnx` needs more libraries: `pip install 'sensia[onnx]'`.") from None
    program = torch.onnx.export(
        CachedStep(model),
        arguments,
        dynamic_shapes=sizes,
        input_names=input_names(model),
        output_names=["logits", *_cache_names("present", model)],
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        program.save(unfinished, external_data=False)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _example(model: BackpackForCausalLM) -> tuple[tuple[Tensor, Tensor, Past], tuple]:
    """Arguments of [`CachedStep`] that are traced, and which of their sizes may vary."""
    backpack = model.base_model
    if model.training:
        raise ValueError("An export needs a model in evaluation mode: call `eval()` first.")
    if backpack.sense_table is not None or backpack.sense_edit is not None:
        raise ValueError("An export needs a model without a sense table and without edits of senses.")
    ids = torch.ones(_ROWS, _NEW, dtype=torch.long, device=model.device)
    mask = torch.ones(_ROWS, _PAST + _NEW, dtype=torch.long, device=model.device)
    past = _past(model, _ROWS, _PAST)
    free = torch.export.Dim.DYNAMIC
    layers = [({0: free, 2: free}, {0: free, 2: free}) for _ in past]
    return (ids, mask, past), ({0: free, 1: free}, {0: free, 1: free}, layers)


def _cache_names(prefix: str, model: BackpackForCausalLM) -> list[str]:
    return [f"{prefix}.{layer}.{part}" for layer in range(model.config.num_hidden_layers) for part in ("key", "value")]


@torch.no_grad()
def _past(model: BackpackForCausalLM, rows: int, positions: int) -> Past:
    ids = torch.ones(rows, positions, dtype=torch.long, device=model.device)
    return [(layer.keys, layer.values) for layer in model(ids, use_cache=True).past_key_values.layers]


__all__ = ["CachedStep", "Past", "empty_past", "export_onnx", "export_step", "input_names"]
