"""The end of each phase of the `adaptive` curriculum: held-out recall has stopped rising."""

from collections.abc import Mapping, Sequence
from typing import Any

from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState, TrainerState
from transformers.utils import logging

from sensia.trainers.schedule import PHASES
from sensia.trainers.sensia_config import SensiaConfig

logger = logging.get_logger(__name__)

_RECALLS = ("context_recall@1", "sense_recall@1")
# A bound is a share times the steps of the run: a step this close to it has reached it.
_TOLERANCE = 1e-9


class AdaptivePhases(TrainerCallback, ExportableState):
    """
    Ends align and joint when held-out recall has stopped rising.

    After each evaluation the recall, the mean of context and sense recall@1 over all evaluation sets, is compared with
    the best of the phase. The phase ends at the evaluation that is the `patience`-th in a row without a rise by more
    than `min_delta`, and no earlier than the shortest bound; at the longest bound it ends in any case. Polish has the
    rest. All processes see the same metrics, so all decide alike. The state lies in the checkpoint.

    Args:
        patience (`int`, *optional*, defaults to 2): evaluations without a rise that end a phase.
        min_delta (`float`, *optional*, defaults to 0.005): a rise by no more than this is none.
        bounds (`Sequence` of 2 `float`, *optional*, defaults to `(0.05, 0.4)`): shortest and longest share of all
            steps that a phase takes.

    Attributes:
        ends (`list[int]`): how many steps were done when align and joint ended, as far as they have.
    """

    def __init__(self, patience: int = 2, min_delta: float = 0.005, bounds: Sequence[float] = (0.05, 0.4)):
        self.patience, self.min_delta, self.bounds = patience, min_delta, tuple(bounds)
        self.ends: list[int] = []
        self.best: float | None = None
        self.waited = 0
        self._known_step = 0

    @classmethod
    def from_config(cls, config: SensiaConfig, eval_dataset: Any) -> "AdaptivePhases":
        """
        The callback that a configuration asks for.

        Args:
            config ([`SensiaConfig`]): with `schedule` adaptive.
            eval_dataset (`datasets.Dataset` or `dict` of them, *optional*): the trainer's.

        Raises:
            ValueError: if there is nothing to evaluate on.
        """
        if not eval_dataset:
            raise ValueError(
                "`schedule` adaptive ends phases by held-out recall: it needs an evaluation set, got none."
            )
        return cls(config.adaptive_patience, config.adaptive_min_delta, config.adaptive_bounds)

    def state(self) -> dict[str, Any]:
        return {
            "args": {"patience": self.patience, "min_delta": self.min_delta, "bounds": list(self.bounds)},
            "attributes": {"ends": list(self.ends), "best": self.best, "waited": self.waited},
        }

    def restore(self, state: TrainerState):
        """
        Goes on from where a checkpoint was; from the beginning at step 0.

        Args:
            state (`TrainerState`): the state of the run.

        Raises:
            ValueError: if the checkpoint is of a run with another curriculum.
        """
        self.ends, self.best, self.waited = [], None, 0
        self._known_step = state.global_step
        if state.global_step == 0:
            return
        # transformers restores callbacks only when told (`restore_callback_states_from_checkpoint`).
        states: dict[str, Any] = dict(state.stateful_callbacks or {})  # type: ignore[arg-type]
        if type(self).__name__ not in states:
            raise ValueError(
                f"`schedule` adaptive cannot go on from step {state.global_step} of a run that had another schedule: "
                "its checkpoint does not say where phases ended."
            )
        kept = states[type(self).__name__]["attributes"]
        self.ends, self.best, self.waited = list(kept["ends"]), kept["best"], kept["waited"]

    def on_train_begin(self, args, state, control, **kwargs):
        self.restore(state)

    def on_step_end(self, args, state, control, **kwargs):
        if self._may_end(state) and self._taken(state) >= self.bounds[1] - _TOLERANCE:
            self._end(state, "it has taken its longest share", best=None)

    def on_evaluate(self, args, state, control, metrics: Mapping[str, float] | None = None, **kwargs):
        recalls = [value for name, value in (metrics or {}).items() if _is_recall(name)]
        # Not counted twice: nor the evaluation with which a resumed run starts, which the interrupted one had not.
        known = state.global_step == self._known_step > 0
        if not recalls or known:
            return
        self._known_step = state.global_step
        recall = sum(recalls) / len(recalls)
        if self.best is None or recall > self.best + self.min_delta:
            self.best, self.waited = recall, 0
            return
        self.waited += 1
        if self.waited >= self.patience and self._may_end(state) and self._taken(state) >= self.bounds[0] - _TOLERANCE:
            self._end(state, f"held-out recall, now {recall:.3f}, has stopped rising", best=recall)

    def _may_end(self, state: TrainerState) -> bool:
        """Tells if a phase could end here: it has steps, others follow, and it is not the last."""
        start = self.ends[-1] if self.ends else 0
        return start < state.global_step < state.max_steps and len(self.ends) < len(PHASES) - 1

    def _taken(self, state: TrainerState) -> float:
        """The share of all steps that the phase under way has taken."""
        return (state.global_step - (self.ends[-1] if self.ends else 0)) / state.max_steps

    def _end(self, state: TrainerState, reason: str, best: float | None):
        logger.info(f"Step {state.global_step}: {PHASES[len(self.ends)]} ends, because {reason}.")
        self.ends, self.best, self.waited = [*self.ends, state.global_step], best, 0


def _is_recall(metric: str) -> bool:
    return metric.startswith("eval_") and metric.endswith(_RECALLS)
