"""A Backpack around a pretrained decoder, which becomes its trunk."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

import torch
from transformers import AutoConfig, AutoModel, GenerationConfig
from transformers.utils import logging

from .configuration_backpack import BackpackConfig, refuse_backpack
from .sense_network import fuse_activations

logger = logging.get_logger(__name__)

Backpack = TypeVar("Backpack")
#: Arguments of `from_pretrained` that locate a configuration.
_HUB_ARGUMENTS = ("revision", "token", "cache_dir", "local_files_only", "force_download", "subfolder")


def wrap_decoder(
    backpack_class: Callable[[BackpackConfig], Backpack],
    decoder: str | Path,
    sense_settings: dict[str, Any],
    **kwargs: Any,
) -> Backpack:
    """
    Makes a Backpack whose trunk is a pretrained decoder and whose sense networks are random.

    Args:
        backpack_class (`Callable`): [`BackpackForCausalLM`] or a subclass.
        decoder (`str` or `Path`): folder or Hub id of a full-attention causal decoder.
        sense_settings (`dict`): settings of [`BackpackConfig`] besides the trunk's.
        kwargs: passed to the decoder's `from_pretrained`.

    Raises:
        ValueError: if the decoder cannot be a trunk, or weights are missing.
    """
    refused = {"device_map", "output_loading_info"} & kwargs.keys()
    if refused:
        raise ValueError(f"`from_trunk` takes no {' or '.join(sorted(refused))}: save the Backpack and load that.")
    where = {name: kwargs[name] for name in _HUB_ARGUMENTS if name in kwargs}
    refuse_backpack(decoder, **where)
    config = BackpackConfig(trunk_config=AutoConfig.from_pretrained(decoder, **where), **sense_settings)
    if not config.trunk_config.tie_word_embeddings:
        logger.warning("The trunk's own language model head is dropped: a Backpack's head is its word embeddings.")
    trunk, info = AutoModel.from_pretrained(decoder, output_loading_info=True, **kwargs)
    if info["missing_keys"]:
        raise ValueError(f"{decoder} lacks weights of its decoder: {sorted(info['missing_keys'])}.")
    config.trunk_config = trunk.config
    config._attn_implementation = trunk.config._attn_implementation
    with torch.device("meta"):  # avoids memory for a second, random trunk
        model: Any = backpack_class(config)
    model.backpack.trunk = fuse_activations(trunk)
    for network in (model.backpack.sense_network, model.backpack.weight_network):
        network.to_empty(device=trunk.device).to(trunk.dtype).apply(model._init_weights)
    model.tie_weights()
    with suppress(OSError):  # a decoder may have no generation configuration
        model.generation_config = GenerationConfig.from_pretrained(decoder, **where)
    return model.eval()


class DecoderWrappingMixin:
    """A Backpack that can be made from a pretrained decoder."""

    @classmethod
    def from_trunk(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        num_senses: int = 16,
        sense_intermediate_scale: int = 4,
        sense_dropout: float = 0.1,
        **kwargs,
    ) -> Self:
        """
        Makes a Backpack from a pretrained decoder. Its sense networks are random; train them with
        `examples/pretrain.py`.

        The decoder's weights become the trunk's. The head is tied to its word embeddings; a separate head is dropped.

        Args:
            pretrained_model_name_or_path (`str` or `Path`): folder or Hub id of a full-attention causal decoder.
            num_senses (`int`, *optional*, defaults to 16): number K of senses.
            sense_intermediate_scale (`int`, *optional*, defaults to 4): see [`BackpackConfig`].
            sense_dropout (`float`, *optional*, defaults to 0.1): see [`BackpackConfig`].
            kwargs: passed to the decoder's `from_pretrained`, such as `dtype`, `revision` or `token`.

        Raises:
            ValueError: if the decoder cannot be a trunk, or weights are missing.
        """
        return wrap_decoder(
            cls,
            pretrained_model_name_or_path,
            {
                "num_senses": num_senses,
                "sense_intermediate_scale": sense_intermediate_scale,
                "sense_dropout": sense_dropout,
            },
            **kwargs,
        )


__all__ = ["DecoderWrappingMixin", "wrap_decoder"]
