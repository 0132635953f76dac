"""Lines about the tokenizer of a run: what it needs for the target language, and when that is too much."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from datasets import Dataset

from sensia.corpora import Language
from sensia.trainers.pair_sets import PairSet
from sensia.trainers.run_arguments import AdaptArguments

#: With more tokens for a target sentence than this many times those of its source, the run says so.
_HARD_TO_WRITE = 3.0
_PAIRS = 2000


def hard_to_write(args: AdaptArguments, parts: Sequence[PairSet]) -> Iterator[str]:
    """
    Warnings of training data whose target side the tokenizer writes in far more tokens than the source side.

    Args:
        args ([`AdaptArguments`]): the settings.
        parts (`Sequence` of [`PairSet`]): the training data.
    """
    for part in parts:
        if args.target_tokenizer != "none" or part.role != "bitext" or not isinstance(part.pairs, Dataset):
            continue
        some = part.pairs.select(range(min(_PAIRS, len(part.pairs))))
        source, target = (sum(map(len, some[f"{side}_ids"])) / len(some) for side in ("source", "target"))
        if target > _HARD_TO_WRITE * source:
            language = part.languages[1].name if part.languages else "the target language"
            yield (
                f"{part.name}: the tokenizer writes a sentence of {language} in {target:.0f} tokens, its source in "
                f"{source:.0f}. Such a language is learned slowly and aligns badly: set `target_tokenizer: extend` "
                "(docs/tokenizers.md)."
            )


def told_change(change: Mapping[str, Any], languages: Sequence[Language]) -> str:
    """
    A change of the tokenizer in one line.

    Args:
        change (`Mapping`): of [`Retokenized`].
        languages (`Sequence` of [`Language`]): the target languages.
    """
    before, after = (
        [each["tokens_per_sentence"] for each in (use["target"], *use.get("other_targets", ()))]
        for use in (change["before"], change["after"])
    )
    told = [
        f"{now:.1f} tokens instead of {was:.1f} in {language.name}"
        for language, was, now in zip(languages, before, after, strict=True)
    ]
    return f"{change['new_tokens']:,} new tokens; a target sentence takes {', '.join(told)}"
