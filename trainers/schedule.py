"""SENSIA's curricula: which loss counts how much, and at what temperature, at each step. Pure arithmetic."""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

from sensia.trainers.suggestions import did_you_mean

PHASES = ("align", "joint", "polish")
#: Each curriculum, and the settings that mean nothing to it.
SCHEDULES: dict[str, tuple[str, ...]] = {
    "phased": ("phases",),
    "stepwise": ("phases",),
    "cosine": ("align_share", "joint_share", "joint_weights", "phases"),
    "adaptive": ("align_share", "joint_share", "phases"),
    "fade": ("align_share", "joint_share", "align_weights", "joint_weights", "polish_weights", "phases"),
    "constant": ("align_share", "joint_share", "align_weights", "polish_weights", "phases"),
    "custom": ("align_share", "joint_share", "align_weights", "joint_weights", "polish_weights"),
}
# Shares are sums of decimal fractions: a step this close to where a phase ends is there.
_TOLERANCE = 1e-9


class Weights(NamedTuple):
    """Weights of the context InfoNCE, the sense InfoNCE and the language model loss."""

    ctx: float
    sns: float
    lm: float

    def normalized(self) -> "Weights":
        total = sum(self)
        return Weights(*(weight / total for weight in self))


@dataclass(frozen=True)
class Phase:
    """
    One stretch of a curriculum.

    Args:
        name (`str`): what logs and the card call it.
        share (`float`): share of all steps that it takes, in [0, 1].
        weights (`tuple` of 3 `float`): weights (context, sense, language model) when it starts.
        end_weights (`tuple` of 3 `float`, *optional*): where they move within the phase, by half-cosine; they stay
            put without it.
        freeze (`bool`, *optional*, defaults to `False`): whether what `polish_freeze` names is frozen in it.

    Raises:
        ValueError: naming the setting that is out of range.
    """

    name: str
    share: float
    weights: tuple[float, ...]
    end_weights: tuple[float, ...] | None = None
    freeze: bool = False

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name.strip():
            raise ValueError(f"`name` of a phase must be a text that is not empty, got {self.name!r}.")
        of_phase = f" of phase {self.name!r}"
        _check_share(f"`share`{of_phase}", self.share)
        _check_weights(f"`weights`{of_phase}", self.weights)
        if self.end_weights is not None:
            _check_weights(f"`end_weights`{of_phase}", self.end_weights)
        if not isinstance(self.freeze, bool):
            raise ValueError(f"`freeze`{of_phase} must be true or false, got {self.freeze!r}.")

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "Phase":
        """
        A phase as a settings file writes it.

        Args:
            settings (`Mapping`): the arguments of [`Phase`] by name.

        Raises:
            ValueError: naming the key that is unknown, missing or wrong.
        """
        if not isinstance(settings, Mapping):
            raise ValueError(f"Each of `phases` must hold `name: value` settings, got {settings!r}.")
        known = {field.name: field.default for field in fields(cls)}
        for key in settings:
            if key not in known:
                raise ValueError(f"`phases`: unknown setting `{key}` of a phase.{did_you_mean(str(key), known)}")
        missing = [key for key, default in known.items() if default is MISSING and key not in settings]
        if missing:
            raise ValueError(f"`phases`: a phase needs `{missing[0]}`, got {dict(settings)}.")
        given: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()
        }
        return cls(**given)


@dataclass(frozen=True)
class PhasePoint:
    """
    Weights, temperatures and phase of one step.

    Args:
        w_ctx, w_sns, w_lm (`float`): loss weights, which sum to 1; of `constant`, as they were given.
        tau_ctx, tau_sns (`float`): InfoNCE temperatures.
        phase (`str`): the name of the phase, one of [`PhaseSchedule.phase_names`].
        freeze (`bool`): whether what `polish_freeze` names is frozen.
    """

    w_ctx: float
    w_sns: float
    w_lm: float
    tau_ctx: float
    tau_sns: float
    phase: str
    freeze: bool


