"""Checks of one sentence pair, each of which tells noise that bitext from the web is full of."""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass

import regex

from sensia.corpora.languages import Language
from sensia.corpora.letter_case import lowered
from sensia.corpora.text_language import is_other_language

#: Scripts that write words without spaces between them.
UNSPACED = frozenset({"Hans", "Hant", "Hani", "Jpan", "Thai", "Laoo", "Khmr", "Mymr", "Tibt"})
#: Names that `regex` has for scripts which are several of Unicode's, or a way to write one.
_SCRIPTS = {
    "Hans": r"\p{Han}",
    "Hant": r"\p{Han}",
    "Jpan": r"[\p{Han}\p{Hiragana}\p{Katakana}]",
    "Hang": r"[\p{Hangul}\p{Han}]",
}
_NUMBER = re.compile(r"\d+(?:[.,\u00a0 ]\d{3})*")
#: A word of ASCII letters, as names and code are in every script.
_WORD = re.compile(r"[A-Za-z][\w.]*", re.ASCII)
_ADDRESS = re.compile(r"(?:https?://|www\.)[^\s<>\"')]+|[\w.+-]+@[\w-]+\.\w+")
#: Where two words meet, as where white space or markup was lost: a capital within a word (`PilihSisipkan`), at the end
#: of capitals (`USADan`), or after a sign (`rumah,Lalu`); a number and a word (`bagian3`, `3Bab`, `tahun2020`).
_JOINTS = regex.compile(
    r"\p{L}?\p{Ll}\p{Lu}\p{L}?|\p{Lu}{3}\p{Ll}{2}|\p{L}[,;:!?.)\]\"\u201d\u00bb\u2026]{1,2}\p{Lu}\p{L}?"
    r"|\p{Ll}{3}\d|\d\p{Lu}\p{Ll}{2}|\p{Ll}{2}\d{4}"
)
#: Languages that write capitals within words (`isiZulu`, `hÉireann`).
_INNER_CAPITALS = frozenset({"zul", "xho", "ssw", "nbl", "nde", "gle", "gla"})


@dataclass(frozen=True)
class Limits:
    """
    Limits of the checks.

    Args:
        min_characters, max_characters (`int`): of each side.
        max_ratio (`float`): largest ratio of the sides' lengths in characters, relative to what is usual for the two
            languages.
        min_script_share (`float`): least share of a side's letters that are of its language's script.
        max_same_words (`float`): largest share of a side's words that stand on the other side too.
        min_language_probability (`float`): how sure language identification must be to drop a side.
        min_swapped_probability (`float`): how sure it must be of each side to swap the two.
    """

    min_characters: int = 2
    max_characters: int = 1000
    max_ratio: float = 2.5
    min_script_share: float = 0.5
    max_same_words: float = 0.6
    min_language_probability: float = 0.95
    min_swapped_probability: float = 0.5


@dataclass(frozen=True)
class PairContext:
    """
    Context of the checks beside the pair itself.

    Args:
        source_language, target_language (`Language`): the languages.
        limits (`Limits`): the limits.
        usual_ratio (`float`): usual length of a target side in characters, divided by that of its source.
    """

    source_language: Language
    target_language: Language
    limits: Limits
    usual_ratio: float = 1.0


def too_short(source: str, target: str, context: PairContext) -> bool:
    """Tells a pair with a side of next to nothing."""
    return min(len(source), len(target)) < context.limits.min_characters


def too_long(source: str, target: str, context: PairContext) -> bool:
    """Tells a pair with a side that is no sentence any more."""
    return max(len(source), len(target)) > context.limits.max_characters


def no_text(source: str, target: str, context: PairContext) -> bool:
    """Tells a pair with a side that has fewer letters than other signs."""
    return any(2 * sum(map(str.isalpha, text)) < len(text.replace(" ", "")) for text in (source, target))


