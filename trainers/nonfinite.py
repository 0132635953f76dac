"""Steps whose loss or gradient is not finite: the run stops, or skips them."""

import math
from pathlib import Path
from typing import Any

from accelerate.accelerator import Accelerator
from accelerate.utils import DistributedType, gather_object
from torch import Tensor, nn
from transformers.trainer_callback import ExportableState, TrainerCallback, TrainerState
from transformers.utils import logging

from sensia.trainers.sensia_config import SensiaConfig
from sensia.whole_files import write_json_whole

logger = logging.get_logger(__name__)

#: Number of steps skipped in a row after which the run stops. One bad batch is an accident; so many in a row mean that
#: the weights themselves are broken.
MAX_SKIPPED_IN_A_ROW = 10


class SkippedSteps(TrainerCallback, ExportableState):
    """Counts of the steps that were skipped: in the whole run, and in a row. Checkpoints keep both."""

    def __init__(self, total: int = 0, in_a_row: int = 0):
        self.total, self.in_a_row = total, in_a_row

    def state(self) -> dict[str, Any]:
        return {"args": {"total": self.total, "in_a_row": self.in_a_row}, "attributes": {}}

    def restore(self, state: TrainerState):
        """
        Takes the counts of a checkpoint over.

        Args:
            state (`TrainerState`): of the checkpoint.
        """
        kept: dict[str, Any] = dict(state.stateful_callbacks or {})  # type: ignore[arg-type]
        counts = kept.get(type(self).__name__, {}).get("args", {})
        self.total, self.in_a_row = counts.get("total", 0), counts.get("in_a_row", 0)


class NonfiniteSteps:
    """
    Decides about a step whose gradient is not finite, before the optimizer uses it: `on_nonfinite` says whether the
    run stops or the step is skipped.

    Args:
        args ([`SensiaConfig`]): the settings.
        accelerator (`Accelerator`): of the trainer.
    """

    def __init__(self, args: SensiaConfig, accelerator: Accelerator):
        self.args, self.accelerator = args, accelerator
        self.skips = SkippedSteps()

    def logs(self) -> dict[str, float]:
        """`skipped_steps` of the run so far, for the log, where steps may be skipped."""
        return {"skipped_steps": self.skips.total} if self.args.on_nonfinite == "skip" else {}

    def handle(self, model: nn.Module, step: int, norm: float, losses: dict[str, Tensor], rows: list[Tensor]) -> bool:
        """
        Stops the run, or skips the step. The norm is the same on all processes, so all of them decide alike.

        Args:
            model (`nn.Module`): the model. Its gradients are dropped where the step is skipped.
            step (`int`): number of the step, from 1.
            norm (`float`): norm of all gradients of all processes; not finite.
            losses (`dict`): losses of the step on this process.
            rows (`list` of `torch.Tensor` of `int` [rows, 2]): data set and row of each pair of each micro-batch.

        Returns:
            `bool`: whether the step is skipped. float16 scaled up too far is no fault: the scaler skips such a step by
            itself and halves its scale.

        Raises:
            FloatingPointError: if the run stops. A file in `output_dir` names the rows of the step.
        """
        if self._is_overflow():
            self.skips.in_a_row = 0
            return False
        self.skips.in_a_row += 1
        if self.args.on_nonfinite == "stop" or self.skips.in_a_row > MAX_SKIPPED_IN_A_ROW:
            self._stop(step, norm, losses, rows)
        self.skips.total += 1
        for parameter in model.parameters():
            parameter.grad = None  # the optimizer then leaves the weight and its own state alone
        logger.warning(
            f"Step {step} is skipped, the {_ordinal(self.skips.total)} of this run: its gradient is not finite "
            f"({_named_losses(losses)})."
        )
        return True

    def _is_overflow(self) -> bool:
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


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _row(dataset: int, row: int) -> dict[str, int]:
    return {"dataset": dataset, "row": row}


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _named_losses(losses: dict[str, Tensor]) -> str:
    return ", ".join(f"{name} {value.item():.4g}" for name, value in losses.items()) or "no loss was noted"