@dataclass(frozen=True)
class PhaseSchedule:
    """
    The curriculum of SENSIA (arXiv 2601.10310): align, joint, polish, which freezes; and others for comparison.

    `phased` moves by half-cosine from `align_weights` to `joint_weights` during align, from there to `polish_weights`
    during joint, and stays. `stepwise` holds each vector through its phase. `cosine` is one half-cosine from
    `align_weights` to `polish_weights` over the whole run, without phases, and freezes nothing. `adaptive` holds each
    vector as `stepwise` does, but is told where align and joint ended. `fade` aligns for a tenth of the run and then
    moves to the language model loss alone; `constant` keeps `joint_weights` for the whole run and freezes
    nothing. Both are no part of the paper (docs/first_base.md has the evidence of `fade`). `custom` takes `phases`.
    Weights are divided by their sum at every step, except by `constant`, whose InfoNCE terms are added to the language
    model loss: (0.05, 0.05, 1). The step on which the first phase ends is that phase's; later phases begin where the
    one before them ends.

    Args:
        name (`str`, *optional*, defaults to `"phased"`): `"phased"`, `"stepwise"`, `"cosine"`, `"adaptive"`,
            `"fade"`, `"constant"` or `"custom"`.
        align_share (`float`, *optional*, defaults to 0.2): share of all steps that align takes.
        joint_share (`float`, *optional*, defaults to 0.3): share that joint takes; polish has the rest.
        align_weights, joint_weights, polish_weights (`tuple` of 3 `float`): weights (context, sense, language model)
            at the start of each phase.
        tau_ctx (`float`, *optional*, defaults to 0.07): temperature of the context InfoNCE.
        tau_sns (`float`, *optional*, defaults to 0.05): temperature of the sense InfoNCE.
        tau_ctx_end, tau_sns_end (`float`, *optional*): where they move during the first phase, by half-cosine
            (`cosine`: over the whole run; `adaptive`: at once, when align ends); they stay put without it.
        phases (`tuple` of [`Phase`], *optional*): the phases of `custom`, whose shares sum to 1.

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
    phases: tuple[Phase, ...] = ()

    def __post_init__(self):
        if self.name not in SCHEDULES:
            raise ValueError(f"`schedule` must be one of {', '.join(SCHEDULES)}, got {self.name!r}.")
        for name in ("align_share", "joint_share"):
            _check_share(f"`{name}`", getattr(self, name))
        if self.align_share + self.joint_share > 1:
            raise ValueError(
                f"`align_share` + `joint_share` must not exceed 1, got {self.align_share} + {self.joint_share}."
            )
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_weights"):
                _check_weights(f"`{field.name}`", value)
            elif field.name.startswith("tau_") and value is not None and not 0 < value < math.inf:
                raise ValueError(f"`{field.name}` must be a positive temperature, got {value}.")
        self._check_phases()

    @property
    def phase_names(self) -> tuple[str, ...]:
        """`tuple` of `str`: the phases in order; logs name them by their place here."""
        return tuple(phase.name for phase in self._curriculum)

    @property
    def aligning_phase(self) -> str | None:
        """`str`, *optional*: the first phase that gives an InfoNCE term weight."""
        for phase in self._curriculum:
            if any(w_ctx or w_sns for w_ctx, w_sns, _ in (phase.weights, phase.end_weights or phase.weights)):
                return phase.name
        return None

    @property
    def contrasts(self) -> bool:
        """`bool`: whether any phase gives an InfoNCE term weight."""
        return self.aligning_phase is not None

    @property
    def freezes(self) -> bool:
        """`bool`: whether any phase freezes what `polish_freeze` names."""
        return any(phase.freeze for phase in self._curriculum)

    def at(self, step: int, max_steps: int, ended: Sequence[int] = ()) -> PhasePoint:
        """
        The weights, temperatures and phase of a step.

        Args:
            step (`int`): optimizer steps done, from 0.
            max_steps (`int`): optimizer steps of the whole run, at least 1.
            ended (`Sequence[int]`, *optional*, defaults to none): of `adaptive`, how many steps were done when align
                and joint ended, as far as they have.

        Returns:
            [`PhasePoint`]
        """
        if max_steps < 1 or not 0 <= step <= max_steps:
            raise ValueError(f"Expected 0 <= step <= max_steps with max_steps >= 1, got {step} of {max_steps}.")
        self._check_ended(ended)
        index, within = self._locate(step, max_steps, ended)
        phase = self._curriculum[index]
        end_weights = phase.weights if phase.end_weights is None else phase.end_weights
        weights = Weights(*(_ease(a, b, within) for a, b in zip(phase.weights, end_weights, strict=True)))
        if self.name != "constant":
            weights = weights.normalized()
        opened = within if index == 0 else 1.0
        return PhasePoint(
            w_ctx=weights.ctx,
            w_sns=weights.sns,
            w_lm=weights.lm,
            tau_ctx=_ease(self.tau_ctx, self.tau_ctx if self.tau_ctx_end is None else self.tau_ctx_end, opened),
            tau_sns=_ease(self.tau_sns, self.tau_sns if self.tau_sns_end is None else self.tau_sns_end, opened),
            phase=phase.name,
            freeze=phase.freeze,
        )

    def spans(self, max_steps: int, ended: Sequence[int] = ()) -> list[tuple[str, int, int]]:
        """
        Lists the first and the last step of each phase.

        Args:
            max_steps, ended: as in [`PhaseSchedule.at`].

        Returns:
            `list` of `tuple`: (name, first step, last step), steps counted from 0 as in `at`; a phase that has no
            step is left out.
        """
        self._check_ended(ended)
        names = self.phase_names
        steps, places = range(max_steps), range(len(names) + 1)
        starts = [
            bisect_left(steps, place, key=lambda step: self._locate(step, max_steps, ended)[0]) for place in places
        ]
        spans = zip(names, pairwise(starts), strict=True)
        return [(name, start, following - 1) for name, (start, following) in spans if start < following]

    @cached_property
    def _curriculum(self) -> tuple[Phase, ...]:
        if self.name == "custom":
            return self.phases
        if self.name == "fade":
            middle = (0.3, 0.3, 0.4)
            return (
                Phase("align", 0.1, (0.45, 0.55, 0.02), middle),
                Phase("fade", 0.9, middle, (0.0, 0.0, 1.0)),
            )
        if self.name == "constant":
            return (Phase("constant", 1.0, self.joint_weights),)
        if self.name == "cosine":
            return (Phase("cosine", 1.0, self.align_weights, self.polish_weights),)
        moves = self.name == "phased"
        polish_share = max(1 - self.align_share - self.joint_share, 0.0)
        return (
            Phase("align", self.align_share, self.align_weights, self.joint_weights if moves else None),
            Phase("joint", self.joint_share, self.joint_weights, self.polish_weights if moves else None),
            Phase("polish", polish_share, self.polish_weights, freeze=True),
        )

    def _locate(self, step: int, max_steps: int, ended: Sequence[int]) -> tuple[int, float]:
        """The place of the phase that a step lies in, and how far into the phase that is, in [0, 1]."""
        if self.name == "adaptive":
            return sum(end <= step for end in ended), 0.0
        progress, start, phases = step / max_steps, 0.0, self._curriculum
        for index, phase in enumerate(phases[:-1]):
            end = start + phase.share
            inside = progress < end - _TOLERANCE if index else progress <= end + _TOLERANCE
            if inside and phase.share > 0:
                return index, min((progress - start) / phase.share, 1.0)
            start = end
        share = 1 - start
        return len(phases) - 1, min(max(progress - start, 0.0) / share, 1.0) if share > _TOLERANCE else 0.0

    def _check_phases(self):
        if self.name != "custom":
            if self.phases:
                raise ValueError(f"`phases` belong to `schedule` custom, got them with {self.name}.")
            return
        if not self.phases:
            raise ValueError("`schedule` custom needs `phases`, got none.")
        names = self.phase_names
        if len(set(names)) < len(names):
            raise ValueError(f"The names of `phases` must differ, got {', '.join(names)}.")
        total = sum(phase.share for phase in self.phases)
        if not math.isclose(total, 1, abs_tol=1e-6):
            shares = " + ".join(str(phase.share) for phase in self.phases)
            raise ValueError(f"Each `share` of `phases` is one of the whole run: they must sum to 1, got {shares}.")

    def _check_ended(self, ended: Sequence[int]):
        if ended and self.name != "adaptive":
            raise ValueError(f"`ended` belongs to `schedule` adaptive, got {list(ended)} with {self.name}.")
        if len(ended) >= len(PHASES) or list(ended) != sorted(ended):
            raise ValueError(f"`ended` must be at most two steps in order (align, joint), got {list(ended)}.")


def _ease(start: float, end: float, within: float) -> float:
    """Half a cosine from `start` at 0 to `end` at 1."""
    return start if start == end else start + (end - start) * (1 - math.cos(math.pi * within)) / 2


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_share(name: str, share: Any):
    if not _is_number(share) or not 0 <= share <= 1:
        raise ValueError(f"{name} must lie in [0, 1], got {share!r}.")


def _check_weights(name: str, weights: Any):
    if (
        not isinstance(weights, Sequence)
        or len(weights) != 3
        or not all(_is_number(weight) and 0 <= weight < math.inf for weight in weights)
        or sum(weights) == 0
    ):
        raise ValueError(
            f"{name} must be three finite weights (context, sense, language model), none negative and not all 0, got "
            f"{weights!r}."
        )
