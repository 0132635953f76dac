"""A lexicon that a bitext gives of itself: how surely each word of a pair has a translation on the other side."""

import math
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence

from sensia.corpora.grouping import SIGN
from sensia.corpora.letter_case import lowered
from sensia.corpora.token_links import link_words

#: A word of a script without spaces is a sign; other words are runs of letters, and numbers are runs of digits.
_WORD = re.compile(rf"(?!\d){SIGN}|(?:(?!{SIGN})[^\W\d_])+|\d+")
#: Letters of a word that count: what follows them is mostly inflection.
_STEM = 4


def stems(text: str) -> list[str]:
    """
    The words of a text in small letters, each cut to its first four, since fewer forms are easier to align.

    Args:
        text (`str`): the text.
    """
    return [word if word.isdigit() else word[:_STEM] for word in _WORD.findall(lowered(text))]


class Lexicon:
    """
    Links between the words of sentence pairs, counted over all of them.

    Words are linked by fast_align ([`link_words`]). Two words translate each other as surely as the square root of
    their Dice coefficient says: 2 c(s, t) / (c(s) + c(t)), of the links and the words that are counted. One occurrence
    is added to each word, so that rare words are less sure.

    Args:
        pairs (`Sequence`): N pairs of [`stems`].

    Raises:
        ValueError: if `systran-align` is not installed.
    """

    def __init__(self, pairs: Sequence[tuple[list[str], list[str]]]):
        self.pairs = pairs
        self._numbers: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        self._weights: tuple[dict[str, float], dict[str, float]] = ({}, {})
        self._links: list[array[int]] = []
        self._linked: dict[str, Counter[str]] = defaultdict(Counter)
        for (source, target), links in zip(pairs, link_words(pairs), strict=True):
            self._links.append(array("H", [place for link in links for place in link]))
            self._numbers[0].update(source)
            self._numbers[1].update(target)
            for row, column in links:
                self._linked[source[row]][target[column]] += 1

    def weights(self, words: Sequence[str], side: int) -> list[float]:
        """
        Weights words by their rarity: log(1 + N / (1 + c)), where c is the number of occurrences on the word's side.

        Args:
            words (`Sequence[str]`): words.
            side (`int`): 0 for the source, 1 for the target.
        """
        return [self._weight(word, side) for word in words]

    def belongs(self, words: Sequence[str], side: int) -> list[float]:
        """
        Share of each word's occurrences that are on its own side.

        Args:
            words (`Sequence[str]`): words.
            side (`int`): 0 for the source, 1 for the target.

        Returns:
            `list` of `float`: (c + 1/2) / (c + d + 1), with c occurrences on its side, and d on the other one.
        """
        own, other = self._numbers[side], self._numbers[1 - side]
        return [(own[word] + 0.5) / (own[word] + other[word] + 1) for word in words]

    def translated(
        self, source: Sequence[str], target: Sequence[str], left_out: int | None = None
    ) -> tuple[list[float], list[float]]:
        """
        Evidence that each word has a translation on the other side.

        Args:
            source (`Sequence[str]`), target (`Sequence[str]`): words of the two sides.
            left_out (`int`, *optional*): number of a pair that does not count: a pair must not be its own proof.

        Returns:
            `tuple` of two `list` of `float`: in [0, 1], for each word of the source and of the target.
        """
        own_links, own_source, own_target = self._own(left_out)
        best: tuple[dict[str, float], dict[str, float]] = dict.fromkeys(source, 0.0), dict.fromkeys(target, 0.0)
        for one in best[0]:
            linked = self._linked[one] if one in self._linked else Counter[str]()
            for other in linked.keys() & best[1].keys():
                links = linked[other] - own_links[one, other]
                if links > 0:
                    number = self._numbers[0][one] - own_source[one]
                    others = self._numbers[1][other] - own_target[other]
                    sure = math.sqrt(min(2 * links / (number + others + 2), 1.0))
                    best[0][one] = max(best[0][one], sure)
                    best[1][other] = max(best[1][other], sure)
        return [best[0][word] for word in source], [best[1][word] for word in target]

    def _weight(self, word: str, side: int) -> float:
        known = self._weights[side].get(word)
        if known is None:
            known = math.log(1 + len(self.pairs) / (1 + self._numbers[side][word]))
            self._weights[side][word] = known
        return known

    def _own(self, number: int | None) -> tuple[Counter[tuple[str, str]], Counter[str], Counter[str]]:
        """Links and words of one pair."""
        if number is None:
            return Counter(), Counter(), Counter()
        source, target = self.pairs[number]
        places = self._links[number]
        links = Counter((source[row], target[column]) for row, column in zip(places[::2], places[1::2], strict=True))
        return links, Counter(source), Counter(target)
