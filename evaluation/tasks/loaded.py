"""A task with its data in memory, and the error of one that has nothing to measure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class NotOfferedError(ValueError):
    """There is nothing to measure, and nothing is wrong: no data in the language, or no senses in the model."""


@dataclass
class Loaded:
    """
    A task with its data loaded.

    Args:
        measure (`Callable`): takes model, tokenizer and whether to show progress, and gives `metrics`, `intervals`,
            `chance` and whatever else is worth keeping.
        data (`list[dict]`): what was read, of [`sensia.corpora.rows.describe_rows`].
    """

    measure: Callable[..., dict[str, Any]]
    data: list[dict[str, Any]]
