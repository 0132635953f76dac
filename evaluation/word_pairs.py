"""Word pairs in two languages, from a lexicon or from parallel sentences, and the sense vectors of words."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from sensia.corpora.batching import pad_rows
from sensia.corpora.letter_case import lowered
from sensia.corpora.text_files import numbered_lines
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase

from modeling_sensia import BackpackForCausalLM

# Thai, Lao, Burmese, Khmer, kana and Han: a word of running text has no space before it.
_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_LETTERS = rf"(?:(?![{_UNSPACED}])[^\W\d_])+"
# Letters with apostrophes (straight or typographic) and hyphens inside, as in `anak-anak`.
_WORD = re.compile(rf"[{_UNSPACED}]|{_LETTERS}(?:['\u2019-]{_LETTERS})*")


@dataclass(frozen=True)
class WordPair:
    """
    A word and its translation.

    Args:
        source (`str`): the English word.
        target (`str`): the word of the target language.
    """

    source: str
    target: str


def read_lexicon(path: str | Path) -> tuple[list[WordPair], dict[str, int]]:
    """
    Word pairs of a bilingual word list.

    Args:
        path (`str` or `Path`): UTF-8 file without a header, optionally gzipped; a line is English word, tab, target
            word, and optionally tab and where the pair is from. Blank lines are skipped.

    Returns:
        `tuple`: the pairs in the order of the file, and how many lines were dropped by reason: `phrase` (a side of
        several words), `same_spelling` (any statistic of a word and itself is perfect), `duplicate`.

    Raises:
        ValueError: on a line that is not two or three cells, on an empty word (naming file and line), and if no pair
            is left.
    """
    pairs: dict[WordPair, None] = {}
    dropped: Counter[str] = Counter()
    for number, line in numbered_lines(Path(path)):
        if not line.strip():
            continue
        pair = _lexicon_pair(line.rstrip("\r\n").split("\t"), f"{path}, line {number}")
        reason = "duplicate" if pair in pairs else _lexicon_reason(pair)
        if reason:
            dropped[reason] += 1
        else:
            pairs[pair] = None
    if not pairs:
        raise ValueError(f"{path}: no word pair is left; dropped: {dict(dropped) or 'nothing, the file is empty'}.")
    return list(pairs), dict(dropped)


def _lexicon_pair(cells: list[str], place: str) -> WordPair:
    if len(cells) not in (2, 3):
        raise ValueError(f"{place}: expected English word, target word and optionally origin, got {len(cells)} cells.")
    source, target = (cell.strip() for cell in cells[:2])
    if not source or not target:
        raise ValueError(f"{place}: the {'target' if source else 'English'} word is empty.")
    return WordPair(source, target)


def _lexicon_reason(pair: WordPair) -> str:
    if len(pair.source.split()) > 1 or len(pair.target.split()) > 1:
        return "phrase"
    return "same_spelling" if lowered(pair.source) == lowered(pair.target) else ""


def align_words(
    model: BackpackForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    sources: Sequence[str],
    targets: Sequence[str],
    *,
    matcher: str = "mutual_argmax",
    min_cosine: float = 0.0,
    min_count: int = 2,
    batch_size: int = 256,
) -> tuple[list[WordPair], dict[str, int]]:
    """
    Word pairs that a Backpack itself finds in parallel sentences.

    A word's vector is the sum of its senses, what the model makes of it without context. Inside a pair of sentences
    words are matched by cosine, each word counting once. Pairs chosen by the very vectors under study look better
    aligned than a lexicon's: use them to see more words, not to claim more alignment.

    Args:
        model ([`BackpackForCausalLM`]): the model.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer.
        sources (`Sequence[str]`): English sentences.
        targets (`Sequence[str]`): their translations. In scripts without spaces every character counts as a word.
        matcher (`str`, *optional*, defaults to `"mutual_argmax"`): `"mutual_argmax"` matches words that are each
            other's nearest; `"assignment"` is the one-to-one matching of largest summed cosine, which matches more
            words, less surely.
        min_cosine (`float`, *optional*, defaults to 0.0): matches below this are left out.
        min_count (`int`, *optional*, defaults to 2): sentence pairs in which two words have to be matched.
        batch_size (`int`, *optional*, defaults to 256): words that go through the model at once.

    Returns:
        `tuple`: the pairs, most often matched first, and how many different pairs were dropped by reason:
        `same_spelling`, `rare` (fewer than `min_count` sentences).

    Raises:
        ValueError: if the numbers of sentences differ, the matcher is unknown, or no pair is left.
    """
    if matcher not in _MATCHERS:
        raise ValueError(f"`matcher` must be one of {sorted(_MATCHERS)}, got {matcher!r}.")
    if len(sources) != len(targets):
        raise ValueError(f"Every sentence needs its translation, got {len(sources)} and {len(targets)} sentences.")
    sentences = [(_distinct(source), _distinct(target)) for source, target in zip(sources, targets, strict=True)]
    vocabulary = sorted({word for sides in sentences for side in sides for word in side})
    if not vocabulary:
        raise ValueError(f"There is no word in the {len(sources)} sentence pairs.")
    vectors = F.normalize(word_senses(model, tokenizer, vocabulary, batch_size).sum(1), dim=-1).numpy()  # [V, D]
    counts = _count_matches(sentences, dict(zip(vocabulary, vectors, strict=True)), _MATCHERS[matcher], min_cosine)
    return frequent_pairs(counts, min_count)


def words_of(text: str) -> list[str]:
    """The words of a text in their order; in scripts without spaces every character."""
    return _WORD.findall(text)


def _distinct(text: str) -> list[str]:
    return list(dict.fromkeys(words_of(text)))


def _count_matches(
    sentences: Iterable[tuple[list[str], list[str]]],
    vectors: dict[str, np.ndarray],
    match: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    min_cosine: float,
) -> Counter[WordPair]:
    counts: Counter[WordPair] = Counter()
    for source, target in sentences:
        if not source or not target:
            continue
        cosines = np.stack([vectors[word] for word in source]) @ np.stack([vectors[word] for word in target]).T
        rows, columns = match(cosines)
        counts.update(
            WordPair(source[row], target[column])
            for row, column in zip(rows, columns, strict=True)
            if cosines[row, column] >= min_cosine
        )
    return counts


def _mutual_argmax(cosines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    nearest = cosines.argmax(1)
    rows = np.flatnonzero(cosines.argmax(0)[nearest] == np.arange(len(cosines)))
    return rows, nearest[rows]


def _assignment(cosines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return linear_sum_assignment(cosines, maximize=True)


_MATCHERS = {"mutual_argmax": _mutual_argmax, "assignment": _assignment}


def frequent_pairs(counts: Counter[WordPair], min_count: int) -> tuple[list[WordPair], dict[str, int]]:
    """
    The pairs that were counted often enough, most frequent first, and how many others were dropped by reason.

    Args:
        counts (`Counter[WordPair]`): how often two words were matched.
        min_count (`int`): the least that counts.

    Raises:
        ValueError: if no pair is left.
    """
    pairs, dropped = [], Counter[str]()
    for pair, count in sorted(counts.items(), key=lambda item: (-item[1], item[0].source, item[0].target)):
        if lowered(pair.source) == lowered(pair.target):
            dropped["same_spelling"] += 1
        elif count < min_count:
            dropped["rare"] += 1
        else:
            pairs.append(pair)
    if not pairs:
        raise ValueError(f"No word pair is matched in {min_count} sentence pairs or more; dropped: {dict(dropped)}.")
    return pairs, dict(dropped)


def independent_pairs(
    pairs: Iterable[WordPair],
    tokenizer: PreTrainedTokenizerBase,
    source_tokenizer: PreTrainedTokenizerBase | None = None,
) -> tuple[list[WordPair], dict[str, int]]:
    """
    The pairs that statistics over pairs can treat as independent evidence of alignment.

    A word stays in its first pair only: in several, it would be fitted in one part of the pairs and measured in
    another. Words that share a token are left out, since what they share is one vector, aligned or not.

    Args:
        pairs (`Iterable[WordPair]`): the pairs, best translation first.
        tokenizer (`PreTrainedTokenizerBase`): the tokenizer that reads the target words.
        source_tokenizer (`PreTrainedTokenizerBase`, *optional*): the one that reads the English words, if another.

    Returns:
        `tuple`: the pairs that stay, in their order, and how many were dropped by reason: `shared_token`,
        `repeated_source`, `repeated_target` (also where only upper and lower case differ).
    """
    sources, targets, kept, dropped = set(), set(), [], Counter[str]()
    for pair in pairs:
        source, target = lowered(pair.source), lowered(pair.target)
        left = (source_tokenizer or tokenizer).tokenize(in_running_text(pair.source))
        if not set(left).isdisjoint(tokenizer.tokenize(in_running_text(pair.target))):
            dropped["shared_token"] += 1
        elif source in sources:
            dropped["repeated_source"] += 1
        elif target in targets:
            dropped["repeated_target"] += 1
        else:
            sources.add(source)
            targets.add(target)
            kept.append(pair)
    return kept, dict(dropped)


def in_running_text(word: str) -> str:
    """
    A word as it stands in a sentence, which is how a tokenizer met it in training.

    Args:
        word (`str`): the word.

    Returns:
        `str`: the word with a space before it, or as it is in scripts that do not put spaces between words.
    """
    return word if re.match(f"[{_UNSPACED}]", word) else f" {word}"


@torch.inference_mode()
def word_senses(
    model: BackpackForCausalLM, tokenizer: PreTrainedTokenizerBase, words: Sequence[str], batch_size: int = 256
) -> torch.Tensor:
    """
    The sense vectors of words, written as in running text. They do not depend on context.

    A word of several tokens has for its k-th sense the mean of the k-th senses of its tokens: every token counts
    alike, and a word of one token has exactly that token's senses.

    Args:
        model ([`BackpackForCausalLM`]): the model; evaluated without dropout.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer.
        words (`Sequence[str]`): N words.
        batch_size (`int`, *optional*, defaults to 256): words that go through the model at once.

    Returns:
        `torch.Tensor` of `float32` [N, K, D], on the CPU.

    Raises:
        ValueError: if there is no word, or the tokenizer makes nothing of one.
    """
    if isinstance(words, str) or not words:
        raise ValueError(f"`words` must be a list of at least one word, got {words!r}.")
    rows = tokenizer([in_running_text(word) for word in words], add_special_tokens=False)["input_ids"]
    empty = [word for word, row in zip(words, rows, strict=True) if not row]
    if empty:
        raise ValueError(f"The tokenizer makes no token of {empty[0]!r} ({len(empty)} such words).")
    was_training = model.training
    model.eval()
    parts = [_mean_senses(model, rows[start : start + batch_size]) for start in range(0, len(rows), batch_size)]
    model.train(was_training)
    return torch.cat(parts)


def _mean_senses(model: BackpackForCausalLM, rows: list[list[int]]) -> torch.Tensor:
    ids, mask = (tensor.to(model.device) for tensor in pad_rows(rows, fill=0))  # [B, L]
    senses = model.get_senses(ids).float()  # [B, K, L, D]
    weights = mask / mask.sum(1, keepdim=True)  # [B, L]
    return torch.einsum("bkld,bl->bkd", senses, weights).cpu()  # [B, K, D]
