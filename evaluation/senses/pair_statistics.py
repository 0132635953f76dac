"""Shared parts of the statistics over word pairs: input checks, cross-validation, intervals and chance levels."""

from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike

Senses: TypeAlias = ArrayLike | torch.Tensor
RESAMPLES = 1000  # of the bootstrap


def aligned_arrays(source: Senses, target: Senses, shuffles: int, senses: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Checks both sides and returns them as float arrays [N, K, D]."""
    left, right = _array(source), _array(target)
    if left.ndim != 3 or left.shape != right.shape or len(left) < 2 or left.shape[1] < senses:
        raise ValueError(
            f"Expected two [N, K, D] tensors of one shape with at least 2 pairs and {senses} senses, "
            f"got {list(left.shape)} and {list(right.shape)}."
        )
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        raise ValueError("Senses have to be finite, got NaN or infinity.")
    if shuffles < 1:
        raise ValueError(f"The baseline needs at least 1 shuffle, got {shuffles}.")
    return left, right


def _array(senses: Senses) -> np.ndarray:
    tensor = torch.as_tensor(senses).detach()
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32)).cpu().numpy()


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scales vectors to length 1 along the last axis; zero vectors stay zero."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(norms > 0, norms, 1)


def cut_parts(pairs: int, folds: int, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Indices of the fitted and the held-out pairs of each fold."""
    if folds < 2 or pairs < 2 * folds:
        raise ValueError(f"Expected at least 2 folds of at least 2 pairs each, got {folds} folds of {pairs} pairs.")
    order = rng.permutation(pairs)
    return [(np.setdiff1d(order, part), part) for part in np.array_split(order, folds)]


def summarize(values: np.ndarray, null: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    """Mean over pairs, its bootstrap interval, and its p-value and gap against shuffled pairs."""
    size, estimate = len(values), float(values.mean())
    means = [values[rng.integers(0, size, size)].mean() for _ in range(RESAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return {
        "estimate": estimate,
        "ci_low": float(low),
        "ci_high": float(high),
        "baseline": float(null.mean()),
        "gap": estimate - float(null.mean()),
        "pairs": size,
        "p_value": float((1 + (null >= estimate).sum()) / (1 + len(null))),
    }
