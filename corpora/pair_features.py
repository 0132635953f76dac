"""What can be measured of a sentence pair beside its neighbours, by which damaged pairs differ from whole ones."""

import math
import re
import statistics
from collections import Counter
from collections.abc import Sequence

from sensia.corpora.letter_case import lowered
from sensia.corpora.lexicon import Lexicon, stems

Sides = tuple[str, str]
#: Signs that end a sentence, in Latin, Greek, Chinese, Arabic, Indic, Armenian and Ethiopic script.
_ENDS = frozenset(".!?\u2026:;\u3002\uff01\uff1f\uff1a\uff1b\u06d4\u061f\u0964\u0589\u1362")
_QUESTIONS = frozenset("?\uff1f\u061f")
_SIGN = re.compile(r"[^\w\s]")
_FULL_WORD = re.compile(r"[^\W\d_]+|\d+")
#: A word within a sentence that begins with a capital: mostly a name, which many languages leave as it is.
_NAME = re.compile(r"(?<=[\w,;] )[^\W\d_]\w{2,}")
#: Below this, a word has no translation on the other side.
_SURE = 0.2


class PairFeatures:
    """
    Features of sentence pairs of one bitext. The signals are those of Bicleaner and the like: lexical coverage,
    lengths, punctuation, names and numbers; and how well the sides fit those of the neighbours.

    Args:
        pairs (`Sequence` of `tuple` of two `str`): the bitext, in the order of its source.
        lexicon ([`Lexicon`]): made from the first or all of these pairs, in this order.
    """

    def __init__(self, pairs: Sequence[Sides], lexicon: Lexicon):
        self.pairs, self.lexicon = pairs, lexicon
        self._stems = [(stems(source), stems(target)) for source, target in pairs]
        ratios = [len(target) / len(source) for source, target in pairs if source]
        self._ratio = statistics.median(ratios) or 1.0
        self._words: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        for pair in pairs:
            for counts, text in zip(self._words, pair, strict=True):
                counts.update(set(_full_words(text)))

    def measure(self, number: int, sides: Sides | None = None) -> list[float]:
        """
        Measures a pair, or other sides in its place.

        Args:
            number (`int`): place of the pair.
            sides (`tuple` of two `str`, *optional*): the sides; those of the pair if not given.

        Returns:
            `list` of `float`
        """
        source, target = sides or self.pairs[number]
        words = (stems(source), stems(target)) if sides else self._stems[number]
        sure = self.lexicon.translated(*words, self._left_out(number))
        weights = [self.lexicon.weights(each, side) for side, each in enumerate(words)]
        coverage = [_mean(each, weight) for each, weight in zip(sure, weights, strict=True)]
        features = [*coverage, min(coverage), sum(coverage) / 2 - self._of_neighbours(number, words)]
        for each, weight in zip(sure, weights, strict=True):
            third = -max(len(each) // 3, 1)
            features += [
                _mean(each[third:], weight[third:]) - _mean(each[:third], weight[:third]),
                _longest_gap(each),
                statistics.median(each or [0.0]),
                _mean([float(one > 0) for one in each], weight),
            ]
        return features + self._lengths(source, target, words) + self._signs(source, target)

    def swapped(self, number: int) -> bool:
        """
        Tells a pair whose words occur more often on the other side than on their own.

        Args:
            number (`int`): place of the pair.
        """
        sides = [self.lexicon.belongs(words, side) for side, words in enumerate(self._stems[number])]
        return all(sides) and statistics.fmean(map(statistics.fmean, sides)) < 0.5

    def _left_out(self, number: int) -> int | None:
        return number if number < len(self.lexicon.pairs) else None

    def _of_neighbours(self, number: int, words: tuple[list[str], list[str]]) -> float:
        """Coverage of the best pair of a side with the other side of the row before or after."""
        best = 0.0
        for other in (number - 1, number + 1):
            if 0 <= other < len(self._stems):
                beside = self._stems[other]
                for pair in ((beside[0], words[1]), (words[0], beside[1])):
                    if pair != words:
                        best = max(best, self._coverage(pair, other))
        return best

    def _coverage(self, words: tuple[list[str], list[str]], number: int) -> float:
        sure = self.lexicon.translated(*words, self._left_out(number))
        return sum(_mean(sure[side], self.lexicon.weights(words[side], side)) for side in (0, 1)) / 2

    def _lengths(self, source: str, target: str, words: tuple[list[str], list[str]]) -> list[float]:
        in_characters = math.log((len(target) + 5) / (len(source) * self._ratio + 5))
        in_words = math.log((len(words[1]) + 1) / (len(words[0]) + 1))
        return [in_characters, in_words, math.log(len(source) + 1), math.log(len(target) + 1)]

    def _signs(self, source: str, target: str) -> list[float]:
        ends = [text[-1:] in _ENDS for text in (source, target)]
        questions = [text[-1:] in _QUESTIONS for text in (source, target)]
        names = {word[:4].lower() for word in _NAME.findall(source) if word[0].isupper()}
        below = lowered(target)
        last = [_full_words(text)[-1:] for text in (source, target)]
        return [
            float(ends[1]) - float(ends[0]),
            float(questions[0] != questions[1]),
            len(_SIGN.findall(source)) - len(_SIGN.findall(target)),
            float(len(names)),
            float(sum(name not in below for name in names)),
            float(target[:1].isupper()) - float(source[:1].isupper()),
            # A side that is cut mostly ends in the middle of a word, which is then none of the language.
            *(math.log(max(self._words[side][word[0]], 1)) if word else 0.0 for side, word in enumerate(last)),
        ]


def _full_words(text: str) -> list[str]:
    return _FULL_WORD.findall(lowered(text))


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    total = sum(weights)
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) / total if total else 0.0


def _longest_gap(sure: Sequence[float]) -> float:
    """Share of a side's words that are in its longest run of words without a translation."""
    longest = current = 0
    for one in sure:
        current = current + 1 if one < _SURE else 0
        longest = max(longest, current)
    return longest / len(sure) if sure else 1.0
