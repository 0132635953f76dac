"""Parts of speech of words: from a file, from an English tagger, or transferred from English by word pairs."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from sensia.corpora.letter_case import lowered
from sensia.corpora.text_files import numbered_lines
from sensia.evaluation.word_pairs import WordPair

UNDECIDED = "several"


def read_tags(path: str | Path) -> dict[str, str]:
    """
    Reads parts of speech, one `word<TAB>tag` a line.

    Args:
        path (`str` or `Path`): UTF-8 file without a header, optionally gzipped. Any tags will do.

    Returns:
        `dict[str, str]`: tag by word; case is ignored. Blank lines are skipped.

    Raises:
        ValueError: for a line that is not a word and a tag, a word with two tags, or a file without tags.
    """
    tags: dict[str, str] = {}
    for number, line in numbered_lines(Path(path)):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) != 2 or not all(cells):
            raise ValueError(f"{path}, line {number}: expected `word<TAB>tag`, got {line.rstrip()!r}")
        word, tag = lowered(cells[0]), cells[1]
        if tags.setdefault(word, tag) != tag:
            raise ValueError(f"{path}, line {number}: {word!r} is tagged {tag!r} here and {tags[word]!r} before")
    if not tags:
        raise ValueError(f"{path}: no `word<TAB>tag` line")
    return tags


def tag_english(texts: Iterable[str]) -> dict[str, str]:
    """
    Tags the words of English texts in context with the package `denckring-en-pos`.

    It is an averaged perceptron trained on UD English-EWT, with an accuracy of 0.934 on the test set according to its
    authors. The package is optional: `pip install "sensia[tags]"`.

    Args:
        texts (`Iterable[str]`): English texts.

    Returns:
        `dict[str, str]`: most frequent universal tag (`NOUN`, `VERB`, ...) of each word, ignoring case; of equally
        frequent tags the alphabetically first.

    Raises:
        ValueError: if the package is not installed.
    """
    try:
        from denckring_en_pos import tagger
    except ImportError as error:
        raise ValueError('Tagging needs the package denckring-en-pos: pip install "sensia[tags]"') from error
    model, counts = tagger(), defaultdict[str, Counter[str]](Counter)
    for text in texts:
        words = re.findall(r"\w+", text)
        for word, label in zip(words, model.tag(words) if words else (), strict=True):
            counts[lowered(word)][label.partition("|")[0]] += 1  # without the verb form of UD
    return {word: min(tags, key=lambda tag: (-tags[tag], tag)) for word, tags in counts.items()}


def carry_over(tags: Mapping[str, str], pairs: Iterable[WordPair]) -> dict[str, str]:
    """
    Transfers parts of speech from English words to their translations.

    A translation may have another part of speech than its word, so these tags are approximate.

    Args:
        tags (`Mapping[str, str]`): tags of English words, from [`tag_english`] or [`read_tags`].
        pairs (`Iterable[WordPair]`): words and their translations.

    Returns:
        `dict[str, str]`: tag by target word, ignoring case; `several` if the tags of its English words differ. Words
        without tagged English words are left out.
    """
    found = defaultdict[str, set[str]](set)
    for pair in pairs:
        if tag := tags.get(lowered(pair.source)):
            found[lowered(pair.target)].add(tag)
    return {word: next(iter(each)) if len(each) == 1 else UNDECIDED for word, each in found.items()}
