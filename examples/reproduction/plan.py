"""The runs that measure the paper's claims: a plan of them, and what is kept of each."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sensia.trainers.arguments import read_yaml

_PARTS = ("common", "suite", "bases", "runs")
_OPTIONAL_PARTS = ("compare",)
_OF_A_RUN = ("languages", "seeds", "base", "settings", "suite")
_OF_A_BASE = ("config", "settings")
#: Of the results of an adaptation, what differs between runs of one plan or says where the figures come from.
_KEPT_OF_TRAINING = ("steps", "pairs_per_step", "seconds", "flops", "steps_counted", "precision", "phases")
#: Of the scores of a task.
_KEPT_OF_SCORES = ("metrics", "intervals", "chance", "p_values", "seconds")


@dataclass(frozen=True)
class Base:
    """
    A model that runs begin from, where the plan makes one itself.

    Args:
        name (`str`): its name in the plan.
        config (`str`): settings file of `examples/pretrain.py`, relative to the project.
        settings (`dict`): what differs from it.
    """

    name: str
    config: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """
    Two kinds of runs that a plan compares.

    Args:
        kind, other (`str`): their names in the plan.
    """

    kind: str
    other: str


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
        base ([`Base`], *optional*): the model to begin from, instead of the one that the settings name.
    """

    kind: str
    language: str
    seed: int
    settings: dict[str, Any]
    suite: dict[str, Any]
    base: Base | None = None

    @property
    def is_dense(self) -> bool:
        """`bool`: whether it aligns a dense model, which has a script of its own."""
        return self.settings.get("representation", "senses") != "senses"

    @property
    def name(self) -> str:
        """Name of its folder and of its file of results."""
        return f"{self.kind}-{self.language}-{self.seed}"


def read_plan(path: str | Path, only: Iterable[str] | None = None) -> list[Run]:
    """
    Reads a plan: settings that all runs share, tasks, models to pretrain, and runs by name with `settings`, `suite`
    (tasks beside those of all), `languages` (a list, or seeds by language), `seeds` and `base`.

    Args:
        path (`str` or `Path`): YAML file.
        only (`Iterable[str]`, *optional*, defaults to all): names of runs in the plan.

    Returns:
        `list` of [`Run`]: one for each language and seed, in the order of the plan.

    Raises:
        ValueError: naming the file and what is missing or unknown in it.
    """
    plan = read_yaml(path)
    if set(plan) - set(_OPTIONAL_PARTS) != set(_PARTS):
        raise ValueError(f"{path} must hold {', '.join(_PARTS)}, got {', '.join(map(str, plan))}.")
    wanted = list(plan["runs"] if only is None else only)
    for kind in wanted:
        if kind not in plan["runs"]:
            raise ValueError(f"{path} has no run {kind!r}, only {', '.join(plan['runs'])}.")
        _check_keys(plan["runs"][kind], _OF_A_RUN, f"{path}: run {kind}")
        base = plan["runs"][kind].get("base")
        if base is not None and base not in plan["bases"]:
            raise ValueError(
                f"{path}: run {kind} has no base {base!r} to begin from, only {', '.join(plan['bases'])}."
            )
    for name, base in plan["bases"].items():
        _check_keys(base, _OF_A_BASE, f"{path}: base {name}")
    return [
        _run(plan, kind, language, seed)
        for kind in plan["runs"]
        if kind in wanted
        for language, seeds in _seeds_by_language(plan["runs"][kind]).items()
        for seed in seeds
    ]


def read_comparisons(path: str | Path) -> list[Comparison]:
    """
    Reads which kinds of runs a plan compares: its part `compare`, a list of pairs.

    Args:
        path (`str` or `Path`): YAML file.

    Returns:
        `list` of [`Comparison`]: empty for a plan that judges the paper's claims instead.

    Raises:
        ValueError: naming the file and a kind that the plan does not run.
    """
    plan = read_yaml(path)
    pairs = [Comparison(*pair) for pair in plan.get("compare", [])]
    for kind in (kind for pair in pairs for kind in (pair.kind, pair.other)):
        if kind not in plan["runs"]:
            raise ValueError(f"{path} compares {kind!r}, but runs only {', '.join(plan['runs'])}.")
    return pairs


