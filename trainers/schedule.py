"""SENSIA's curriculum: which loss counts how much, and at what temperature, at each step. Pure arithmetic."""

import math
from dataclasses import dataclass, fields
from typing import NamedTuple

PHASES = ("align", "joint", "polish")
SCHEDULES = ("phased", "stepwise")


class Weights(NamedTuple):
    """Weights of the context InfoNCE, the sense InfoNCE and the language model loss."""

    ctx: float
    sns: float
    lm: float

    def normalized(self) -> "Weights":
        total = sum(self)
        return Weights(*(weight / total for weight in self))


@dataclass(frozen=True)
class PhasePoint:
    """
    What holds at one step.

    Args:
        w_ctx, w_sns, w_lm (`float`): loss weights, which sum to 1.
        tau_ctx, tau_sns (`float`): InfoNCE temperatures.
        phase (`str`): `"align"`, `"joint"` or `"polish"`.
    """

    w_ctx: float
    w_sns: float
    w_lm: float
    tau_ctx: float
    tau_sns: float
    phase: str


@dataclass(frozen=True)
class PhaseSchedule:
    """
    The three-phase curriculum of SENSIA (arXiv 2601.10310): align, joint, polish.

    `phased` moves by half-cosine from `align_weights` to `joint_weights` during align, from there to `polish_weights`
    during joint, and stays. `stepwise` holds each vector through its phase. Weights are normalised at every step.

    Args:
        name (`str`, *optional*, defaults to `"phased"`): `"phased"` or `"stepwise"`.
        align_share (`float`, *optional*, defaults to 0.2): share of all steps that align takes.
        joint_share (`float`, *optional*, defaults to 0.3): share that joint takes; polish has the rest.
        align_weights, joint_weights, polish_weights (`tuple` of 3 `float`): weights (context, sense, language model)
            at the start of each phase.
        tau_ctx (`float`, *optional*, defaults to 0.07): temperature of the context InfoNCE.
        tau_sns (`float`, *optional*, defaults to 0.05): temperature of the sense InfoNCE.
        tau_ctx_end, tau_sns_end (`float`, *optional*): where they move during align, by half-cosine; they stay put
            without it.

    Raises:
        ValueError: naming the setting that is out of range.
    """

    name: str = "phased"
    align_share: float = 0.2
    joint_share: float = 0.3
    align_weights: tuple[float, ...] = (0.45, 0.55, 0.02)
    joint_weights: tuple[float, ...] = (0.40, 0.40, 0.20)
    polish_weights: tuple[float, ...] = (0.15, 0.15, 0.70)
    tau_ctx: float = 0.07
    tau_sns: float = 0.05
    tau_ctx_end: float | None = None
    tau_sns_end: float | None = None

    def __post_init__(self):
        if self.name not in SCHEDULES:
            raise ValueError(f"`schedule` must be one of {', '.join(SCHEDULES)}, got {self.name!r}.")
        _check_shares(self.align_share, self.joint_share)
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_weights"):
                _check_weights(field.name, value)
            elif field.name.startswith("tau_") and value is not None and not 0 < value < math.inf:
                raise ValueError(f"`{field.name}` must be a positive temperature, got {value}.")

    def at(self, step: int, max_steps: int) -> PhasePoint:
        """
        The weights, temperatures and phase of a step.

        Args:
            step (`int`): optimizer steps done, from 0.
            max_steps (`int`): optimizer steps of the whole run, at least 1.

        Returns:
            [`PhasePoint`]
        """
        if max_steps < 1 or not 0 <= step <= max_steps:
            raise ValueError(f"Expected 0 <= step <= max_steps with max_steps >= 1, got {step} of {max_steps}.")
        phase, within = self._locate(step / max_steps)
        start = {"align": self.align_weights, "joint": self.joint_weights, "polish": self.polish_weights}
        weights = Weights(*start[phase])
        if self.name == "phased" and phase != "polish":
            following = start[PHASES[PHASES.index(phase) + 1]]
            weights = Weights(*(_ease(a, b, within) for a, b in zip(weights, following, strict=True)))
        weights = weights.normalized()
        aligned = within if phase == "align" else 1.0
        return PhasePoint(
            w_ctx=weights.ctx,
            w_sns=weights.sns,
            w_lm=weights.lm,
            tau_ctx=_ease(self.tau_ctx, self.tau_ctx if self.tau_ctx_end is None else self.tau_ctx_end, aligned),
            tau_sns=_ease(self.tau_sns, self.tau_sns if self.tau_sns_end is None else self.tau_sns_end, aligned),
            phase=phase,
        )

    def _locate(self, progress: float) -> tuple[str, float]:
        """The phase at a progress in [0, 1], and how far into the phase that is, in [0, 1]."""
        joint_end = self.align_share + self.joint_share
        if progress <= self.align_share and self.align_share > 0:
            return "align", progress / self.align_share
        if progress < joint_end:
            return "joint", (progress - self.align_share) / self.joint_share
        return "polish", 0.0


def _ease(start: float, end: float, within: float) -> float:
    """Half a cosine from `start` at 0 to `end` at 1."""
    return start if start == end else start + (end - start) * (1 - math.cos(math.pi * within)) / 2


def _check_shares(align_share: float, joint_share: float):
    for name, share in (("align_share", align_share), ("joint_share", joint_share)):
        if not 0 <= share <= 1:
            raise ValueError(f"`{name}` must lie in [0, 1], got {share}.")
    if align_share + joint_share > 1:
        raise ValueError(f"`align_share` + `joint_share` must not exceed 1, got {align_share} + {joint_share}.")


def _check_weights(name: str, weights: tuple[float, ...]):
    if len(weights) != 3 or not all(0 <= weight < math.inf for weight in weights) or sum(weights) == 0:
        raise ValueError(
            f"`{name}` must be three finite weights (context, sense, language model), not all 0, got {weights}."
        )
