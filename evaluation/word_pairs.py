"""Word pairs of two languages, from a lexicon or from parallel sentences, and sense vectors of words."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase

from modeling_sensia import BackpackForCausalLM
from sensia.corpora.batching import pad_rows
from sensia.corpora.letter_case import lowered
from sensia.corpora.text_files import numbered_lines

# Scripts without spaces between words: Thai, Lao, Burmese, Khmer, kana and Han.
_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_LETTERS = rf"(?:(?![{_UNSPACED}])[^\W\d_])+"
# Letters, with apostrophes (straight or typographic) and hyphens between them, as in `anak-anak`.
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
    Reads the word pairs of a bilingual word list.

    Args:
        path (`str` or `Path`): UTF-8 file without a header, optionally gzipped; a line is English word, tab, target
            word, and optionally tab and origin of the pair. Blank lines are skipped.

    Returns:
        `tuple`: the pairs in the order of the file, and the number of lines dropped by reason: `phrase` (a side of
        several words), `same_spelling` (identical words would give perfect statistics), `duplicate`.

    Raises:
        ValueError: for a line without two or three cells or with an empty word (names file and line), or if no pair is
            left.
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
    Finds word pairs in parallel sentences with the vectors of a Backpack.

    The vector of a word is the sum of its senses, which does not depend on context. In each sentence pair, distinct
    words are matched by cosine. Pairs that the studied vectors chose look better aligned than those of a lexicon: use
    them to see more words, not as evidence of alignment.

    Args:
        model ([`BackpackForCausalLM`]): the model.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer.
        sources (`Sequence[str]`): English sentences.
        targets (`Sequence[str]`): their translations. In scripts without spaces every character is a word.
        matcher (`str`, *optional*, defaults to `"mutual_argmax"`): `"mutual_argmax"` matches mutual nearest
            neighbours; `"assignment"` is the one-to-one matching with the largest sum of cosines, which matches more
            words with less certainty.
        min_cosine (`float`, *optional*, defaults to 0.0): smallest cosine of a match.
        min_count (`int`, *optional*, defaults to 2): smallest number of sentence pairs in which two words are matched.
        batch_size (`int`, *optional*, defaults to 256): words that go through the model at once.

    Returns:
        `tuple`: the pairs in order of decreasing number of matches, and the number of distinct pairs dropped by
        reason: `same_spelling`, `rare` (fewer than `min_count` sentences).

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
    """Words of a text in order; in scripts without spaces every character is a word."""
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
    Selects the pairs with enough counts, most frequent first; also returns the number of others by reason.

    Args:
        counts (`Counter[WordPair]`): number of matches of each pair.
        min_count (`int`): smallest count that is kept.

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
    Selects pairs that statistics can treat as independent evidence of alignment.

    A word is kept in its first pair only; otherwise it could be in the fitted and in the held-out part at once. Words
    that share a token are left out, because they share its sense vectors whether the model is aligned or not.

    Args:
        pairs (`Iterable[WordPair]`): the pairs, best translation first.
        tokenizer (`PreTrainedTokenizerBase`): the tokenizer that reads the target words.
        source_tokenizer (`PreTrainedTokenizerBase`, *optional*): the tokenizer that reads the English words, if it is
            another one.

    Returns:
        `tuple`: the selected pairs in order, and the number of pairs dropped by reason: `shared_token`,
        `repeated_source`, `repeated_target` (also if the words differ only in case).
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
    Form of a word inside a sentence, as tokenizers see it in training.

    Args:
        word (`str`): the word.

    Returns:
        `str`: the word with a space before it, or unchanged in scripts without spaces between words.
    """
    return word if re.match(f"[{_UNSPACED}]", word) else f" {word}"


@torch.inference_mode()
def word_senses(
    model: BackpackForCausalLM, tokenizer: PreTrainedTokenizerBase, words: Sequence[str], batch_size: int = 256
) -> torch.Tensor:
    """
    Computes the sense vectors of words, encoded as in running text. They do not depend on context.

    Sense k of a word of several tokens is the mean of sense k over its tokens. A word of one token has exactly the
    senses of that token.

    Args:
        model ([`BackpackForCausalLM`]): the model; evaluated without dropout.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer.
        words (`Sequence[str]`): N words.
        batch_size (`int`, *optional*, defaults to 256): words that go through the model at once.

    Returns:
        `torch.Tensor` of `float32` [N, K, D], on the CPU.

    Raises:
        ValueError: if there is no word, or the tokenizer gives no token for one.
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
