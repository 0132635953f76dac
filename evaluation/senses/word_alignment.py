"""Word pairs from a statistical aligner, which does not depend on a model."""

from collections import Counter
from collections.abc import Sequence

from sensia.corpora.letter_case import lowered
from sensia.corpora.token_links import count_links
from sensia.evaluation.word_pairs import WordPair, frequent_pairs, words_of


def align_sentences(
    sources: Sequence[str],
    targets: Sequence[str],
    *,
    iterations: int = 5,
    min_count: int = 5,
    min_share: float = 0.3,
) -> tuple[list[WordPair], dict[str, int]]:
    """
    Finds word pairs in parallel sentences with fast_align (Dyer et al., 2013), by the package `systran-align`.

    The aligner runs in both directions and combines the links. Unlike those of [`word_pairs.align_words`], the pairs
    do not depend on the vectors that are studied. Some pairs are wrong, and most of these are rare. `systran-align` is
    optional: `pip install "sensia[align]"`.

    Args:
        sources (`Sequence[str]`): English sentences, compared in lower case.
        targets (`Sequence[str]`): their translations. In scripts without spaces every character is a word.
        iterations (`int`, *optional*, defaults to 5): iterations of expectation maximisation.
        min_count (`int`, *optional*, defaults to 5): smallest number of links of two words.
        min_share (`float`, *optional*, defaults to 0.3): smallest share of the links of each word that go to the other
            word.

    Returns:
        `tuple`: the pairs in order of decreasing number of links, and the number of distinct pairs dropped by reason:
        `same_spelling`, `rare`, `uncertain` (under `min_share`).

    Raises:
        ValueError: if the package is not installed, the numbers of sentences differ, or no pair is left.
    """
    if len(sources) != len(targets):
        raise ValueError(f"Every sentence needs its translation, got {len(sources)} and {len(targets)} sentences.")
    sides = ([words_of(lowered(text)) for text in texts] for texts in (sources, targets))
    sentences = [pair for pair in zip(*sides, strict=True) if all(pair)]
    if not sentences:
        raise ValueError(f"There is no word in the {len(sources)} sentence pairs.")
    counts = count_links(sentences, iterations)
    links = Counter({WordPair(*words): count for words, count in counts.items()})
    certain = _certain_links(links, min_share)
    pairs, dropped = frequent_pairs(certain, min_count)
    return pairs, {**dropped, "uncertain": len(links) - len(certain)}


def _certain_links(links: Counter[WordPair], min_share: float) -> Counter[WordPair]:
    of_source, of_target = Counter[str](), Counter[str]()
    for pair, count in links.items():
        of_source[pair.source] += count
        of_target[pair.target] += count
    return Counter(
        {
            pair: count
            for pair, count in links.items()
            if count >= min_share * max(of_source[pair.source], of_target[pair.target])
        }
    )
