"""Muon for the matrices of a model, AdamW for the rest, behind one optimizer that a Trainer can drive."""

from typing import Any

from torch import nn
from torch.optim import AdamW, Muon, Optimizer

from sensia.trainers.parameter_groups import decaying_parameter_names


class MuonAdamW(Optimizer):
    """
    Two optimizers of torch as one: Muon updates the matrices inside the layers, AdamW everything else.

    Muon (Jordan et al., 2024) makes each update of a matrix orthogonal, so that all its directions move equally far.
    Embeddings, biases and norms have no such directions. Muon's steps are scaled to AdamW's usual size (Liu et al.,
    arXiv 2502.16982), so that one learning rate serves both.

    Args:
        model (`nn.Module`): the model; what does not require gradients is left alone.
        lr (`float`): peak learning rate of both.
        weight_decay (`float`): of the matrices; embeddings, biases and norms do not decay.
        betas (`tuple` of 2 `float`), eps (`float`): AdamW's.
        fused (`bool`, *optional*, defaults to `False`): AdamW in one kernel.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        lr: float,
        weight_decay: float,
        betas: tuple[float, float],
        eps: float,
        fused: bool = False,
    ):
        decaying = set(decaying_parameter_names(model))
        trained = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
        matrices = [weight for name, weight in trained if name in decaying and weight.ndim == 2]
        others = [weight for name, weight in trained if name not in decaying or weight.ndim != 2]
        muon = Muon(matrices, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
        adamw = AdamW(others, lr=lr, weight_decay=0.0, betas=betas, eps=eps, fused=fused)
        self.parts: tuple[Optimizer, ...] = (muon, adamw)
        super().__init__([group for part in self.parts for group in part.param_groups], {})
        self._share_groups()

    def _share_groups(self):
        # A schedule changes the learning rate here; the parts read it there.
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def step(self, closure=None):
        """Updates all parameters; a closure is not supported."""
        if closure is not None:
            raise ValueError("`MuonAdamW` takes no closure.")
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """The state of both parts, in order."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]):
        """Takes what [`MuonAdamW.state_dict`] gave."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._share_groups()
