"""Finding evaluation rows that are also training rows, from 8 bytes of each row."""

import hashlib
import unicodedata
from collections.abc import Iterator

import datasets
import numpy as np

from sensia.corpora.fields import PROMPT_COLUMNS

_COLUMNS = ("source", "target", *PROMPT_COLUMNS)


def row_keys(rows: datasets.Dataset | datasets.IterableDataset) -> np.ndarray:
    """
    A hash of each row's texts, both sides together. Rows that differ by white space alone have the same.

    Args:
        rows (`datasets.Dataset` or `datasets.IterableDataset`): pairs as [`read_pairs`] gives them.

    Returns:
        `np.ndarray` of `uint64` [N]
    """
    return np.fromiter(_keys(rows), dtype=np.uint64)


def _keys(rows: datasets.Dataset | datasets.IterableDataset) -> Iterator[int]:
    columns = [name for name in _COLUMNS if name in (rows.column_names or [])]
    for batch in rows.select_columns(columns).iter(batch_size=1000):
        for texts in zip(*(batch[name] for name in columns), strict=True):
            plain = "\0".join(" ".join(unicodedata.normalize("NFC", text or "").split()) for text in texts)
            digest = hashlib.blake2b(plain.encode(), digest_size=8).digest()
            yield int.from_bytes(digest, "little")


def shared_rows(evaluation: np.ndarray, training: list[np.ndarray]) -> list[int]:
    """
    Finds the evaluation rows that are also training rows.

    Args:
        evaluation (`np.ndarray` of `uint64` [N]): of [`row_keys`].
        training (`list` of `np.ndarray` of `uint64` [M]): the same of each training set.

    Returns:
        `list[int]`: their numbers, from 0.
    """
    found = np.zeros(len(evaluation), dtype=bool)
    for keys in training:
        found |= np.isin(evaluation, keys, kind="sort")  # by a table, hashes of 64 bits could overflow
    return np.flatnonzero(found).tolist()
