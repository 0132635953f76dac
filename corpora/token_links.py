"""Links between the words or tokens of parallel sentences, by a statistical aligner that knows no model."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path


def link_words(
    sentences: Sequence[tuple[Sequence[str], Sequence[str]]], iterations: int = 5
) -> Iterator[list[tuple[int, int]]]:
    """
    Links words with fast_align (Dyer et al., 2013), by the package `systran-align`.

    The aligner runs in both directions and combines the links. `systran-align` is optional:
    `pip install "sensia[align]"`.

    Args:
        sentences (`Sequence`): pairs of sentences, each as its words or tokens, none of which has white space in it.
        iterations (`int`, *optional*, defaults to 5): iterations of expectation maximisation.

    Returns:
        `Iterator` of `list`: for each pair, places of the source word and the target word of each link.

    Raises:
        ValueError: if the package is not installed.
    """
    try:
        import systran_align
    except ImportError as error:
        raise ValueError('Aligning needs the package systran-align: pip install "sensia[align]"') from error
    with tempfile.TemporaryDirectory() as folder:
        text, forward, backward = (str(Path(folder) / name) for name in ("text", "forward", "backward"))
        with open(text, "w", encoding="utf-8") as lines:
            lines.writelines(
                f"{' '.join(source)} ||| {' '.join(target)}\n" for source, target in sentences if source and target
            )
        systran_align.generate_alignment_probabilities(text, forward, backward, iterations=iterations)
        aligner = systran_align.Aligner(forward, backward)
        for source, target in sentences:
            yield aligner.align(list(source), list(target))["alignments"] if source and target else []


def count_links(
    sentences: Sequence[tuple[Sequence[str], Sequence[str]]], iterations: int = 5
) -> Counter[tuple[str, str]]:
    """
    Counts the links of [`link_words`].

    Args:
        sentences (`Sequence`): pairs of sentences, each as its words or tokens, none of which has white space in it.
        iterations (`int`, *optional*, defaults to 5): iterations of expectation maximisation.

    Returns:
        `Counter`: number of links of each pair of a source word and a target word.

    Raises:
        ValueError: if the package is not installed.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for (source, target), links in zip(sentences, link_words(sentences, iterations), strict=True):
        counts.update((source[row], target[column]) for row, column in links)
    return counts