def _check_keys(entry: Mapping[str, Any], known: tuple[str, ...], where: str):
    for key in entry:
        if key not in known:
            raise ValueError(f"{where} has {', '.join(known)}, not {key!r}.")


def _seeds_by_language(run: Mapping[str, Any]) -> dict[str, list[int]]:
    languages = run.get("languages", ["id"])
    return languages if isinstance(languages, dict) else dict.fromkeys(languages, run.get("seeds", [0]))


def _run(plan: Mapping[str, Any], kind: str, language: str, seed: int) -> Run:
    run = plan["runs"][kind]
    settings = {**plan["common"], **run.get("settings", {}), "seed": seed}
    base = Base(run["base"], **plan["bases"][run["base"]]) if "base" in run else None
    return Run(kind, language, seed, _with_language(settings, language), plan["suite"] | run.get("suite", {}), base)


def _with_language(value: Any, language: str) -> Any:
    if isinstance(value, str):
        return value.replace("{target}", language)
    if isinstance(value, list):
        return [_with_language(each, language) for each in value]
    if isinstance(value, dict):
        return {name: _with_language(each, language) for name, each in value.items()}
    return value


def summarize_run(run: Run, folder: Path, base_folder: Path | None = None) -> dict[str, Any]:
    """
    Summarizes a run: settings, curves and scores. The result is small, names data by hash, and names no folder.

    Args:
        run ([`Run`]): the run.
        folder (`Path`): where the scripts wrote.
        base_folder (`Path`, *optional*): where `examples/pretrain.py` wrote the model that it began from.
    """
    results = json.loads((folder / "final/results.json").read_text(encoding="utf-8"))
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    training = results["training"]
    return {
        "kind": run.kind,
        "language": run.language,
        "seed": run.seed,
        "settings": run.settings,
        "base": None if run.base is None or base_folder is None else _describe_base(run.base, base_folder),
        "training": {name: training[name] for name in _KEPT_OF_TRAINING if name in training},
        "language_model_share": language_model_share(training["history"]),
        "data": [
            {name: each[name] for name in ("name", "role", "sha256", "rows_kept", "dropped")}
            for each in results["datasets"]
        ],
        "num_senses": results["model"]["num_senses"],
        "fertility": results["fertility"],
        "tokenizer": results.get("tokenizer"),
        "before": {each["dataset"]: each["before"] for each in results["evaluation"]},
        "curve": [
            {name: value for name, value in each.items() if not name.endswith(("runtime", "per_second", "epoch"))}
            for each in training["evaluations"]
        ],
        "scores": {
            name: {part: task[part] for part in _KEPT_OF_SCORES if part in task}
            for name, task in scores["tasks"].items()
        },
        "versions": results["versions"],
        "date": results["date"],
    }


def language_model_share(history: Iterable[Mapping[str, Any]]) -> float:
    """
    Measures how much of a run's learning went to writing: the mean weight of the language model loss over the steps.
    Each step is weighted by its learning rate, so that with a falling rate early steps count more than late ones.

    Args:
        history (`Iterable` of `Mapping`): logs with `learning_rate` and `weight_lm`.
    """
    steps = [(each["learning_rate"], each["weight_lm"]) for each in history]
    return round(sum(rate * weight for rate, weight in steps) / sum(rate for rate, _ in steps), 4)


def _describe_base(base: Base, folder: Path) -> dict[str, Any]:
    return {**asdict(base), "results": json.loads((folder / "final/pretraining.json").read_text(encoding="utf-8"))}


def read_results(folder: str | Path) -> list[dict[str, Any]]:
    """
    Reads what was kept of all runs.

    Args:
        folder (`str` or `Path`): files of [`summarize_run`]; may be missing.
    """
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(Path(folder).glob("*.json"))]
