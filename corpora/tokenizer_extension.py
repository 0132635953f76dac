"""Merges for another language, learned on its text and added behind those of a byte-level BPE tokenizer."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase

from sensia.corpora.tokenizer_files import bpe_description, with_description

#: A merge that is used less often than this in the text teaches an embedding next to nothing.
_LEAST_USES = 5
#: Source words that are rarer than this share of all source words bind no merge: mostly names and slips.
_RARE = 2e-6
#: In source text of fewer words than this, a word that occurs once may be a usual one.
_LARGE = 1_500_000
#: A word whose share of the target text is so many times its share of the source text is none of the source language.
_FOREIGN = 100
#: A round whose merges English words use more often than this adds only a part of the merges that are wanted.
_FEW_REFUSED = 0.01
_PARTS = 8
_MOST_ROUNDS = 40
#: Old tokens stand as single characters of the two planes for private use while merges are learned.
_PRIVATE = (range(0xF0000, 0xFFFFE), range(0x100000, 0x10FFFE))
#: Copies of a word that are handed to the trainer in one text.
_COPIES = 100

Merge = tuple[str, str]


@dataclass(frozen=True)
class Extension:
    """
    Outcome of [`extend_tokenizer`].

    Args:
        tokenizer (`PreTrainedTokenizerBase`): the extended tokenizer. Its new tokens have the highest ids.
        new_ids (`list[int]`): ids of the new tokens, in order.
        refused (`int`): merges that were left out, since they would cut source text in another way.
    """

    tokenizer: PreTrainedTokenizerBase
    new_ids: list[int]
    refused: int


def extend_tokenizer(
    tokenizer: PreTrainedTokenizerBase, sources: Iterable[str], targets: Iterable[str], new_tokens: int
) -> Extension:
    """
    Adds tokens for another language to a byte-level BPE tokenizer (Sennrich et al., arXiv 1508.07909; GPT-2's kind).

    BPE training goes on where it ended: every word of the target text is cut into old tokens, and further merges of
    these are learned by the trainer of `tokenizers`. The new merges come behind the old ones. So every old token keeps
    its id, and a text that has no new token is cut as before. A merge that a word of the source text would use is left
    out, and learning goes on without it: source text is cut as before.

    Two kinds of source words bind no merge, and may be cut in another way. The first are, in a source text of at least
    1.5 million words, words that occur less than twice in a million. The second are words whose share of the target
    text is at least 100 times their share of the source text: the source side of a bitext quotes target words and has
    lines in the wrong language. In a large text, a few of either kind would keep the most frequent words of the target
    language from getting a token.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): the model's tokenizer.
        sources (`Iterable[str]`): text whose words must be cut as before, but for the two kinds above.
        targets (`Iterable[str]`): text of the language to add.
        new_tokens (`int`): number of tokens to add.

    Returns:
        [`Extension`]

    Raises:
        ValueError: if the tokenizer is not of this kind, or the text does not teach so many tokens.
    """
    return extend_to_languages(tokenizer, sources, [targets], new_tokens)


def extend_to_languages(
    tokenizer: PreTrainedTokenizerBase, sources: Iterable[str], languages: Sequence[Iterable[str]], new_tokens: int
) -> Extension:
    """
    Adds tokens for several languages to one tokenizer, as [`extend_tokenizer`] does for one.

    Each language gets an equal share of the tokens, however much text it has: learned on all texts together, the
    tokens would be those of the language with most text. The language with the fewest words comes first. What its text
    cannot teach goes to the others. A later language uses tokens of an earlier one where they fit.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): the model's tokenizer.
        sources (`Iterable[str]`): text whose words must be cut as before.
        languages (`Sequence[Iterable[str]]`): text of each language to add.
        new_tokens (`int`): number of tokens to add for all of them.

    Returns:
        [`Extension`]

    Raises:
        ValueError: if the tokenizer is not of this kind, or the text does not teach so many tokens.
    """
    if new_tokens < 1:
        raise ValueError(f"`new_tokens` must be at least 1, got {new_tokens}.")
    bpe_description(tokenizer)  # refuses other kinds before the texts are read
    source_words = count_words(tokenizer, sources)
    words = sorted((count_words(tokenizer, texts) for texts in languages), key=Counter.total)
    learned = _Learned(tokenizer, _binding(source_words, words))
    for place, each in enumerate(words):
        learned.learn_language(each, (new_tokens - learned.added) // (len(words) - place))
    if learned.added < new_tokens:
        raise ValueError(
            f"`new_tokens` {new_tokens:,} is more than the target text can teach: {learned.added:,} tokens occur at "
            f"least {_LEAST_USES} times and are used by no usual word of the source text. Lower `new_tokens`, or give "
            "more text."
        )
    extended = with_description(tokenizer, learned.description)
    known = set(tokenizer.get_vocab().values())
    new_ids = sorted(number for number in extended.get_vocab().values() if number not in known)
    return Extension(extended, new_ids, len(learned.refused))


def _binding(sources: Counter[str], languages: Iterable[Counter[str]]) -> set[str]:
    """Words of the source text that must be cut as before: see [`extend_tokenizer`]."""
    total = sources.total()
    least = _RARE * total if total >= _LARGE else 1
    bound = {word for word, count in sources.items() if count >= least}
    for words in languages:
        often = _FOREIGN * words.total()
        bound -= {word for word in words.keys() & bound if words[word] * total >= often * sources[word]}
    return bound


def count_words(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> Counter[str]:
    """
    Words of texts, as the tokenizer cuts a text before it merges: `Counter` from word, in the tokenizer's letters for
    bytes, to the number of its occurrences.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): a byte-level BPE tokenizer.
        texts (`Iterable[str]`): any text.
    """
    backend = tokenizer.backend_tokenizer  # type: ignore[attr-defined]
    normalizer, words = backend.normalizer, Counter[str]()
    for text in texts:
        normalized = normalizer.normalize_str(text) if normalizer else text
        words.update(word for word, _ in backend.pre_tokenizer.pre_tokenize_str(normalized))
    return words


class _Learned:
    """The description of a tokenizer with the merges learned so far, and how words are cut by it."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, sources: set[str]):
        self.description = bpe_description(tokenizer)
        self.next_id = max(tokenizer.get_vocab().values()) + 1
        self.cut = Tokenizer.from_str(json.dumps(self.description))
        self.known = sources
        pieces = {word: self._pieces(word) for word in sources}
        self.sources = {word: each for word, each in pieces.items() if len(each) > 1}
        self.targets: dict[str, int] = {}
        self.refused: set[Merge] = set()
        self.added = 0

    def _pieces(self, word: str) -> list[str]:
        return [token.value for token in self.cut.model.tokenize(word)]

    def learn_language(self, words: Mapping[str, int], number: int):
        """Adds so many tokens for the words of a language, or as many as they teach."""
        # A word that both texts have stays as it is.
        self.targets = {word: count for word, count in words.items() if word not in self.known}
        end, rounds = self.added + number, 0
        while self.added < end and rounds < _MOST_ROUNDS and self._learn(end - self.added, -(-number // _PARTS)):
            rounds += 1

    def _learn(self, missing: int, part: int) -> bool:
        """Adds merges of one round, at most `missing`; `False` if the text has no further merges."""
        proposed = self._propose(2 * missing + len(self.refused))
        refused = self._refuse(proposed)
        few = len(refused) <= _FEW_REFUSED * len(proposed)
        added = self._append(proposed, missing if few else min(missing, part))
        return bool(added or refused)

    def _propose(self, number: int) -> list[Merge]:
        """The most frequent merges of the pieces of the target words. Two pieces of a refused merge stay apart."""
        signs = _Signs()
        counts: Counter[str] = Counter()
        for word, count in self.targets.items():
            pieces = self._pieces(word)
            if len(pieces) > 1:
                counts[signs.write(pieces, self.refused)] += count
        learner = Tokenizer(models.BPE())
        learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
        trainer = trainers.BpeTrainer(
            vocab_size=len(signs.pieces) + number, min_frequency=_LEAST_USES, show_progress=False
        )
        learner.train_from_iterator(_repeated(counts), trainer)
        merges = json.loads(learner.to_str())["model"]["merges"]
        return [(signs.read(first), signs.read(second)) for first, second in merges]

    def _refuse(self, proposed: list[Merge]) -> list[Merge]:
        """Refuses those merges that source words use, and returns them."""
        used = self._used_by_sources(self._with(proposed)[0])
        refused = [merge for merge in proposed if "".join(merge) in used]
        self.refused.update(refused)
        return refused

    def _append(self, proposed: list[Merge], most: int) -> int:
        """Appends merges whose parts are there; the number of tokens added, at most `most`."""
        while True:
            description, added = self._with(proposed, most)
            # Leaving out one merge can make room for another: all are looked at together once more.
            used = self._used_by_sources(description)
            if not used:
                break
            self.refused.update(merge for merge in proposed if "".join(merge) in used)
        self.description, self.cut = description, Tokenizer.from_str(json.dumps(description))
        self.added += added
        return added

    def _with(self, proposed: list[Merge], most: int | None = None) -> tuple[dict[str, Any], int]:
        """The description with merges that are not refused and whose parts are there, and how many tokens are new."""
        model = dict(self.description["model"])
        vocabulary, merges = dict(model["vocab"]), list(model["merges"])
        before = len(vocabulary)
        for first, second in proposed:
            if len(vocabulary) - before == most:
                break
            if (first, second) in self.refused or first not in vocabulary or second not in vocabulary:
                continue
            vocabulary.setdefault(first + second, self.next_id + self.added + len(vocabulary) - before)
            merges.append([first, second])
        model = {**model, "vocab": vocabulary, "merges": merges}
        return {**self.description, "model": model}, len(vocabulary) - before

    def _used_by_sources(self, description: dict[str, Any]) -> set[str]:
        """Tokens of source words that are cut in another way than before."""
        cut, used = Tokenizer.from_str(json.dumps(description)), set[str]()
        for word, before in self.sources.items():
            after = [token.value for token in cut.model.tokenize(word)]
            if after != before:
                used.update(after)
        return used


class _Signs:
    """Single characters that stand for pieces, so that a trainer cannot look into them."""

    def __init__(self):
        self.free: Iterator[int] = (number for numbers in _PRIVATE for number in numbers)
        self.pieces: dict[str, str] = {}
        self.signs: dict[str, str] = {}

    def write(self, pieces: list[str], apart: set[Merge]) -> str:
        """A word in signs, with spaces between pieces that must stay apart."""
        written = [self._sign(pieces[0])]
        for first, second in pairwise(pieces):
            written.append(" " * ((first, second) in apart) + self._sign(second))
        return "".join(written)

    def read(self, signs: str) -> str:
        """The pieces that signs stand for, joined."""
        return "".join(self.pieces[sign] for sign in signs)

    def _sign(self, piece: str) -> str:
        if piece not in self.signs:
            self.signs[piece] = chr(next(self.free))
            self.pieces[self.signs[piece]] = piece
        return self.signs[piece]


def _repeated(counts: Mapping[str, int]) -> Iterator[str]:
    """Every word as often as it occurs, some copies in one text: the trainer counts words itself."""
    for word, count in counts.items():
        for start in range(0, count, _COPIES):
            yield " ".join([word] * min(_COPIES, count - start))
