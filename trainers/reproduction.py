"""The runs that measure the paper's claims: a plan of them, and what is kept of each."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .arguments import read_yaml

_PARTS = ("common", "suite", "runs")
_OF_A_RUN = ("languages", "seeds", "settings")
#: Of the results of an adaptation, what differs between runs of one plan or says where the figures come from.
_KEPT_OF_TRAINING = ("steps", "pairs_per_step", "seconds", "precision", "phases")


@dataclass(frozen=True)
class Run:
    """
    One adaptation and its scores.

    Args:
        kind (`str`): its name in the plan.
        language (`str`): language adapted to.
        seed (`int`): of everything random.
        settings (`dict`): settings of `examples/adapt.py`.
        suite (`dict`): tasks of `examples/score.py`.
    """

    kind: str
    language: str
    seed: int
    settings: dict[str, Any]
    suite: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of its folder and of its file of results."""
        return f"{self.kind}-{self.language}-{self.seed}"


def read_plan(path: str | Path, only: Iterable[str] | None = None) -> list[Run]:
    """
    Reads a plan: settings that all runs share, tasks, and runs by name with `settings`, `languages` and `seeds`.

    Args:
        path (`str` or `Path`): YAML file.
        only (`Iterable[str]`, *optional*, defaults to all): names of runs in the plan.

    Returns:
        `list` of [`Run`]: one for each language and seed, in the order of the plan.

    Raises:
        ValueError: naming the file and what is missing or unknown in it.
    """
    plan = read_yaml(path)
    if set(plan) != set(_PARTS):
        raise ValueError(f"{path} must hold {', '.join(_PARTS)}, got {', '.join(map(str, plan))}.")
    wanted = list(plan["runs"] if only is None else only)
    for kind in wanted:
        if kind not in plan["runs"]:
            raise ValueError(f"{path} has no run {kind!r}, only {', '.join(plan['runs'])}.")
        for key in plan["runs"][kind]:
            if key not in _OF_A_RUN:
                raise ValueError(f"{path}: run {kind} has {', '.join(_OF_A_RUN)}, not {key!r}.")
    return [
        _run(plan, kind, language, seed)
        for kind in plan["runs"]
        if kind in wanted
        for language in plan["runs"][kind].get("languages", ["id"])
        for seed in plan["runs"][kind].get("seeds", [0])
    ]


def _run(plan: Mapping[str, Any], kind: str, language: str, seed: int) -> Run:
    settings = {**plan["common"], **plan["runs"][kind].get("settings", {}), "seed": seed}
    return Run(kind, language, seed, _with_language(settings, language), plan["suite"])


def _with_language(value: Any, language: str) -> Any:
    if isinstance(value, str):
        return value.replace("{target}", language)
    if isinstance(value, list):
        return [_with_language(each, language) for each in value]
    if isinstance(value, dict):
        return {name: _with_language(each, language) for name, each in value.items()}
    return value


def distill(run: Run, folder: Path) -> dict[str, Any]:
    """
    What is kept of a run: settings, curves and scores; a small file that names data by hash and no folder.

    Args:
        run ([`Run`]): the run.
        folder (`Path`): where `examples/adapt.py` and `examples/score.py` wrote.
    """
    results = json.loads((folder / "final/results.json").read_text(encoding="utf-8"))
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    training = results["training"]
    return {
        "kind": run.kind,
        "language": run.language,
        "seed": run.seed,
        "settings": run.settings,
        "training": {name: training[name] for name in _KEPT_OF_TRAINING},
        "data": [
            {name: each[name] for name in ("name", "role", "sha256", "rows_kept", "dropped")}
            for each in results["datasets"]
        ],
        "num_senses": results["model"]["num_senses"],
        "fertility": results["fertility"],
        "before": {each["dataset"]: each["before"] for each in results["evaluation"]},
        "curve": [
            {name: value for name, value in each.items() if not name.endswith(("runtime", "per_second", "epoch"))}
            for each in training["evaluations"]
        ],
        "scores": {
            name: {part: task[part] for part in ("metrics", "intervals", "chance", "seconds")}
            for name, task in scores["tasks"].items()
        },
        "versions": results["versions"],
        "date": results["date"],
    }


def read_results(folder: str | Path) -> list[dict[str, Any]]:
    """
    Reads what was kept of all runs.

    Args:
        folder (`str` or `Path`): files of [`distill`]; may be missing.
    """
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(Path(folder).glob("*.json"))]
