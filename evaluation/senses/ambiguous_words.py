"""Finds ambiguous English words, two translations that mean different things, and sentences that show each."""

import difflib
import heapq
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product

from sensia.corpora import group_near_duplicates
from sensia.corpora.letter_case import lowered
from sensia.evaluation.word_pairs import WordPair

_SHORTEST_STEM = 4
_CANDIDATES = 8  # target words considered as second translations, besides the lexicon's


@dataclass(frozen=True)
class AmbiguousWord:
    """
    An English word and two translations that mean different things.

    Args:
        word, first, second (`str`): the word and its translations.
        rows (`tuple`): bitext rows whose target side has the first translation but not the second, and rows with the
            reverse.
    """

    word: str
    first: str
    second: str
    rows: tuple[tuple[int, ...], tuple[int, ...]]

    def sentence_id(self, row: int) -> str:
        """Id of the word in one sentence, for annotation files and results."""
        return f"{self.word}:{row}"


class _Side:
    """One side of a bitext: the words of each row, and the rows of each word."""

    def __init__(self, rows: Sequence[frozenset[str]]):
        self.words = rows
        self.rows: dict[str, set[int]] = defaultdict(set)
        for row, words in enumerate(rows):
            for word in words:
                self.rows[word].add(row)
        self.rows.default_factory = None

    def nearest(self, rows: set[int], most: int, least: int = 1) -> list[str]:
        """Words most specific to some rows by Dice's coefficient; they occur in at least `least` of them."""
        counts = Counter(word for row in rows for word in self.words[row])
        shared = (word for word, both in counts.items() if both >= least)
        dice = {word: 2 * counts[word] / (len(rows) + len(self.rows[word])) for word in shared}
        return heapq.nsmallest(most, dice, key=lambda word: (-dice[word], word))


class _Bitext:
    """Both sides of a bitext, and the largest number of rows in which a word is still informative."""

    def __init__(self, sources: Sequence[str], targets: Sequence[str], suffixes: Sequence[str], max_share: float):
        self.texts, self.most_rows = sources, max_share * len(sources)
        self.source = _Side([words_in(text) for text in sources])
        self.target = _Side(_without_suffixes([words_in(text) for text in targets], suffixes))
        self._partners: dict[str, str] = {}

    def partner(self, target: str) -> str:
        """The English word with the highest Dice's coefficient for a target word."""
        if target not in self._partners:
            (self._partners[target],) = self.source.nearest(self.target.rows[target], 1)
        return self._partners[target]


def words_in(text: str) -> frozenset[str]:
    """The words of a text, in lower case."""
    return frozenset(re.findall(r"\w+", lowered(text)))


def _without_suffixes(rows: Sequence[frozenset[str]], suffixes: Sequence[str]) -> list[frozenset[str]]:
    """Removes a suffix from a word if the rest is long enough and occurs as a word in some row."""
    known = {word for words in rows for word in words}
    stems = {}
    for word in known:
        rests = (word.removesuffix(suffix) for suffix in suffixes if word.endswith(suffix))
        stems[word] = next((rest for rest in rests if len(rest) >= _SHORTEST_STEM and rest in known), word)
    return [frozenset(stems[word] for word in words) for words in rows]


class _Translation:
    """A target word as a translation of an English word, and its rows without that English word."""

    def __init__(self, bitext: _Bitext, word: str, name: str):
        self.bitext, self.word, self.name = bitext, word, name
        rows, word_rows = bitext.target.rows[name], bitext.source.rows[word]
        self.inside, self.outside = rows & word_rows, rows - word_rows

    @cached_property
    def neighbours(self) -> dict[str, float]:
        """Log-likelihood weights (length 1) of other English words in the rows without the word."""
        source, share = self.bitext.source, len(self.outside) / len(self.bitext.texts)
        counts = Counter(other for row in self.outside for other in source.words[row])
        expected = {other: share * len(source.rows[other]) for other in counts}
        weights = {
            other: count * math.log(count / expected[other])
            for other, count in counts.items()
            if count > max(1, expected[other])
            and len(source.rows[other]) <= self.bitext.most_rows
            and not _is_form(other, self.word)
        }
        length = math.hypot(*weights.values()) or 1.0
        return {other: weight / length for other, weight in weights.items()}

    def sentences_without(self, other: "_Translation") -> tuple[int, ...]:
        """Rows with the word once, in lower case, without the other translation, and without near-duplicates."""
        texts = self.bitext.texts
        rows = [row for row in sorted(self.inside - other.inside) if forms_in(texts[row], self.word) == [self.word]]
        groups = group_near_duplicates([[texts[row]] for row in rows])
        return tuple(rows[group[0]] for group in groups)


def forms_in(text: str, word: str) -> list[str]:
    """Spellings of each occurrence of the word in a text."""
    return [each for each in re.findall(r"\w+", text) if lowered(each) == word]


def _is_form(other: str, word: str) -> bool:
    return other.startswith(word[: max(3, len(word) - 2)])


def _are_alike(first: str, second: str) -> bool:
    run = difflib.SequenceMatcher(None, first, second, autojunk=False).find_longest_match().size
    return run >= 4 or 2 * run > min(len(first), len(second))


