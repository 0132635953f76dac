"""Warnings about the goal of a run: senses that collapse, and languages that do not align."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from transformers.trainer_callback import TrainerState
from transformers.utils import logging

from sensia.trainers.sensia_config import SensiaConfig

logger = logging.get_logger(__name__)

_SIDES = ("source", "target")


def warn_of_collapse(logs: Mapping[str, float], step: int, num_senses: int, share: float):
    """
    Warns where one sense takes nearly all weight.

    Args:
        logs (`Mapping`): with `entropy_source` and `entropy_target` in nats.
        step (`int`): for the message.
        num_senses (`int`): number K of senses.
        share (`float`): warn under this share of ln K.
    """
    for side in _SIDES:
        if logs[f"entropy_{side}"] < share * math.log(num_senses):
            logger.warning(
                f"Step {step}: the sense mixture of the {side} side is collapsing: entropy "
                f"{logs[f'entropy_{side}']:.3f} of ln {num_senses} = {math.log(num_senses):.3f}. One sense takes "
                "nearly all weight; a lower learning rate or a higher `tau_pool` may help."
            )


def warn_of_unexpected_entropy(metrics: Mapping[str, float], sets: Iterable[str], step: int, args: SensiaConfig):
    """
    Warns where the mixture of held-out pairs is more or less concentrated than `expected_entropy` says.

    Args:
        metrics (`Mapping`): of [`SensiaTrainer.evaluate`].
        sets (`Iterable` of `str`): the prefix of the metrics of each set.
        step (`int`): for the message.
        args ([`SensiaConfig`]): the settings.
    """
    found = {f"{prefix}_entropy_{side}": metrics.get(f"{prefix}_entropy_{side}") for prefix in sets for side in _SIDES}
    for name, value in _unexpected(found, args.expected_entropy).items():
        logger.warning(
            f"Step {step}: {name} is {value:.3f} nats, which is outside of `expected_entropy` "
            f"{args.expected_entropy}: the senses are mixed in another way than is expected of aligned languages."
        )


def _unexpected(entropies: Mapping[str, float | None], expected: list[float] | None) -> dict[str, float]:
    lowest, highest = expected or (-math.inf, math.inf)
    return {name: each for name, each in entropies.items() if each is not None and not lowest <= each <= highest}


def recall_over_chance(metrics: Mapping[str, float], sizes: Mapping[str, int]) -> float:
    """
    Rates how well held-out translations are found: recall@1 over chance, (recall - 1/n) / (1 - 1/n). 1 is perfect, 0
    is guessing among n pairs, and less than 0, down to -1 / (n - 1), is worse than guessing. It is the mean over sets,
    and over context and sense vectors.

    Args:
        metrics (`Mapping`): of [`SensiaTrainer.evaluate`].
        sizes (`Mapping`): number n of pairs of each set, by the prefix of its metrics.
    """
    scores = [
        (metrics[f"{prefix}_{kind}_recall@1"] - 1 / size) / (1 - 1 / size)
        for prefix, size in sizes.items()
        if size > 1
        for kind in ("context", "sense")
    ]
    return sum(scores) / len(scores) if scores else 1.0


def contrast_over_chance(logs: Mapping[str, float], pairs: int) -> float:
    """
    Rates how well the translations of a training batch are told apart: 1 - InfoNCE / ln B. 1 is perfect, 0 is guessing
    among B pairs, and less than 0, without a lower end, is worse than guessing. This says less than recall: these
    pairs are trained on, and a temperature scales their loss.

    Args:
        logs (`Mapping`): with `loss_ctx` and `loss_sns`.
        pairs (`int`): number B of pairs that are contrasted with each other.
    """
    return 1 - (logs["loss_ctx"] + logs["loss_sns"]) / 2 / math.log(pairs)


#: What a score of alignment means. It has no lower end: a loss may be any number of times that of guessing.
ALIGNMENT_SCALE = "1 is perfect, 0 is guessing, and less than 0 is worse than guessing"

#: Share of a run before which nobody can expect much.
_TIME_TO_ALIGN = 0.2


class AlignmentWatch:
    """
    Judges once, when the first phase that aligns is over, whether the languages have been aligned.

    Args:
        args ([`SensiaConfig`]): `alignment_floor` says when to warn.
        phase_at (`Callable`): step and number of steps -> the name of the phase.
    """

    def __init__(self, args: SensiaConfig, phase_at: Callable[[int, int], str]):
        self.args, self._phase_at = args, phase_at
        schedule = args.phase_schedule()
        self._names, self._aligning = schedule.phase_names, schedule.aligning_phase

    def is_due(self, state: TrainerState, evaluating: bool) -> bool:
        """
        Tells if the run is to be judged now. This is once in a run, resumed or not. It comes after the first phase
        that aligns, or, where the run ends in that phase, after half of the run; but not before a fifth of the run,
        the share that the paper gives to aligning. Training batches are judged only where nothing is evaluated.

        Args:
            state (`TrainerState`): of the trainer.
            evaluating (`bool`): whether this is an evaluation.
        """
        if self._aligning is None:
            return False
        if evaluating == (str(getattr(self.args.eval_strategy, "value", self.args.eval_strategy)) == "no"):
            return False
        if any("alignment" in entry for entry in state.log_history):
            return False
        step, steps = state.global_step, state.max_steps
        if not max(_TIME_TO_ALIGN * steps, 1) <= step <= steps:
            return False
        now, last = self._phase_at(step, steps), self._phase_at(steps, steps)
        if now == last == self._aligning:
            return step >= steps / 2
        return self._names.index(now) > self._names.index(self._aligning)

    def judge(self, score: float, signal: str, state: TrainerState) -> dict[str, float]:
        """
        Warns where the score is under the floor.

        Args:
            score (`float`): 1 for perfect, 0 for guessing, less for worse than guessing.
            signal (`str`): what it was taken from, for the message.
            state (`TrainerState`): of the trainer.

        Returns:
            `dict`: what belongs in the log.
        """
        if score < self.args.alignment_floor:
            logger.warning(
                f"Step {state.global_step}: the languages are not aligned after phase {self._aligning!r}: {signal} "
                f"{score:.3f} ({ALIGNMENT_SCALE}), which is under `alignment_floor` {self.args.alignment_floor}. "
                "Likely reasons: a learning rate that is too low or too high, a wrong language column "
                "(`source_column`, `target_column`), or files whose lines do not belong together."
            )
        return {"alignment": score}


def limits_of_run(history: list[dict[str, Any]], args: SensiaConfig, num_senses: int) -> Iterator[str]:
    """
    Gives what went wrong in a run, in sentences for its card. It reads the log, so an interruption loses nothing.

    Args:
        history (`list` of `dict`): `state.log_history`.
        args ([`SensiaConfig`]): the settings.
        num_senses (`int`): number K of senses; 0 of a dense model.
    """
    skipped = max((entry.get("skipped_steps", 0) for entry in history), default=0)
    if skipped:
        yield f"{skipped:.0f} training steps were skipped, because their gradient was not finite."
    scores = [entry["alignment"] for entry in history if "alignment" in entry]
    if scores and scores[-1] < args.alignment_floor:
        yield (
            "After the first phase of aligning the languages were less aligned than `alignment_floor` "
            f"{args.alignment_floor} asks for: {scores[-1]:.3f} ({ALIGNMENT_SCALE})."
        )
    last: Mapping[str, Any] = next((entry for entry in reversed(history) if _entropies_of_sets(entry)), {})
    for name, value in _unexpected(_entropies_of_sets(last), args.expected_entropy).items():
        yield (
            f"At the end the entropy of the mixture of senses ({name.removeprefix('eval_')}) was {value:.3f} nats, "
            f"outside of the range that was expected of aligned languages, {args.expected_entropy}."
        )
    floor = args.collapse_entropy * math.log(max(num_senses, 1))
    for side in _SIDES:
        entropies = [entry[f"entropy_{side}"] for entry in history if f"entropy_{side}" in entry]
        if entropies and entropies[-1] < floor:
            yield (
                f"The mixture of senses of the {side} side has collapsed: at the end its entropy was "
                f"{entropies[-1]:.3f} of ln {num_senses} = {math.log(num_senses):.3f}: one sense takes nearly all."
            )


def _entropies_of_sets(entry: Mapping[str, Any]) -> dict[str, float]:
    """Entropies of the mixture of each held-out set, in an entry of the log."""
    endings = tuple(f"_entropy_{side}" for side in _SIDES)
    return {name: value for name, value in entry.items() if name.startswith("eval_") and name.endswith(endings)}
