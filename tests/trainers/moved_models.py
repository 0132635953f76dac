"""Models whose weights have moved, as by training."""

import torch


def moved(model):
    """Another model of the same shape, near the given one."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return model