def copied(source: str, target: str, context: PairContext) -> bool:
    """Tells a pair whose sides are the same but for case, digits and punctuation, or share most of their words."""
    words = [re.findall(r"[^\W\d_]+", lowered(text)) for text in (source, target)]
    if words[0] == words[1]:
        return True
    shorter, longer = sorted(map(set, words), key=len)
    return len(longer) >= 3 and len(shorter & longer) > context.limits.max_same_words * len(longer)


def length_ratio(source: str, target: str, context: PairContext) -> bool:
    """Tells a pair of which one side is far longer than usual: a part of the other is missing."""
    # Short sentences differ more: ten characters are added to both.
    ratio = (len(target) + 10) / (len(source) * context.usual_ratio + 10)
    return not 1 / context.limits.max_ratio <= ratio <= context.limits.max_ratio


def other_script(source: str, target: str, context: PairContext) -> bool:
    """Tells a pair with a side in another script than that of its language. Names on both sides do not count."""
    both = set(_WORD.findall(source)) & set(_WORD.findall(target))
    sides = ((source, context.source_language), (target, context.target_language))
    return any(
        script_share(_WORD.sub(lambda word: "" if word[0] in both else word[0], text), language)
        < context.limits.min_script_share
        for text, language in sides
    )


def other_numbers(source: str, target: str, context: PairContext) -> bool:
    """
    Tells a pair with different numbers of two digits or more. One number that the other side does not have may be
    written in words there.
    """
    numbers = _numbers(source), _numbers(target)
    return numbers[0] != numbers[1] and (all(numbers) or max(map(len, numbers)) > 1)


def other_addresses(source: str, target: str, context: PairContext) -> bool:
    """Tells a pair with an address of the web or of mail that stands on one side only."""
    sides = [sorted(each.rstrip(".,;:!?") for each in _ADDRESS.findall(text)) for text in (source, target)]
    return sides[0] != sides[1]


def glued(source: str, target: str, context: PairContext) -> bool:
    """Tells a pair with words that are glued together on the target side, where the source side has no such place."""
    if context.target_language.iso3 in _INNER_CAPITALS:
        return False
    return any(joint not in source for joint in _JOINTS.findall(target))


def other_language(source: str, target: str, context: PairContext) -> bool:
    """Tells a pair with a side that is surely in another language than its own."""
    sides = ((source, context.source_language), (target, context.target_language))
    return any(is_other_language(text, language, context.limits.min_language_probability) for text, language in sides)


#: Every check, in the order in which they are made: the cheap ones first.
CHECKS: dict[str, Callable[[str, str, PairContext], bool]] = {
    "too_short": too_short,
    "too_long": too_long,
    "no_text": no_text,
    "copied": copied,
    "length_ratio": length_ratio,
    "other_script": other_script,
    "other_numbers": other_numbers,
    "other_addresses": other_addresses,
    "glued": glued,
    "other_language": other_language,
}


def script_share(text: str, language: Language) -> float:
    """
    Share of a text's letters that are of the script of a language.

    Args:
        text (`str`): the text.
        language (`Language`): the language.

    Returns:
        `float`: in [0, 1]; 1 for a text without letters.
    """
    letters = [letter for letter in text if letter.isalpha()]
    if not letters:
        return 1.0
    pattern = _script_pattern(language.script)
    return sum(bool(pattern.match(letter)) for letter in letters) / len(letters)


@functools.cache
def _script_pattern(script: str) -> regex.Pattern:
    try:
        return regex.compile(_SCRIPTS.get(script, rf"\p{{Script={script}}}"))
    except regex.error:  # a script that is none of Unicode's own
        return regex.compile(r"\p{L}")


def _numbers(text: str) -> list[str]:
    digits = (re.sub(r"\D", "", number) for number in _NUMBER.findall(_ADDRESS.sub(" ", text)))
    return sorted(number for number in map(str, map(int, filter(None, digits))) if len(number) > 1)
