"""Tasks that are measured on a list of words: translation, likeness, and the geometry of senses."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sensia.corpora.rows import describe_rows
from sensia.evaluation.sentence_vectors import is_backpack
from sensia.evaluation.tasks.loaded import Loaded, NotOfferedError
from sensia.evaluation.tasks.sense_geometry import measure_procrustes, measure_topology
from sensia.evaluation.tasks.word_similarity import measure_word_similarity, read_word_similarity
from sensia.evaluation.tasks.word_translation import measure_word_translation
from sensia.evaluation.word_pairs import read_lexicon

#: Cosines between fewer senses have no order to compare.
_SENSES_OF_TOPOLOGY = 3


def load_lexicon(source: str, settings: Mapping[str, Any]) -> Loaded:
    """Reads a bilingual word list to translate by; see [`measure_word_translation`]."""
    pairs, dropped = read_lexicon(_local(source))

    def measure(model, tokenizer, progress: bool) -> dict[str, Any]:
        return measure_word_translation(model, tokenizer, pairs, **settings) | {"dropped": dropped}

    return Loaded(measure, [describe_rows(source, map(asdict, pairs))])


def load_similarity(source: str, settings: Mapping[str, Any]) -> Loaded:
    """Reads pairs of words that people rated; see [`measure_word_similarity`]."""
    pairs = read_word_similarity(_local(source))

    def measure(model, tokenizer, progress: bool) -> dict[str, Any]:
        return measure_word_similarity(model, tokenizer, pairs)

    return Loaded(measure, [describe_rows(source, map(asdict, pairs))])


def load_topology(source: str, settings: Mapping[str, Any]) -> Loaded:
    """Reads a bilingual word list to compare arrangements of senses on; see [`measure_topology`]."""
    pairs, _ = read_lexicon(_local(source))

    def measure(model, tokenizer, progress: bool) -> dict[str, Any]:
        refuse_without_senses(model, least=_SENSES_OF_TOPOLOGY)
        return measure_topology(model, tokenizer, pairs, **settings)

    return Loaded(measure, [describe_rows(source, map(asdict, pairs))])


def load_procrustes(source: str, settings: Mapping[str, Any]) -> Loaded:
    """Reads a bilingual word list to fit rotations on; see [`measure_procrustes`]."""
    pairs, _ = read_lexicon(_local(source))

    def measure(model, tokenizer, progress: bool) -> dict[str, Any]:
        refuse_without_senses(model)
        return measure_procrustes(model, tokenizer, pairs, **settings)

    return Loaded(measure, [describe_rows(source, map(asdict, pairs))])


def refuse_without_senses(model: Any, least: int = 1):
    """
    Args:
        model (`PreTrainedModel`): any model.
        least (`int`, *optional*, defaults to 1): number of senses that it must have.

    Raises:
        NotOfferedError: if it is no Backpack, or has fewer senses.
    """
    number = model.config.num_senses if is_backpack(model) else 0
    if number < least:
        raise NotOfferedError(f"the model must have at least {least} sense{'s' * (least > 1)}, it has {number}")


def _local(source: str) -> str:
    if not Path(source).is_file():
        raise FileNotFoundError(f"no such file: {source} (word lists are read from local files)")
    return source
