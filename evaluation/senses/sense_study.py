"""Study of senses across two languages: choice of words and parts of speech, and the measures of a model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from modeling_sensia import BackpackForCausalLM
from sensia.evaluation.senses.ambiguous_words import AmbiguousWord, find_ambiguous_words
from sensia.evaluation.senses.geometry import compare_geometry
from sensia.evaluation.senses.meanings import measure_meanings
from sensia.evaluation.senses.mixture import ablate_mixture, count_words, measure_mixture
from sensia.evaluation.senses.parts_of_speech import carry_over, read_tags, tag_english
from sensia.evaluation.senses.sense_maps import choose_pairs, map_words
from sensia.evaluation.senses.word_alignment import align_sentences
from sensia.evaluation.senses.word_lists import find_listed_words, read_word_list
from sensia.evaluation.word_pairs import WordPair, align_words

TAGGER, BY_LEXICON = "tagger", "lexicon"  # instead of a file of tags
PAIRS = ("lexicon", "own_vectors", "aligner")

Texts = Mapping[str, Sequence[str]]  # sentences by language, source language first


def choose_words(
    bitext: Texts, lexicon: Sequence[WordPair], word_list: str | None, **options: Any
) -> list[AmbiguousWord]:
    """
    Chooses ambiguous words with their sentences: those of a checked list, or those found by rules.

    Args:
        bitext (`Texts`): sentence pairs.
        lexicon (`Sequence[WordPair]`): word pairs for the rules.
        word_list (`str`, *optional*): file that [`word_lists.read_word_list`] reads.
        options: options of [`word_lists.find_listed_words`] and [`ambiguous_words.find_ambiguous_words`].
    """
    if word_list is None:
        return find_ambiguous_words(lexicon, *bitext.values(), **options)
    return find_listed_words(read_word_list(word_list), *bitext.values(), **options)


def choose_tags(
    bitext: Texts, lexicon: Sequence[WordPair], source_tags: str | None, target_tags: str | None
) -> tuple[dict[str, str] | None, dict[str, str] | None]:
    """
    Chooses the parts of speech of the words of both languages.

    Args:
        bitext (`Texts`): sentence pairs; the English side is tagged.
        lexicon (`Sequence[WordPair]`): word pairs that transfer tags to the target language.
        source_tags (`str`, *optional*): file that [`parts_of_speech.read_tags`] reads, or `tagger` for English.
        target_tags (`str`, *optional*): such a file, or `lexicon` for the tags of the English words.

    Raises:
        ValueError: for `lexicon` without `source_tags`.
    """
    source = tag_english(next(iter(bitext.values()))) if source_tags == TAGGER else _read_if_given(source_tags)
    if target_tags != BY_LEXICON:
        return source, _read_if_given(target_tags)
    if source is None:
        raise ValueError("`target_tags: lexicon` takes the tags of English words: give `source_tags` too.")
    return source, carry_over(source, lexicon)


def _read_if_given(path: str | Path | None) -> dict[str, str] | None:
    return None if path is None else read_tags(path)


def choose_geometry_pairs(
    pairs_from: str, lexicon: Sequence[WordPair], bitext: Texts, model: BackpackForCausalLM, tokenizer
) -> list[WordPair]:
    """
    Chooses the word pairs of the geometry.

    Args:
        pairs_from (`str`): `lexicon`, `own_vectors` ([`word_pairs.align_words`]) or `aligner`
            ([`word_alignment.align_sentences`]).
        lexicon (`Sequence[WordPair]`), bitext (`Texts`): what pairs come from.
        model ([`BackpackForCausalLM`]), tokenizer: whose vectors.

    Raises:
        ValueError: for another name.
    """
    if pairs_from == "lexicon":
        return list(lexicon)
    if pairs_from == "own_vectors":
        return align_words(model, tokenizer, *bitext.values())[0]
    if pairs_from == "aligner":
        return align_sentences(*bitext.values())[0]
    raise ValueError(f"`pairs_from` must be one of {', '.join(PAIRS)}, got {pairs_from!r}.")


def study_model(
    model: BackpackForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    *,
    bitext: Texts,
    held_out: Texts,
    words: Sequence[AmbiguousWord],
    tags: Sequence[Mapping[str, str] | None],
    lexicon: Sequence[WordPair],
    pairs_from: str,
    mapped: Sequence[str],
    pooling_temperature: float,
    shuffles: int,
    seed: int,
) -> dict[str, Any]:
    """
    Computes all measures of one model.

    Args:
        model ([`BackpackForCausalLM`]), tokenizer: evaluated without dropout.
        bitext, held_out (`Texts`): sentences with ambiguous words, in which words are counted; sentences on which the
            mixture is measured.
        words (`Sequence[AmbiguousWord]`): of [`choose_words`].
        tags (`Sequence`): of [`choose_tags`].
        lexicon (`Sequence[WordPair]`): word pairs of the map, and of the geometry if `pairs_from` is `lexicon`.
        pairs_from (`str`): of [`choose_geometry_pairs`].
        mapped (`Sequence[str]`): English words of the map; the most frequent ones if empty.
        pooling_temperature (`float`): temperature of the mixture.
        shuffles, seed (`int`): number of shuffles of the chance levels, and seed.

    Returns:
        `dict`: `mixture` by language with its `ablation`, `meanings` (with `choices`; `None` without words),
        `geometry`, `word_map` (`None` for fewer than 3 words of one token).
    """
    counts = [count_words(texts) for texts in bitext.values()]
    chance: dict[str, Any] = {"pooling_temperature": pooling_temperature, "permutations": shuffles, "seed": seed}
    mixture = {}
    for (language, texts), tag, count in zip(held_out.items(), tags, counts, strict=True):
        options: dict[str, Any] = {"pooling_temperature": pooling_temperature, "counts": count, "tags": tag}
        measures = measure_mixture(model, tokenizer, texts, **options)
        mixture[language] = {**measures, "ablation": ablate_mixture(model, tokenizer, texts)}
    pairs = choose_geometry_pairs(pairs_from, lexicon, bitext, model, tokenizer)
    both = counts[0], counts[1]
    chosen = choose_pairs(lexicon, tokenizer, both, mapped)
    sources = next(iter(bitext.values()))
    return {
        "mixture": mixture,
        "meanings": measure_meanings(model, tokenizer, words, sources, **chance) if words else None,
        "geometry": compare_geometry(model, tokenizer, pairs, counts=both, shuffles=shuffles, seed=seed),
        "word_map": map_words(model, tokenizer, chosen) if len(chosen) >= 3 else None,
    }
