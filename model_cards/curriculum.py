"""The curriculum of a run in words and as a table: what weighed how much, and when."""

from collections.abc import Mapping, Sequence
from typing import Any

_HOW = {
    "phased": "The weights move by half a cosine through align and through joint, and stay through polish.",
    "stepwise": "Each phase holds its weights.",
    "cosine": "The weights move by one half cosine over the whole run. There are no phases, and nothing was frozen.",
    "adaptive": "Each phase holds its weights. Align and joint end when the recall on held-out pairs stops rising, or "
    "when they reach a bound on their length.",
    "fade": "The weights move by half a cosine through align, and by another to the language model loss alone. "
    "Nothing was frozen.",
    "constant": "The weights stay the same over the whole run, and are not divided by their sum. Nothing was frozen.",
    "custom": "The phases are this run's own.",
}

PHASE_HEADERS = ("Phase", "Steps", "Weights at its start", "Weights at its end", "Frozen")


def _names(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _ends(phases: Sequence[Mapping[str, Any]]) -> str:
    ended = [f"{phase['name']} ended after step {phase['last_step']:,}" for phase in phases[:-1]]
    return f" In this run {_names(ended)}." if ended else " In this run no phase ended before the last step."


def curriculum_sentence(training: Mapping[str, Any]) -> str:
    """
    Describes the curriculum in a sentence.

    Args:
        training (`Mapping[str, Any]`): `results["training"]`.

    Returns:
        `str`: a sentence or a few, of `adaptive` with the steps at which phases ended; empty for a name that is not
        known.
    """
    name, phases = training["schedule"].get("name"), training.get("phases") or []
    sentence = _HOW.get(name, "")
    return sentence + _ends(phases) if name == "adaptive" and phases else sentence


def _weights(weights: Sequence[float]) -> str:
    return ", ".join(f"{weight:.3f}" for weight in weights)


def phase_rows(training: Mapping[str, Any]) -> list[list[str]]:
    """
    The rows of the table of phases, under `PHASE_HEADERS`.

    Args:
        training (`Mapping[str, Any]`): `results["training"]`.

    Returns:
        `list[list[str]]`: one row for each phase that came, with its steps counted from 1 and its weights (context,
        sense, language model), which sum to 1; of `constant`, as they were given.
    """
    return [
        [
            phase["name"],
            f"{phase['first_step']:,} to {phase['last_step']:,}",
            _weights(phase["weights"]),
            _weights(phase["end_weights"]),
            f"`{phase['frozen']}`" if phase.get("frozen") else "nothing",
        ]
        for phase in training.get("phases") or []
    ]
