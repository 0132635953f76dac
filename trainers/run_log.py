"""Printing while a run trains: a line for each log, a table for each evaluation, a line when a phase begins."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from transformers import TrainerCallback

LOG_FORMATS = ("text", "json")
_LOSSES = {
    "loss_ctx": "ctx",
    "loss_sns": "sns",
    "loss_lm": "lm",
    "loss_kl": "kl",
    "loss_words": "words",
    "loss": "loss",
}


class RunLog(TrainerCallback):
    """
    Prints the logs of a run, on the main process of each machine that the Trainer lets print.

    Args:
        log_format (`str`): `"text"` for people, `"json"` for one object a line.
        phases (`Sequence[str]`): names of the curriculum's phases, by their number in the logs.
        pairs_per_step (`int`): pairs of a step, over all processes.
        file (`TextIO`, *optional*, defaults to standard output): where to print.
    """

    def __init__(self, log_format: str, phases: Sequence[str], pairs_per_step: int, file: TextIO | None = None):
        self.log_format, self.phases, self.pairs_per_step = log_format, phases, pairs_per_step
        self.file = file
        self._phase: int | None = None
        self._last = (0, 0.0)  # step and seconds of the last log

    def on_log(self, args, state, control, logs=None, **kwargs):
        if not state.is_local_process_zero or not logs:
            return
        if self.log_format == "json":
            values = {name: None if _is_not_finite(value) else value for name, value in logs.items()}
            self._print(json.dumps({"step": state.global_step, **values}, allow_nan=False))
        elif "loss" in logs:
            self._print_step(logs, state.global_step, state.max_steps)
        elif any(name.startswith("eval_") for name in logs):
            self._print_evaluation(logs, state.global_step)

    def on_step_begin(self, args, state, control, **kwargs):
        if self._last == (0, 0.0) and state.global_step:  # resumed
            seconds = next((each["seconds"] for each in reversed(state.log_history) if "seconds" in each), 0.0)
            self._last = (state.global_step, seconds)

    def _print(self, text: str):
        print(text, file=self.file or sys.stdout, flush=True)

    def _print_step(self, logs: Mapping[str, Any], step: int, max_steps: int):
        phase = logs.get("phase")
        if phase is not None and phase != self._phase:
            self._phase = phase
            self._print(f"phase {self.phases[phase]!r} begins (weights {_weights(logs)})")
        told = [f"step {step:>{len(str(max_steps))}}/{max_steps}"]
        names = [name for name in _LOSSES if name in logs]
        told += [f"{_LOSSES[name]} {logs[name]:6.3f}" for name in names if name != "loss" or len(names) == 1]
        told.append(f"lr {logs.get('learning_rate', 0.0):.1e}")
        told.append(self._speed(step, max_steps, logs.get("seconds", 0.0)))
        if "checkpoint_seconds" in logs:
            stood, written = logs["checkpoint_seconds"], logs["checkpoint_write_seconds"]
            told.append(f"checkpoint {stood:.1f} s, {written:.1f} s beside the steps")
        self._print("  ".join(told))

    def _speed(self, step: int, max_steps: int, seconds: float) -> str:
        steps, passed = step - self._last[0], seconds - self._last[1]
        self._last = (step, seconds)
        if steps <= 0 or passed <= 0:
            return ""
        return (
            f"{self.pairs_per_step * steps / passed:6.1f} pairs/s  {_clock((max_steps - step) * passed / steps)} left"
        )

    def _print_evaluation(self, logs: Mapping[str, Any], step: int):
        rows = evaluation_rows(logs)
        if not rows:
            return
        columns = list(dict.fromkeys(name for metrics in rows.values() for name in metrics))
        table = Table(title=f"evaluation at step {step}", title_justify="left")
        table.add_column("set")
        for column in columns:
            table.add_column(column, justify="right")
        for name, metrics in rows.items():
            table.add_row(name, *(f"{metrics[column]:.3f}" if column in metrics else "" for column in columns))
        Console(file=self.file or sys.stdout, markup=False, highlight=False).print(table)


#: Metrics of an evaluation that are shown, and what heads their column.
_SHOWN = {
    "context_recall@1": "recall@1 context",
    "sense_recall@1": "recall@1 sense",
    "bits_per_byte": "bits/byte",
    "source_bits_per_byte": "bits/byte, source",
}


def evaluation_rows(logs: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """
    The metrics that are shown of each evaluation set.

    Args:
        logs (`Mapping`): what the Trainer logs, such as `eval_dev_sense_recall@1`.

    Returns:
        `dict`: by set, metrics by heading.
    """
    rows: dict[str, dict[str, float]] = {}
    for name in logs:
        # The longest metric that the name ends with: `source_bits_per_byte` ends with another one.
        metric = max((each for each in _SHOWN if name.endswith(f"_{each}")), key=len, default=None)
        if metric is not None and name.startswith("eval_"):
            of_set = name.removeprefix("eval_").removesuffix(metric).rstrip("_") or "all"
            rows.setdefault(of_set, {})[_SHOWN[metric]] = logs[name]
    return rows


def _weights(logs: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {logs[f'weight_{name}']:.2f}" for name in ("ctx", "sns", "lm") if f"weight_{name}" in logs
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _is_not_finite(value: Any) -> bool:
    """Tells if a value cannot be written in JSON. The loss of a skipped step is NaN."""
    return isinstance(value, float) and not math.isfinite(value)
