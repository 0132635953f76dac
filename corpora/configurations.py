"""Names of configurations and splits of a Hub data set: which of them hold a pair of languages."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sensia.corpora.languages import Language, NoLanguageError, is_code, names_language

Languages = tuple[Language, Language]
#: Stands between two configurations of one language each whose rows are joined, as in `eng_Latn+ind_Latn`.
JOINED = "+"
_SHOWN = 12
_ONE_LANGUAGE = re.compile("[A-Za-z]{2,3}([-_][A-Z][a-z]{3})?([-_][A-Z]{2})?")
#: Columns that say of each row which language is in its first and in its second text.
_LANGUAGE_COLUMNS = (("src_lang", "tgt_lang"), ("source_lang", "target_lang"), ("sourceLang", "targetlang"))
#: Columns that say so in one cell, as in `ind-eng`.
_PAIR_COLUMNS = ("lang", "lp", "lang_pair", "language_pair")
#: Both kinds of columns.
LANGUAGE_COLUMNS = frozenset({*(name for pair in _LANGUAGE_COLUMNS for name in pair), *_PAIR_COLUMNS})


def configuration_of(names: Sequence[str], languages: Languages, source: str) -> str | None:
    """
    The configuration of a Hub data set that holds a pair of languages.

    Args:
        names (`Sequence[str]`): its configurations.
        languages (`tuple` of two `Language`): of the source and of the target side.
        source (`str`): the data set, for messages.

    Returns:
        `str` or `None`: the one named after both languages, in this order or the other (`en-id`, `ind-eng`); else
            those of each language, joined (`eng_Latn+ind_Latn`); else that of the one that is not English; `None` if
            there is none.

    Raises:
        `ValueError`: if several could be meant.
    """
    pairs = {name: order for name in names if (order := pair_order(name, languages)) is not None}
    # Where both directions are there, the rows are the same.
    for order in (languages, languages[::-1]):
        if found := [name for name, each in pairs.items() if each == order]:
            return _only(found, source)
    sides = [[name for name in names if _names_one(name, language)] for language in languages]
    if not all(sides):  # what is named after English alone is English text
        sides = [found for found, language in zip(sides, languages, strict=True) if found and language.iso1 != "en"]
    return JOINED.join(_only(found, source) for found in sides) or None


def configuration_in(names: Sequence[str], language: Language, source: str) -> str | None:
    """
    The configuration of a Hub data set that holds one language.

    Args:
        names (`Sequence[str]`): its configurations.
        language (`Language`): the language.
        source (`str`): the data set, for messages.

    Returns:
        `str` or `None`: the one named after the language (`id`, `ind_Latn`); `None` where none is named after any.

    Raises:
        `NoLanguageError`: if the configurations are named after other languages.
        `ValueError`: if several could be meant.
    """
    if found := [name for name in names if _names_one(name, language)]:
        return _only(found, source)
    if others := [name for name in names if _ONE_LANGUAGE.fullmatch(name) and is_code(name)]:
        raise NoLanguageError(
            f"data set {source!r} has nothing in {language.name} ({language.tag}): {_listed(others)}"
        )
    return None


def check_pair_offered(names: Sequence[str], languages: Languages, source: str):
    """
    Refuses a data set whose configurations are named after languages, none of them after a pair that is asked for.

    Args:
        names (`Sequence[str]`): its configurations.
        languages (`tuple` of two `Language`): of the source and of the target side.
        source (`str`): the data set, for messages.

    Raises:
        `NoLanguageError`: naming some of those that there are.
    """
    named = [name for name in names if _names_languages(name)]
    if named and configuration_of(names, languages, source) is None:
        pair = " and ".join(f"{each.name} ({each.tag})" for each in languages)
        raise NoLanguageError(f"data set {source!r} has no pair of {pair}: {_listed(named)}")


def _names_languages(name: str) -> bool:
    """Tells if a name is the code of a language, or those of two."""
    if _ONE_LANGUAGE.fullmatch(name) and is_code(name):
        return True
    places = (separator.span() for separator in re.finditer("[-_.]", name))
    return any(is_code(name[:start]) and is_code(name[end:]) for start, end in places)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return f"there is {', '.join(names[:_SHOWN])}" + (f" and {more} more" if more > 0 else "")


def _names_one(name: str, language: Language) -> bool:
    """Tells the name of one language from that of a pair: `en-id` could also be English as in Indonesia, `en-ID`."""
    return bool(_ONE_LANGUAGE.fullmatch(name)) and names_language(name, language)


def _only(names: list[str], source: str) -> str:
    if len(names) > 1:
        raise ValueError(f"data set {source!r}: {' and '.join(map(repr, names))} could both be meant; name one")
    return names[0]


def pair_order(name: str, languages: Languages) -> Languages | None:
    """
    Order in which a name spells two languages.

    Args:
        name (`str`): name of a configuration, or a cell, such as `en-id`, `eng_Latn-ind_Latn` or `en_id`.
        languages (`tuple` of two `Language`): the languages.

    Returns:
        `tuple` of two `Language`, or `None`: them in the order of the name; `None` if it is not their name.
    """
    for separator in re.finditer("[-_.]", name):
        sides = name[: separator.start()], name[separator.end() :]
        for order in (languages, (languages[1], languages[0])):
            if all(map(names_language, sides, order)):
                return order
    return None


def same_configuration(named: str, names: Sequence[str], languages: Languages | None, source: str) -> str | None:
    """
    The configuration that a user means, who may have written the pair in another order or in other codes.

    Args:
        named (`str`): what the user wrote; two configurations with [`JOINED`] between them are joined.
        names (`Sequence[str]`): configurations that there are.
        languages (`tuple` of two `Language`, *optional*): of the source and of the target side.
        source (`str`): the data set, for messages.

    Returns:
        `str` or `None`: the configuration; `None` if there is none.
    """
    if named in names or (JOINED in named and all(each in names for each in named.split(JOINED))):
        return named
    if languages is None or pair_order(named, languages) is None:
        return None
    return configuration_of(names, languages, source)


def order_of_names(names: Collection[str | None], languages: Languages) -> Languages | None:
    """
    Order of the languages in columns such as `sentence1` and `sentence2`, told by names of configuration and split.

    Args:
        names (`Collection[str | None]`): the names.
        languages (`tuple` of two `Language`): of the source and of the target side.

    Returns:
        `tuple` of two `Language`, or `None`: languages of the first and of the second column. A name of one language
            alone, as `hi` of English and Hindi, is that of the second.
    """
    for name in filter(None, names):
        if (order := pair_order(name, languages)) is not None:
            return order
        for language, other in (languages, languages[::-1]):
            if _names_one(name, language):
                return other, language
    return None


def order_of_rows(rows: Sequence[Mapping[str, Any]], languages: Languages, source: str) -> Languages | None:
    """
    The same, told by columns of the rows that name languages (`src_lang` and `tgt_lang`, or `lang` with `ind-eng`).

    Args:
        rows (`Sequence[Mapping[str, Any]]`): the first rows.
        languages (`tuple` of two `Language`): of the source and of the target side.
        source (`str`): the data set, for messages.

    Returns:
        `tuple` of two `Language`, or `None`: as in [`order_of_names`]; `None` without such columns.

    Raises:
        `ValueError`: if the rows are of other languages, or not all of the same.
    """
    named = {name for row in rows if (name := _pair_of_row(row))}
    orders = {name: pair_order(name, languages) for name in named}
    if not any(orders.values()):
        return None
    if len(set(orders.values())) > 1:
        raise ValueError(
            f"data set {source!r} holds rows of several pairs of languages ({', '.join(sorted(named))}); choose a "
            "configuration or split of one"
        )
    return next(iter(orders.values()))


def _pair_of_row(row: Mapping[str, Any]) -> str | None:
    """Name of the pair of languages of a row."""
    for first, second in _LANGUAGE_COLUMNS:
        if isinstance(row.get(first), str) and isinstance(row.get(second), str):
            return f"{row[first]}-{row[second]}"
    return next((row[name] for name in _PAIR_COLUMNS if isinstance(row.get(name), str)), None)
