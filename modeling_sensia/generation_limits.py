"""Ways to generate that a Backpack refuses, because its last cache layer is that of the mixture of senses."""

import torch
from transformers import GenerationConfig

NO_CONTINUOUS_BATCHING = (
    "Continuous batching (`generate_batch`) does not work with a Backpack: its pages hold keys and values of one "
    "width, and the cache layer of the mixture has another. Use `generate` with a padded batch."
)


def refuse_unfit_generation(generation_config: GenerationConfig, device: torch.device):
    """
    Refuses settings of `generate` under which a Backpack would give wrong results or fail late.

    Args:
        generation_config (`GenerationConfig`): the settings.
        device (`torch.device`): where the model is.

    Raises:
        ValueError: for a quantized or paged cache, for one that is offloaded from the CPU, and for early exit.
    """
    kind = generation_config.cache_implementation or ""
    if kind == "quantized":
        raise ValueError(
            '`cache_implementation="quantized"` does not work with a Backpack: its last cache layer may '
            "hold token ids, which quantization would change."
        )
    if kind.startswith("offloaded") and device.type == "cpu":
        raise ValueError(
            f'`cache_implementation="{kind}"` moves the cache from an accelerator to the CPU, where this model is '
            "already. Leave it out."
        )
    if kind == "paged":
        raise ValueError(f'`cache_implementation="paged"` is of continuous batching. {NO_CONTINUOUS_BATCHING}')
    if generation_config.assistant_early_exit is not None:
        raise ValueError(
            "`assistant_early_exit` does not work with a Backpack: it drops the last layers, and the mixture of "
            "senses is the last one. Use `assistant_model` or `prompt_lookup_num_tokens`."
        )


__all__ = ["NO_CONTINUOUS_BATCHING", "refuse_unfit_generation"]
