"""What watches a run: numbers that are not finite, senses that collapse, languages that do not align."""

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate.accelerator import Accelerator
from accelerate.utils import DistributedType, gather_object
from sensia.trainers.sensia_config import SensiaConfig
from torch import Tensor, nn
from transformers.trainer_callback import ExportableState, TrainerCallback, TrainerState
from transformers.utils import logging

logger = logging.get_logger(__name__)

#: So many steps without an update in a row are no accident of a batch: the weights themselves must be broken.
MAX_SKIPPED_IN_A_ROW = 10


class SkippedSteps(TrainerCallback, ExportableState):
    """Counts the steps that were skipped, of the run so far and in a row; checkpoints keep both."""

    def __init__(self, total: int = 0, in_a_row: int = 0):
        self.total, self.in_a_row = total, in_a_row

    def state(self) -> dict[str, Any]:
        return {"args": {"total": self.total, "in_a_row": self.in_a_row}, "attributes": {}}

    def restore(self, state: TrainerState):
        """
        Args:
            state (`TrainerState`): of a checkpoint.
        """
        kept: dict[str, Any] = dict(state.stateful_callbacks or {})  # type: ignore[arg-type]
        counts = kept.get(type(self).__name__, {}).get("args", {})
        self.total, self.in_a_row = counts.get("total", 0), counts.get("in_a_row", 0)


class StepWatch:
    """
    Sees each optimizer step before it reaches the weights, and stops the run or skips the step where its gradient or
    loss is not finite.

    Args:
        args ([`SensiaConfig`]): `on_nonfinite` says what to do.
        accelerator (`Accelerator`): of the trainer.
    """

    def __init__(self, args: SensiaConfig, accelerator: Accelerator):
        self.args, self.accelerator = args, accelerator
        self.skips = SkippedSteps()
        self._rows_of_step: list[Tensor] = []
        self._losses_of_step: list[dict[str, Tensor]] = []

    def note_rows(self, row_numbers: Tensor | None):
        """
        Args:
            row_numbers (`torch.Tensor` [rows, 2], *optional*): data set and row of each pair of a micro-batch.
        """
        if row_numbers is not None:
            self._rows_of_step.append(row_numbers)

    @property
    def skipped_steps(self) -> int:
        """`int`: steps of the run so far that were skipped."""
        return self.skips.total

    def resume(self, state: TrainerState):
        """
        Args:
            state (`TrainerState`): of the checkpoint that the run goes on from.
        """
        self.skips.restore(state)

    def logs(self) -> dict[str, float]:
        """What belongs in the log: `skipped_steps` of the run so far, where steps may be skipped."""
        return {"skipped_steps": self.skipped_steps} if self.args.on_nonfinite == "skip" else {}

    def note_losses(self, **losses: Tensor):
        """
        Args:
            losses (`torch.Tensor`): scalars of a micro-batch by name; they sum to those of the step.
        """
        self._losses_of_step.append({name: value.detach() for name, value in losses.items()})

    def end_step(self, model: nn.Module, grad_norm: Tensor | float | None, step: int) -> dict[str, Tensor] | None:
        """
        Judges a step whose gradients are reduced, and not yet used. The norm is the same on all processes, so all
        decide alike.

        Args:
            model (`nn.Module`): whose gradients are dropped where the step is skipped.
            grad_norm (`torch.Tensor` or `float`, *optional*): norm of all gradients, on all processes.
            step (`int`): number of the step, from 1.

        Returns:
            `dict`, *optional*: the losses of the step on this process; `None` for a step that is skipped.

        Raises:
            FloatingPointError: if the run is to stop; a file in `output_dir` says more.
        """
        rows, losses = self._rows_of_step, _summed(self._losses_of_step)
        self._rows_of_step, self._losses_of_step = [], []
        # The only value that a step reads from the device; the processor waits here until the gradients are there.
        norm = 0.0 if grad_norm is None else float(grad_norm)
        if math.isfinite(norm) or self._is_overflow():
            self.skips.in_a_row = 0
            return losses
        self.skips.in_a_row += 1
        if self.args.on_nonfinite == "stop" or self.skips.in_a_row > MAX_SKIPPED_IN_A_ROW:
            self._stop(step, norm, losses, rows)
        self.skips.total += 1
        for parameter in model.parameters():
            parameter.grad = None  # so the optimizer leaves the weight and its own state alone
        logger.warning(
            f"Step {step} is skipped, the {_ordinal(self.skipped_steps)} of this run: its gradient is not finite "
            f"({_named_losses(losses)})."
        )
        return None

    def _is_overflow(self) -> bool:
        """Whether float16 was scaled up too far: the scaler then skips the step and halves its scale by itself."""
        return self.accelerator.scaler is not None and self.accelerator.scaler.get_scale() > 1

    def _stop(self, step: int, norm: float, losses: dict[str, Tensor], rows: list[Tensor]):
        here = {
            "process": self.accelerator.process_index,
            "losses": {name: _plain(value.item()) for name, value in losses.items()},
            "rows": [_row(*numbers) for part in rows for numbers in part.tolist()],
        }
        processes = gather_object([here])
        found = sorted({name for each in processes for name, value in each["losses"].items() if value is None})
        what = f"the gradient and {', '.join(found)}" if found else "the gradient"
        path = Path(str(self.args.output_dir), f"nonfinite-step-{step}.json")
        report = {"step": step, "not_finite": ["gradient", *found], "grad_norm": _plain(norm), "processes": processes}
        if self.accelerator.is_main_process:
            write_json_whole(path, report)
        self.accelerator.wait_for_everyone()
        again = f" {MAX_SKIPPED_IN_A_ROW} steps before it were skipped." if self.skips.in_a_row > 1 else ""
        # DeepSpeed steps within the backward pass.
        by_deepspeed = self.accelerator.distributed_type == DistributedType.DEEPSPEED
        untouched = "" if by_deepspeed else " The weights were not touched by it."
        raise FloatingPointError(
            f"Step {step}: {what} is not finite.{again}{untouched} {path} names the rows of "
            "the data that the step saw: look at them, lower `learning_rate`, or set `on_nonfinite: skip` to go on "
            "without such steps. The last checkpoint is as good as it was."
        )


