"""The language modelling loss: cross-entropy of the next token.

Shapes: N predicted tokens, V tokens of the vocabulary.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def language_model_losses(
    logits: Tensor, labels: Tensor, label_smoothing: float = 0.0, num_items: Tensor | int | None = None
) -> tuple[Tensor, Tensor]:
    """
    Cross-entropy of tokens with and without label smoothing, from one pass over the logits.

    Args:
        logits (`torch.Tensor` [N, V]): scores of the token that `labels` names.
        labels (`torch.Tensor` [N]): token ids; -100 is left out.
        label_smoothing (`float`, *optional*, defaults to 0): share of the target spread evenly over the vocabulary.
        num_items (`int`, *optional*): divisor of the sum, 1 if it is 0; defaults to the number of labels here.

    Returns:
        `tuple` of `torch.Tensor`: smoothed and plain loss in nats, scalars.
    """
    log_probabilities = F.log_softmax(logits, -1, dtype=torch.promote_types(logits.dtype, torch.float32))  # [N, V]
    divisor = torch.as_tensor((labels != -100).sum() if num_items is None else num_items).clamp(min=1)
    plain = F.nll_loss(log_probabilities, labels, ignore_index=-100, reduction="sum") / divisor
    if label_smoothing == 0:
        return plain, plain.detach()
    uniform = -log_probabilities.mean(-1).masked_fill(labels == -100, 0.0).sum() / divisor
    return (1 - label_smoothing) * plain + label_smoothing * uniform, plain.detach()


__all__ = ["language_model_losses"]
