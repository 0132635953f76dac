"""Words that a statistical aligner links in the training bitext, for the word-level contrast."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerBase

from sensia.corpora.batching import pad_rows
from sensia.corpora.letter_case import lowered
from sensia.corpora.token_links import count_links
from sensia.evaluation.word_pairs import in_running_text, words_of

#: Links that a word pair needs; rarer ones are often wrong.
_LEAST_LINKS = 3


@dataclass(frozen=True)
class AlignedWords:
    """
    Pairs of a word and its translation, in which no word comes twice.

    Args:
        word_ids (`torch.Tensor` of `int` [2, N, T]): token ids of the source and of the target words, as in running
            text, filled with -1.
        weights (`torch.Tensor` [N]): share of the links of the more frequent word that go to the other one, in (0, 1].
        words (`list` of `tuple` of two `str`): the words, in the same order.
    """

    word_ids: torch.Tensor
    weights: torch.Tensor
    words: list[tuple[str, str]]


def align_words(
    sources: Sequence[str], targets: Sequence[str], tokenizer: PreTrainedTokenizerBase, iterations: int = 5
) -> AlignedWords:
    """
    Links the words of parallel sentences by fast_align (Dyer et al., 2013), and keeps the pairs in which each word is
    the one that the other is linked with most often.

    Words are compared in lower case. Pairs of one spelling, and pairs with fewer than three links, are left out.

    Args:
        sources (`Sequence[str]`), targets (`Sequence[str]`): sentences and their translations.
        tokenizer (`PreTrainedTokenizerBase`): the model's.
        iterations (`int`, *optional*, defaults to 5): as in [`count_links`].

    Raises:
        ValueError: if the package `systran-align` is not installed, or fewer than two pairs are left.
    """
    sides = ([words_of(lowered(text)) for text in texts] for texts in (sources, targets))
    counts = count_links([pair for pair in zip(*sides, strict=True) if all(pair)], iterations)
    pairs = mutual_pairs(counts)
    if len(pairs) < 2:
        raise ValueError(
            f"`word_alignment_weight` needs at least two pairs of words that the bitext links, got {len(pairs)} from "
            f"{len(sources):,} sentence pairs."
        )
    words = list(pairs)
    rows = [_tokens(tokenizer, word) for side in zip(*words, strict=True) for word in side]
    ids, mask = pad_rows(rows, fill=0)  # [2 N, T]
    word_ids = ids.masked_fill(mask == 0, -1).view(2, len(words), -1)
    return AlignedWords(word_ids, torch.tensor(list(pairs.values())), words)


def mutual_pairs(counts: Counter[tuple[str, str]]) -> dict[tuple[str, str], float]:
    """
    The pairs in which each word is the other's most frequent partner, with the share of their links.

    Args:
        counts (`Counter`): number of links of each pair of words.

    Returns:
        `dict`: by pair, its links divided by those of the word that has more; most links first.
    """
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    totals = Counter[str](), Counter[str]()
    partners: tuple[dict[str, str], dict[str, str]] = {}, {}
    for pair, count in ordered:
        for side, other in ((0, 1), (1, 0)):
            totals[side][pair[side]] += count
            partners[side].setdefault(pair[side], pair[other])
    return {
        (source, target): count / max(totals[0][source], totals[1][target])
        for (source, target), count in ordered
        if count >= _LEAST_LINKS
        and source != target
        and partners[0][source] == target
        and partners[1][target] == source
    }


def _tokens(tokenizer: PreTrainedTokenizerBase, word: str) -> list[int]:
    return tokenizer(in_running_text(word), add_special_tokens=False)["input_ids"]
