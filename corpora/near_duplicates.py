"""Pairs that are nearly the same as an earlier one, found by MinHash and locality-sensitive hashing."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sensia.corpora.letter_case import lowered

#: Characters of a shingle.
_SHINGLE = 5
#: Hashes of a signature: the estimated similarity is right to about 0.04.
_HASHES = 128


class NearDuplicates:
    """
    Memory of pairs, by the MinHash signature of their shingles: five characters in a row of either side, without case,
    digits and punctuation.

    Two pairs are near-duplicates if the estimated Jaccard similarity of their shingles (shared by all) is at least the
    threshold. Signatures are compared only where locality-sensitive hashing finds them alike, so the time grows with
    the pairs and not with their square. A signature takes half a kilobyte.

    Args:
        threshold (`float`): least similarity, in (0, 1].

    Raises:
        `ValueError`: if `datasketch` is not installed.
    """

    def __init__(self, threshold: float):
        try:
            import datasketch
        except ImportError as error:
            raise ValueError("near-duplicates are found by datasketch: pip install 'sensia[bitext]'") from error
        self.threshold = threshold
        self._new_signature = lambda: datasketch.MinHash(num_perm=_HASHES)
        self._index = datasketch.MinHashLSH(threshold=threshold, num_perm=_HASHES)
        self._signatures: list[np.ndarray] = []

    def resembles(self, pair: Mapping[str, Any]) -> bool:
        """
        Tells if a pair is nearly the same as one that was remembered; if not, remembers it.

        Args:
            pair (`Mapping`): `source` and `target`.
        """
        signature = self._new_signature()
        signature.update_batch(list(_shingles(pair)))
        hashes = signature.hashvalues
        if any((self._signatures[place] == hashes).mean() >= self.threshold for place in self._index.query(signature)):
            return True
        self._index.insert(len(self._signatures), signature)
        self._signatures.append(hashes.astype(np.uint32))
        return False


def _shingles(pair: Mapping[str, Any]) -> Iterator[bytes]:
    for side in ("source", "target"):
        text = " ".join(re.findall(r"[^\W\d_]+", lowered(pair[side]))) or pair[side]
        for start in range(max(len(text) - _SHINGLE, 0) + 1):
            yield f"{side}:{text[start : start + _SHINGLE]}".encode()
