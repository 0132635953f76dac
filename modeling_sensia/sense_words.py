"""Words of several tokens as units that have senses of their own.

Senses belong to tokens, so a word of several tokens is told apart by its last one: where that token ends the word, it
counts as another token, with an id beyond the vocabulary. What follows the mixture's rule for tokens (computing senses
once for each distinct id, caching ids, tables) then holds for words too.

Shapes: B rows, S positions, L of them in this call, V tokens of the vocabulary, W words.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

Word = tuple[int, ...]


@dataclass(frozen=True)
class SenseWords:
    """
    Words of several tokens; word w has the id V + 1 + w. V is the id of padding, which belongs to no word.

    Args:
        vocab_size (`int`): number V of tokens.
        words (`tuple` of `tuple` of `int`): token ids of each word, at least 2.
    """

    vocab_size: int
    words: tuple[Word, ...]

    def with_words(self, words: list[Word]) -> "SenseWords":
        """These words, then those of the others that are new."""
        return SenseWords(self.vocab_size, tuple(dict.fromkeys((*self.words, *words))))

    @property
    def num_ids(self) -> int:
        """`int`: V + 1 + W."""
        return self.vocab_size + 1 + len(self.words)

    def id_of(self, word: Word) -> int:
        """The id of a word; that of a word of one token is the token's."""
        return word[0] if len(word) == 1 else self.vocab_size + 1 + self.words.index(word)

    def ids_in(self, token_ids: Tensor) -> Tensor:
        """
        Replaces the last token of each word by the word's id. Of several words that end at a position, the longest
        counts.

        Args:
            token_ids (`torch.Tensor` of `int` [B, S]): whole texts, from their first token; V for padding.

        Returns:
            `torch.Tensor` of `int` [B, S]
        """
        found = token_ids
        for number, word in sorted(enumerate(self.words), key=lambda each: len(each[1])):
            before = len(word) - 1
            length = token_ids.shape[1] - before
            if length < 1:
                break
            ends = torch.ones_like(token_ids[:, before:], dtype=torch.bool)
            for place, token in enumerate(word):
                ends &= token_ids[:, place : place + length] == token
            found = torch.cat(
                [found[:, :before], found[:, before:].masked_fill(ends, self.vocab_size + 1 + number)], 1
            )
        return found

    def mark_padding(self, token_ids: Tensor, attention_mask: Tensor | None) -> Tensor:
        """
        Gives padding an id of its own, so that it is no part of a word.

        Args:
            token_ids (`torch.Tensor` of `int` [B, L]): the last L of S positions.
            attention_mask (`torch.Tensor` [B, S], *optional*): 0 for padding; other shapes say nothing of it.

        Returns:
            `torch.Tensor` of `int` [B, L]
        """
        if attention_mask is None or attention_mask.ndim != 2:
            return token_ids
        is_padding = attention_mask[:, -token_ids.shape[1] :] == 0
        return token_ids.masked_fill(is_padding, self.vocab_size)

    def tokens_of(self, ids: Tensor) -> Tensor:
        """Token of each id, [...]: of a word its last one, of padding the first of the vocabulary."""
        return self._lookup([0, *(word[-1] for word in self.words)], ids)

    def known_to(self, other: "SenseWords", ids: Tensor) -> Tensor:
        """Ids [...] of the longest of the others with which the word of each id ends, or of its last token."""
        return self._lookup([self.vocab_size, *map(other.longest_end, self.words)], ids)

    def longest_end(self, word: Word) -> int:
        """The id of the longest of these words that a word ends with, or of its last token."""
        ends = [word[start:] for start in range(len(word) - 1) if word[start:] in self.words]
        return self.id_of(ends[0] if ends else word[-1:])

    def ending_with(self, ids: list[int]) -> list[int]:
        """These ids, and those of all words that end with one of their tokens or words."""
        named = {(token,) if token < self.vocab_size else self.words[token - self.vocab_size - 1] for token in ids}
        longer = [word for word in self.words if any(word[start:] in named for start in range(len(word)))]
        return [*ids, *map(self.id_of, longer)]

    def _lookup(self, values: list[int], ids: Tensor) -> Tensor:
        of_ids = torch.cat([torch.arange(self.vocab_size), torch.tensor(values, dtype=torch.long)])
        return of_ids.to(ids.device)[ids]


__all__ = ["SenseWords", "Word"]
