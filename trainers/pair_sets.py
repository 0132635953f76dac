"""Pairs and texts that are ready for a model, with what is known of them."""

from dataclasses import dataclass, field

import numpy as np
from datasets import Dataset, IterableDataset

from sensia.corpora import CleaningReport, DataPart, Language


@dataclass
class PairSet:
    """
    Bitext ready for a model, or text, whose rows have one side only.

    Args:
        name (`str`): what tables call it.
        path (`str`): file or Hub id.
        pairs (`datasets.Dataset` or `IterableDataset`): from [`sensia.corpora.clean_pairs`] or
            [`sensia.corpora.encode_texts`].
        report (`CleaningReport`): what was dropped.
        role (`str`): `bitext`, `text`, `instructions` or `evaluation`.
        fertility (`dict`): tokens per word of each side; empty for a stream, and for a side without spaces.
        part ([`DataPart`], *optional*): what was read of a Hub data set.
        keys (`np.ndarray`, *optional*): of [`sensia.corpora.row_keys`]: of the rows kept; of a stream's first rows.
        licence (`str`, *optional*): licence of the data, where the settings state it.
        trained_on (`list` of `int`, *optional*): rows of evaluation data that are also training rows; `None` where
            nobody looked.
        languages (`tuple` of two [`Language`], *optional*): of the two sides of bitext.
        joined_with ([`PairSet`], *optional*): the set that the target sides are of, where the source sides are the
            target sides of `path`.
    """

    name: str
    path: str
    pairs: Dataset | IterableDataset
    report: CleaningReport
    role: str
    fertility: dict[str, float] = field(default_factory=dict)
    part: DataPart | None = None
    keys: np.ndarray | None = None
    licence: str | None = None
    trained_on: list[int] | None = None
    languages: tuple[Language, Language] | None = None
    joined_with: "PairSet | None" = None

    def __str__(self) -> str:
        where = f" ({self.part})" if self.part else ""
        again = self.trained_on or []
        shared = f"; {len(again):,} of them {first_rows(again)} also in the training data" if again else ""
        return f"{self.name}{where}: {self.report}{shared}"


def first_rows(rows: list[int]) -> str:
    """Numbers of the first rows, from 1, for a message."""
    return f"(rows {', '.join(str(row + 1) for row in rows[:5])}{', ...' if len(rows) > 5 else ''})"


@dataclass
class TrainingData:
    """
    All that a run trains on.

    Args:
        pairs (`datasets.Dataset` or `IterableDataset`): the bitext, mixed; `row` and, of several, `dataset` say where
            a pair comes from.
        parts (`list` of [`PairSet`]): each data set by itself: bitext in the order of `train_data`, then texts, then
            instruction pairs.
        texts (`datasets.Dataset`, *optional*): texts and instruction pairs for the language model loss.
    """

    pairs: Dataset | IterableDataset
    parts: list[PairSet]
    texts: Dataset | None = None
