"""Contrastive losses of a batch that is too large for one forward (gradient caching; Gao et al., arXiv 2101.06983).

All sentences are encoded without a graph, in micro-batches. The losses of the whole batch give a gradient for every
sentence vector. Then each micro-batch is encoded again, with a graph and the same random numbers, and its vectors pass
their gradients on: the gradient of the parameters is that of the whole batch, in the memory of a micro-batch.
"""

from collections.abc import Callable

import torch

#: Context and sense InfoNCE of stacked context vectors [2 B, D] and sense vectors [2 B, D], sources first.
Contrast = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


class RandomState:
    """
    The state of the random number generators that a forward draws from, to draw the same again.

    Args:
        device (`torch.device`): where the forward runs.
    """

    def __init__(self, device: torch.device):
        self.device = device
        self.cpu = torch.get_rng_state()
        self.accelerator = None
        if device.type != "cpu":
            self.accelerator = torch.get_device_module(device).get_rng_state(device)

    def restore(self):
        torch.set_rng_state(self.cpu)
        if self.accelerator is not None:
            torch.get_device_module(self.device).set_rng_state(self.accelerator, self.device)


class ContrastiveCache:
    """
    Sentence vectors of all micro-batches of one optimizer step, with the gradient of each vector.

    Args:
        vectors (`list` of `tuple`): of each micro-batch its context vectors [2 B, D] and its sense vectors [2 B, D],
            sources first, without graph.
        states (`list` of [`RandomState`]): before the forward of each micro-batch.
        contrast (`Callable`): the two losses of the joined vectors.
        weights (`tuple` of `float`): weights of the two losses.
    """

    def __init__(
        self,
        vectors: list[tuple[torch.Tensor, torch.Tensor]],
        states: list[RandomState],
        contrast: Contrast,
        weights: tuple[float, float],
    ):
        sizes = [len(context) // 2 for context, _ in vectors]
        joined = [_join(kind).requires_grad_() for kind in zip(*vectors, strict=True)]  # [2 B', D] each
        losses = contrast(*joined)
        weighted = weights[0] * losses[0] + weights[1] * losses[1]
        gradients = [_cut(gradient, sizes) for gradient in torch.autograd.grad(weighted, joined)]
        self.losses = losses[0].detach(), losses[1].detach()
        self.weighted = weighted.detach()
        self._waiting = list(zip(states, *gradients, strict=True))[::-1]
        self._share = 1 / len(sizes)

    def restore_random_state(self):
        """Lets the next micro-batch draw the random numbers that it drew the first time."""
        self._waiting[-1][0].restore()

    def replay(self, context: torch.Tensor, sense: torch.Tensor) -> torch.Tensor:
        """
        The next micro-batch's part of the weighted losses, with their gradient.

        Args:
            context, sense (`torch.Tensor` [2 B, D]): its vectors, with graph.

        Returns:
            `torch.Tensor`: scalar; the parts of all micro-batches sum to the losses of the whole batch.
        """
        _, for_context, for_sense = self._waiting.pop()
        passed_on = (context * for_context).sum() + (sense * for_sense).sum()
        return passed_on - passed_on.detach() + self._share * self.weighted


def _join(stacked: tuple[torch.Tensor, ...]) -> torch.Tensor:
    sources, targets = zip(*(rows.chunk(2) for rows in stacked), strict=True)
    return torch.cat([*sources, *targets])  # [2 B', D]


def _cut(gradient: torch.Tensor, sizes: list[int]) -> list[torch.Tensor]:
    sources, targets = (side.split(sizes) for side in gradient.chunk(2))
    return [torch.cat(sides) for sides in zip(sources, targets, strict=True)]
