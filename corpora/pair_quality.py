"""
Quality of sentence pairs, as a classifier sees it that learns from the bitext itself: from its pairs as they are, and
from the same pairs damaged on purpose. Bicleaner (Sánchez-Cartagena et al., 2018, https://aclanthology.org/W18-6488)
works in this way, with a classifier that is made beforehand for two languages.
"""

import random
from collections.abc import Sequence

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from sensia.corpora.lexicon import Lexicon, stems
from sensia.corpora.pair_features import PairFeatures
from sensia.corpora.planted_noise import KINDS, Sides, damaged

#: Part of the key of scores that are kept: raise it when features or classifier change.
RULES_VERSION = 1
#: Pairs that the lexicon is made from.
LEXICON_PAIRS = 200_000
#: Pairs that the classifier learns from, each as it is and damaged.
TRAIN_PAIRS = 8_000
#: Least number of pairs: fewer tell nothing about their words.
LEAST_PAIRS = 200
#: Pairs whose features are held in memory.
_PART = 10_000


class QualityScorer:
    """
    Scores the pairs of a bitext.

    Two classifiers learn from the pairs of odd and of even numbers, and each scores the pairs that it did not see. In
    a second round they leave out of the whole pairs those that the first round took for damaged ones. Pairs whose
    words mostly belong to the other side are swapped, and have quality 0.

    Args:
        pairs (`Sequence` of `tuple` of two `str`): the bitext, in the order of its source; 200 pairs or more.
        seed (`int`, *optional*, defaults to 0): of the damage.
        rounds (`int`, *optional*, defaults to 2): rounds of learning.

    Raises:
        ValueError: if there are too few pairs, or `systran-align` is not installed.
    """

    def __init__(self, pairs: Sequence[Sides], seed: int = 0, rounds: int = 2):
        if len(pairs) < LEAST_PAIRS:
            raise ValueError(f"the quality of pairs is learned from {LEAST_PAIRS} pairs or more, got {len(pairs)}")
        first = pairs[:LEXICON_PAIRS]
        self.features = PairFeatures(pairs, Lexicon([(stems(source), stems(target)) for source, target in first]))
        order = random.Random(seed)
        numbers = sorted(order.sample(range(len(pairs)), min(TRAIN_PAIRS, len(pairs))))
        self.kinds = [order.choice(KINDS) for _ in numbers]
        self._halves = np.array(numbers) % 2
        whole = np.array([self.features.measure(number) for number in numbers])
        broken = np.array(
            [
                self.features.measure(number, damaged(pairs, number, kind, order))
                for number, kind in zip(numbers, self.kinds, strict=True)
            ]
        )
        usable = np.ones(len(numbers), dtype=bool)
        for _ in range(rounds):
            self._classifiers = [self._fit(whole, broken, usable, half) for half in (0, 1)]
            self.of_whole, self.of_damaged = (self._predict(each, self._halves) for each in (whole, broken))
            usable = self.of_whole >= 0.5

    def _fit(
        self, whole: np.ndarray, broken: np.ndarray, usable: np.ndarray, half: int
    ) -> HistGradientBoostingClassifier:
        """Learns from the pairs that are not of a half."""
        seen = self._halves != half
        features = np.concatenate([whole[seen & usable], broken[seen]])
        labels = np.arange(len(features)) < (seen & usable).sum()
        classifier = HistGradientBoostingClassifier(
            max_iter=150,
            learning_rate=0.08,
            max_leaf_nodes=15,
            class_weight="balanced",
            early_stopping=False,
            random_state=0,
        )
        return classifier.fit(features, labels)

    def _predict(self, features: np.ndarray, halves: np.ndarray) -> np.ndarray:
        probabilities = np.stack([each.predict_proba(features)[:, 1] for each in self._classifiers])
        return probabilities[halves, np.arange(len(features))]

    def score(self) -> list[float]:
        """
        Probabilities that the pairs are whole.

        Returns:
            `list` of `float`: in [0, 1], one for each pair.
        """
        numbers = range(len(self.features.pairs))
        scores: list[float] = []
        for start in range(0, len(numbers), _PART):
            part = numbers[start : start + _PART]
            features = np.array([self.features.measure(number) for number in part])
            found = self._predict(features, np.array(part) % 2).round(4)
            scores += [
                0.0 if self.features.swapped(number) else score
                for number, score in zip(part, found.tolist(), strict=True)
            ]
        return scores

    def found(self, least: float) -> dict[str, float]:
        """
        Share of the pairs damaged on purpose that have less than a quality, by their kind.

        Args:
            least (`float`): the quality.
        """
        kinds = np.array(self.kinds)
        return {kind: float((self.of_damaged[kinds == kind] < least).mean()) for kind in KINDS if kind in self.kinds}