def find_ambiguous_words(
    lexicon: Iterable[WordPair],
    sources: Sequence[str],
    targets: Sequence[str],
    *,
    suffixes: Sequence[str] = (),
    min_sentences: int = 8,
    max_sentences: int = 60,
    evidence: int = 20,
    max_overlap: float = 0.1,
    max_share: float = 0.03,
) -> list[AmbiguousWord]:
    """
    English words with two translations that mean different things, for languages that put spaces between words.

    The first translation is the lexicon's. The second is the lexicon's, or a target word found in the bitext whose
    closest English word by Dice's coefficient is the word or a form of it. They count as different meanings if

    1. no other English headword of the lexicon has both,
    2. their longest common run of letters is under 4 and at most half of the shorter one,
    3. both occur in one row with the word at most half as often as expected by chance, as alternatives do,
    4. in sentences without the word they occur with different English words: the cosine of the log-likelihood weights
       of these words is at most `max_overlap`, from at least `evidence` sentences each,
    5. each has at least `min_sentences` sentences with the word once, in lower case, and without the other
       translation. Of near-duplicates one counts.

    If several pairs pass, the one with the most sentences of its rarer meaning is taken. Near-synonyms of different
    style pass the rules, such as `acuan` and `referensi` for `reference`, so check the list or have people annotate
    it. [`word_lists`] finds the sentences of a checked list.

    Args:
        lexicon (`Iterable[WordPair]`): words and their translations, of [`word_pairs.read_lexicon`].
        sources, targets (`Sequence[str]`): English sentences and their translations.
        suffixes (`Sequence[str]`, *optional*): endings of target words, such as `nya` in Indonesian. They are removed
            if the rest has at least four letters and is a word.
        min_sentences, max_sentences (`int`, *optional*, defaults to 8 and 60): smallest and largest number of
            sentences of each meaning; if there are more, evenly spaced ones are kept.
        evidence (`int`, *optional*, defaults to 20), max_overlap (`float`, *optional*, defaults to 0.1): rule 4.
        max_share (`float`, *optional*, defaults to 0.03): English words in a larger share of the sentences are left
            out, also in rule 4.

    Returns:
        `list[AmbiguousWord]`: in alphabetical order.

    Raises:
        ValueError: if the two sides differ in length.
    """
    if len(sources) != len(targets):
        raise ValueError(f"Expected as many targets as sources, got {len(sources)} and {len(targets)}.")
    bitext = _Bitext(sources, targets, suffixes, max_share)
    finder = _Finder(bitext, lexicon, min_sentences, max_sentences, evidence, max_overlap)
    chosen = (finder.best_pair(word) for word in sorted(finder.known))
    return [word for word in chosen if word is not None]


class _Finder:
    """The rules of [`find_ambiguous_words`] with their thresholds."""

    def __init__(self, bitext, lexicon, min_sentences: int, max_sentences: int, evidence: int, max_overlap: float):
        self.bitext: _Bitext = bitext
        self.min_sentences, self.max_sentences = min_sentences, max_sentences
        self.evidence, self.max_overlap = evidence, max_overlap
        self.known: dict[str, list[str]] = defaultdict(list)
        self.headwords: dict[str, set[str]] = defaultdict(set)
        for word, translation in dict.fromkeys((lowered(pair.source), lowered(pair.target)) for pair in lexicon):
            self.known[word].append(translation)
            self.headwords[translation].add(word)

    def best_pair(self, word: str) -> AmbiguousWord | None:
        """The pair of meanings of a word with the most sentences of the rarer meaning."""
        if not 2 * self.min_sentences <= len(self.bitext.source.rows.get(word, ())) <= self.bitext.most_rows:
            return None
        best, most = None, self.min_sentences - 1
        for first, second in self.alternatives(word):
            if not self.differ(first, second):
                continue
            rows = first.sentences_without(second), second.sentences_without(first)
            if min(map(len, rows)) > most:
                most = min(map(len, rows))
                kept = spaced(rows[0], self.max_sentences), spaced(rows[1], self.max_sentences)
                best = AmbiguousWord(word, first.name, second.name, kept)
        return best

    def alternatives(self, word: str) -> Iterator[tuple[_Translation, _Translation]]:
        """Pairs of a translation of the lexicon and another translation."""
        present = (name for name in self.known[word] if name in self.bitext.target.rows)
        known = [_Translation(self.bitext, word, name) for name in present]
        known = [each for each in known if len(each.inside) >= self.min_sentences]
        yield from combinations(known, 2)
        if known:
            names = [name for name in self.further_names(word) if name not in {each.name for each in known}]
            yield from product(known, [_Translation(self.bitext, word, name) for name in names])

    def further_names(self, word: str) -> list[str]:
        """Target words that occur often with the word, and whose closest English word is the word or a form of it."""
        source, target = self.bitext.source, self.bitext.target
        near = target.nearest(source.rows[word], _CANDIDATES, self.min_sentences)
        foreign = [name for name in near if name not in source.rows]
        return [name for name in foreign if _is_form(self.bitext.partner(name), word)]

    def differ(self, first: _Translation, second: _Translation) -> bool:
        """Tests rules 1 to 4, the cheapest first."""
        if _are_alike(first.name, second.name) or self.share_another(first, second):
            return False
        together = len(first.inside & second.inside) * len(self.bitext.source.rows[first.word])
        if together > 0.5 * len(first.inside) * len(second.inside):
            return False
        enough = min(len(first.outside), len(second.outside)) >= self.evidence
        return enough and _overlap(first, second) <= self.max_overlap

    def share_another(self, first: _Translation, second: _Translation) -> bool:
        """Tells if the lexicon has another English headword with both translations."""
        both = self.headwords.get(first.name, set()) & self.headwords.get(second.name, set())
        return bool(both - {first.word})


def _overlap(first: _Translation, second: _Translation) -> float:
    return sum(weight * second.neighbours.get(name, 0.0) for name, weight in first.neighbours.items())


def spaced(rows: Sequence[int], most: int) -> tuple[int, ...]:
    """At most the given number of the rows, evenly spaced."""
    number = min(len(rows), most)
    return tuple(rows[place * len(rows) // number] for place in range(number))
