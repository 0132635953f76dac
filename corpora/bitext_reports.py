"""Counts of a bitext that is built: what each step found in a source, with examples."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Pairs that a report shows of each step.
_EXAMPLES = 3
#: Share of the pairs whose languages are clear, and least number of these, from which a whole source is swapped.
_SWAPPED_SHARE, _LEAST_TOLD = 0.9, 20


@dataclass
class StepReport:
    """
    Pairs of a source that a step dropped or changed.

    Args:
        pairs (`int`): number of pairs.
        examples (`list` of two-element `list`): the first of them, as they came to the step.
    """

    pairs: int = 0
    examples: list[list[str]] = field(default_factory=list)

    def note(self, pair: Mapping[str, Any]):
        self.pairs += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append([pair["source"], pair["target"]])


@dataclass
class SourceReport:
    """
    Counts of one source.

    Args:
        read (`int`): pairs that were read.
        changed (`int`): pairs in which something was repaired or normalised.
        told (`int`): pairs of which language identification is sure whether their sides are swapped.
        swapped ([`StepReport`]): pairs whose sides were swapped, and are swapped back.
        kept (`int`): pairs that are in the result.
        steps (`dict` of [`StepReport`]): dropped pairs by name of the step; steps that dropped nothing are absent.
        scores (`dict` of `float`): by a share of the pairs that were scored, the score that this share is below.
    """

    read: int = 0
    changed: int = 0
    told: int = 0
    swapped: StepReport = field(default_factory=StepReport)
    kept: int = 0
    steps: dict[str, StepReport] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "SourceReport":
        """
        Reads back what `dataclasses.asdict` made of a report.

        Args:
            values (`Mapping`): values by field.
        """
        steps = {name: StepReport(**step) for name, step in values["steps"].items()}
        return cls(**{**values, "swapped": StepReport(**values["swapped"]), "steps": steps})

    @property
    def is_swapped(self) -> bool:
        """`bool`: nearly all pairs that can be told are swapped, so the two sides have each other's name."""
        return self.told >= _LEAST_TOLD and self.swapped.pairs >= _SWAPPED_SHARE * self.told

    def drop(self, step: str, pair: Mapping[str, Any]):
        self.steps.setdefault(step, StepReport()).note(pair)