def spread_nonfinite(loss: Tensor) -> Tensor:
    """
    The loss itself, whose gradient is NaN where the loss is not finite. Some infinite losses have a finite gradient;
    so all processes see them in the gradient's norm, without asking each other.

    Args:
        loss (`torch.Tensor`): scalar.
    """
    return loss * torch.where(loss.detach().isfinite(), 1.0, math.nan).to(loss.dtype)


def _summed(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: sum((part[name] for part in parts[1:]), parts[0][name]) for name in (parts[0] if parts else ())}


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _row(dataset: int, row: int) -> dict[str, int]:
    return {"dataset": dataset, "row": row}


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _named_losses(losses: dict[str, Tensor]) -> str:
    return ", ".join(f"{name} {value.item():.4g}" for name, value in losses.items()) or "no loss was noted"


def write_json_whole(path: Path, content: Mapping[str, Any]):
    """
    Writes a JSON file so that it is there whole or not at all.

    Args:
        path (`Path`): the file; its folder is made where it does not exist.
        content (`Mapping`): JSON values, all finite.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.tmp")
    unfinished.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(unfinished, path)


def warn_of_collapse(logs: Mapping[str, float], step: int, num_senses: int, share: float):
    """
    Warns where one sense takes nearly all weight.

    Args:
        logs (`Mapping`): with `entropy_source` and `entropy_target` in nats.
        step (`int`): for the message.
        num_senses (`int`): number K of senses.
        share (`float`): warn under this share of ln K.
    """
    for side in ("source", "target"):
        if logs[f"entropy_{side}"] < share * math.log(num_senses):
            logger.warning(
                f"Step {step}: the sense mixture of the {side} side is collapsing: entropy "
                f"{logs[f'entropy_{side}']:.3f} of ln {num_senses} = {math.log(num_senses):.3f}. One sense takes "
                "nearly all weight; a lower learning rate or a higher `tau_pool` may help."
            )


def recall_over_chance(metrics: Mapping[str, float], sizes: Mapping[str, int]) -> float:
    """
    How far held-out translations are found: 0 where they are guessed, which succeeds once in n, and 1 where all are
    found, and less than 0, down to -1 / (n - 1), where it is worse than guessing. The mean over sets, and over context
    and sense vectors.

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
    How far the translations of a training batch are told apart: 0 where InfoNCE is that of guessing among B pairs,
    ln B, 1 where it is 0, and less than 0, without an end, where it is more than ln B. Weaker than recall: these pairs
    are trained on, and a temperature scales their loss.

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
        Whether to judge now: not before the first phase that aligns is over, or half of a run that ends in it, and not
        before a fifth of a run, which is what the paper gives to aligning; never twice in a run, resumed or not; and
        by training batches only where nothing is evaluated on the way.

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
    What went wrong in a run, in sentences for its card; from the log, so that nothing is lost by an interruption.

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
            f"After the first phase of aligning the languages were hardly aligned: {scores[-1]:.3f} "
            f"({ALIGNMENT_SCALE})."
        )
    floor = args.collapse_entropy * math.log(max(num_senses, 1))
    for side in ("source", "target"):
        entropies = [entry[f"entropy_{side}"] for entry in history if f"entropy_{side}" in entry]
        if entropies and entropies[-1] < floor:
            yield (
                f"The mixture of senses of the {side} side has collapsed: at the end its entropy was "
                f"{entropies[-1]:.3f} of ln {num_senses} = {math.log(num_senses):.3f}: one sense takes nearly all."
            )
