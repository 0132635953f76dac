"""The language of a text, where language identification (`py3langid`) is sure of it."""

import functools

from sensia.corpora.languages import Language

#: Languages that language identification takes for each other: a side of one is not dropped for another.
_ALIKE = (
    {"id", "ms", "jv", "su", "tl"},
    {"no", "nb", "nn", "da", "sv"},
    {"hr", "sr", "bs", "sl", "mk"},
    {"cs", "sk"},
    {"es", "gl", "pt", "ca", "oc", "an"},
    {"ru", "uk", "be", "bg"},
    {"hi", "mr", "ne"},
    {"zu", "xh"},
    {"fa", "ps", "ur", "ar"},
)
#: Letters of a text that is long enough to tell that it is in no language of its own.
_LETTERS = 20


def is_other_language(text: str, language: Language, least: float) -> bool:
    """
    Tells a text that is surely in another language, and not in a relative that is taken for it.

    Args:
        text (`str`): the text; one of less than 20 letters is never in another language.
        language (`Language`): the language.
        least (`float`): least probability of the other language.
    """
    if sum(map(str.isalpha, text)) < _LETTERS or not _is_known(language):
        return False
    found, probability = _identify(text)[0]
    return probability >= least and not _are_alike(found, language.iso1)


def are_swapped(source: str, target: str, languages: tuple[Language, Language], least: float) -> bool | None:
    """
    Tells by their languages whether the two sides of a pair stand in each other's place.

    Args:
        source (`str`), target (`str`): the sides.
        languages (`tuple` of two `Language`): language of the source and of the target side.
        least (`float`): least probability of each side's language, the relatives that are taken for it included.

    Returns:
        `bool`, *optional*: True if each side is in the language of the other, False if each is in its own. None if one
        of them is not sure, or if the languages cannot be told apart.
    """
    if not _can_be_told_apart(*languages):
        return None
    for answer, order in ((False, languages), (True, languages[::-1])):
        if _is_surely(source, order[0], least) and _is_surely(target, order[1], least):
            return answer
    return None


def _is_surely(text: str, language: Language, least: float) -> bool:
    return sum(share for found, share in _identify(text) if _are_alike(found, language.iso1)) >= least


def _are_alike(one: str, other: str | None) -> bool:
    return one == other or any(one in group and other in group for group in _ALIKE)


def _is_known(language: Language) -> bool:
    return language.iso1 in _known_languages()


@functools.cache
def _can_be_told_apart(one: Language, other: Language) -> bool:
    return _is_known(one) and _is_known(other) and not _are_alike(str(one.iso1), other.iso1)


@functools.lru_cache(maxsize=16)
def _identify(text: str) -> list[tuple[str, float]]:
    """Languages with their probabilities, the likeliest first. Several steps ask for the sides of one pair in turn."""
    return _identifier().rank(text)


@functools.cache
def _identifier():
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@functools.cache
def _known_languages() -> frozenset[str]:
    return frozenset(map(str, _identifier().nb_classes))
