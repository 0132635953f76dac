"""The report of gpu.py: each result is written at once, as JSON and as one page."""

import json
import os
import platform
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import torch
from gpu_setup import Setup

Row = Mapping[str, Any]
PACKAGES = ("torch", "transformers", "accelerate", "peft", "datasets", "deepspeed", "flash-attn")


class Found(NamedTuple):
    """
    The result of a check.

    Args:
        message (`str`): one line.
        passed (`bool`, *optional*): `None` where something was measured and nothing is right or wrong.
        rows (`Sequence` of `Mapping`, *optional*): a table; the first row's keys are its columns.
    """

    message: str
    passed: bool | None = None
    rows: Sequence[Row] = ()


class NotRun(Exception):
    """A check cannot run here; says why."""


Check = Callable[[Setup], Found]


class Report:
    """
    Results, and the files that show them.

    Args:
        folder (`Path`): for gpu.json and gpu.md.
        command (`str`): what was typed.
        device (`torch.device`): where the checks run.
    """

    def __init__(self, folder: Path, command: str, device: torch.device):
        folder.mkdir(parents=True, exist_ok=True)
        self.data, self.page = folder / "gpu.json", folder / "gpu.md"
        self.machine = describe_machine(device) | {"command": command}
        self.results: list[dict[str, Any]] = []
        self._write()

    def add(self, section: str, name: str, status: str, seconds: float, message: str, rows: Sequence[Row] = ()):
        """Adds a result whose `status` is passed, failed, measured or not run, and writes both files anew."""
        result = {"section": section, "name": name, "status": status, "seconds": round(seconds, 2)}
        self.results.append(result | {"message": message, "rows": [dict(row) for row in rows]})
        self._write()
        print(f"{section}: {name}: {status} ({seconds:.1f} s): {message}", flush=True)

    @property
    def failed(self) -> bool:
        """`bool`: whether any check failed."""
        return any(result["status"] == "failed" for result in self.results)

    def summary(self) -> str:
        """`str`: how many results there are of each status."""
        statuses = [result["status"] for result in self.results]
        return ", ".join(f"{statuses.count(each)} {each}" for each in dict.fromkeys(statuses)) + "."

    def _write(self):
        replace(self.data, json.dumps({"machine": self.machine, "results": self.results}, indent=1) + "\n")
        replace(self.page, self._markdown())

    def _markdown(self) -> str:
        lines = ["# On a GPU", "", "| | |", "|:--|:--|"]
        lines += [f"| {name} | {cell(value)} |" for name, value in self.machine.items()]
        for section in dict.fromkeys(result["section"] for result in self.results):
            results = [result for result in self.results if result["section"] == section]
            summary = [{key: each[key] for key in ("name", "status", "seconds", "message")} for each in results]
            lines += ["", f"## {section.capitalize()}", "", *table(summary)]
            for each in results:
                if each["rows"]:
                    lines += ["", f"### {each['name'][:1].upper()}{each['name'][1:]}", "", *table(each["rows"])]
        return "\n".join(lines) + "\n"


def run_check(report: Report, section: str, name: str, check: Check, setup: Setup):
    """Runs a check and records what it found; an exception is a result like any other."""
    if time.monotonic() > setup.ends:
        report.add(section, name, "not run", 0, "no time was left")
        return
    start = time.monotonic()
    rows: Sequence[Row] = ()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            message, passed, rows = check(setup)
        status = "measured" if passed is None else "passed" if passed else "failed"
    except NotRun as reason:
        status, message = "not run", str(reason)
    except ModuleNotFoundError as error:
        status, message = "not run", f"{error.name} is not installed"
    except Exception as error:  # a check that breaks is a finding, and the others go on
        status, message = "failed", f"{type(error).__name__}: {first_line(error)}"
    report.add(section, name, status, time.monotonic() - start, message, rows)


def first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")[:300]


def replace(path: Path, text: str):
    """Writes a whole file, or leaves the old one."""
    written = path.with_name(f".{path.name}.writing")
    written.write_text(text, encoding="utf-8")
    os.replace(written, path)


def table(rows: Sequence[Row]) -> list[str]:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    aligned = ["--:" if all(not isinstance(row.get(each, 0), str) for row in rows) else ":--" for each in columns]
    lines = [f"| {' | '.join(columns)} |", f"|{'|'.join(aligned)}|"]
    return lines + [f"| {' | '.join(cell(row.get(column, '')) for column in columns)} |" for row in rows]


def cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value).replace("|", "\\|").replace("\n", " ")


def describe_machine(device: torch.device) -> dict[str, str]:
    """Card, driver, versions."""
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        cards = f"{torch.cuda.device_count()} x {card.name}, {card.total_memory / 2**30:.0f} GiB"
        machine = {"card": cards, "driver": driver_version(), "CUDA": str(torch.version.cuda)}
    else:
        machine = {"card": "none: a dry run on the CPU, whose times say nothing"}
    machine["python"] = platform.python_version()
    return machine | {name: version(name) for name in PACKAGES}


def version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def driver_version() -> str:
    loaded = Path("/proc/driver/nvidia/version")
    if not loaded.is_file():
        return "unknown"
    words = loaded.read_text().split()
    return next((word for word in words if word[:1].isdigit() and "." in word), "unknown")
