"""Finding the two sides of a pair in a record or a table, whatever the columns are called."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sensia.corpora.languages import Language, NoLanguageError, column_rank

TRANSLATION = "translation"
PROMPT = "prompt"


#: Columns of the first and of the second text, where nothing but the order says which language they are in.
ORDERED_COLUMNS = (
    ("sentence1", "sentence2"),
    ("source", "target"),
    ("src", "tgt"),
    ("source_text", "target_text"),
    ("sourceString", "targetString"),
)
#: Column of whichever language is not English.
NON_ENGLISH = "non_english"
#: Names that a column has that rates each pair.
SCORES = ("score", "laser_score", "similarity")
#: What comes before each side of an instruction pair, as [`read_pairs`] names it.
PROMPT_COLUMNS = ("source_prompt", "target_prompt")


@dataclass(frozen=True)
class PairRequest:
    """
    The languages and columns that the user asked for.

    Args:
        source_language (`Language`): language of the source side.
        target_language (`Language`): language of the target side.
        source_column (`str`, *optional*): column of the source side, or key inside `translation`; found by the
            language's codes if not given.
        target_column (`str`, *optional*): the same for the target side.
        order (`tuple` of two `Language`, *optional*): languages of the first and the second of [`ORDERED_COLUMNS`].
    """

    source_language: Language
    target_language: Language
    source_column: str | None = None
    target_column: str | None = None
    order: tuple[Language, Language] | None = None


@dataclass(frozen=True)
class PairFields:
    """
    Columns that hold the sides of a pair.

    Args:
        nested (`bool`): whether the sides are inside the column `translation`.
        source (`str`): key of the source side.
        target (`str`): key of the target side.
        origin (`str` or `None`): column that names the corpus of the pair, if there is one.
        doc (`str` or `None`): column that names the document of the pair, if there is one.
        score (`str` or `None`): column that rates the pair, if there is one.
        prompts (`tuple[str, str]` or `None`): keys of the sides inside the column `prompt`, if there is one.
    """

    nested: bool
    source: str
    target: str
    origin: str | None
    doc: str | None
    score: str | None = None
    prompts: tuple[str, str] | None = None

    @property
    def columns(self) -> list[str]:
        """Columns of the data that a pair is taken from."""
        sides = [TRANSLATION] if self.nested else [self.source, self.target]
        return [*sides, *self.labels.values(), *([PROMPT] if self.prompts else [])]

    @property
    def extras(self) -> list[str]:
        """Names under which the extra columns are kept."""
        return [*self.labels, *(PROMPT_COLUMNS if self.prompts else ())]

    @property
    def labels(self) -> dict[str, str]:
        """`dict` of `str`: columns of `origin`, `doc` and `score`, as far as there are any."""
        columns = {"origin": self.origin, "doc": self.doc, "score": self.score}
        return {name: column for name, column in columns.items() if column is not None}


def pick_column(available: Collection[str], wanted: Sequence[str], place: str, prefix: str = "") -> str:
    """
    The first wanted column that is there.

    Args:
        available (`Collection[str]`): columns that there are.
        wanted (`Sequence[str]`): names that would do, best first.
        place (`str`): file and line, or data set, for the error message.
        prefix (`str`, *optional*, defaults to `""`): what the message writes before each name.

    Returns:
        `str`: the column.

    Raises:
        `ValueError`: if none is there; the message lists the columns that are, and the nearest one.
    """
    for name in wanted:
        if name in available:
            return name
    near = [close for name in wanted for close in difflib.get_close_matches(name, available, n=1)]
    hint = f"; did you mean {prefix + near[0]!r}?" if near else ""
    expected = " or ".join(repr(prefix + name) for name in wanted)
    there = ", ".join(repr(prefix + name) for name in available) or "nothing"
    raise ValueError(f"{place}: no field {expected}; there is {there}{hint}")


def language_column(
    available: Collection[str], language: Language, place: str, prefix: str = "", unnamed: str | None = None
) -> str:
    """
    The column that is named after a language; of several names, the most specific: `ind_Latn` before `id`.

    Args:
        available (`Collection[str]`): columns that there are.
        language (`Language`): the language.
        place (`str`): file and line, or data set, for the error message.
        prefix (`str`, *optional*, defaults to `""`): what the message writes before each name.
        unnamed (`str`, *optional*): column to take where none is named after the language.

    Returns:
        `str`: the column.

    Raises:
        `NoLanguageError`: if no column is named after the language.
        `ValueError`: if more than one equally is.
    """
    ranks = {name: rank for name in available if (rank := column_rank(str(name), language)) is not None}
    best = [name for name, rank in ranks.items() if rank == min(ranks.values())]
    if len(best) > 1:
        named = " and ".join(repr(prefix + name) for name in best)
        raise ValueError(
            f"{place}: {named} could both be {language.name}; choose one with `source_column` or `target_column`, or "
            "with `columns` of an entry"
        )
    if best or unnamed:
        return best[0] if best else str(unnamed)
    codes = [code for code in (language.iso1, language.iso3, language.tag) if code]
    try:
        return pick_column(available, codes, place, prefix)
    except ValueError as error:
        raise NoLanguageError(str(error)) from None


def choose_fields(columns: Mapping[str, Any], request: PairRequest, place: str) -> PairFields:
    """
    Decide from a first record, or from the columns of a table, where the pair is.

    Args:
        columns (`Mapping[str, Any]`): a record, or the features of a table, by column; `translation` maps languages.
        request (`PairRequest`): what the user asked for.
        place (`str`): file and line, or data set, for error messages.

    Returns:
        `PairFields`: the fields to read from every row.

    Raises:
        `ValueError`: if a side cannot be found, could be two columns, or both sides are the same column.
    """
    asked = [name for name in (request.source_column, request.target_column) if name is not None]
    nested = TRANSLATION in columns and not any(name in columns for name in asked)
    sides = columns[TRANSLATION] if nested else columns
    if not isinstance(sides, Mapping):
        raise ValueError(f"{place}: field 'translation' must map language codes to texts, got {type(sides).__name__}")
    prefix = f"{TRANSLATION}." if nested else ""
    unnamed = _unnamed_columns(sides, request)
    source, target = (
        pick_column(sides, [column], place, prefix)
        if column
        else language_column(sides, language, place, prefix, unnamed.get(language))
        for column, language in (
            (request.source_column, request.source_language),
            (request.target_column, request.target_language),
        )
    )
    if source == target:
        raise ValueError(f"{place}: both sides would be read from {prefix + source!r}; name two different columns")
    # In translation-type files the corpus stands in `source`; elsewhere a column of that name is a side of the pair.
    origins = ["origin", "source"] if nested else ["origin"]
    origin = next((name for name in origins if name in columns and name not in (source, target)), None)
    prompts = _prompt_keys(columns, (source, target), request, place)
    doc = "doc" if "doc" in columns else None
    score = next((name for name in SCORES if name in columns and name not in (source, target)), None)
    return PairFields(nested, source, target, origin, doc, score, prompts)


def _unnamed_columns(available: Collection[str], request: PairRequest) -> dict[Language, str]:
    """Columns of a language that are not named after it."""
    languages = (request.source_language, request.target_language)
    found = {}
    if request.order is not None:
        pairs = (pair for pair in ORDERED_COLUMNS if all(name in available for name in pair))
        found = dict(zip(request.order, next(pairs, ()), strict=False))
    for language, other in (languages, languages[::-1]):
        if NON_ENGLISH in available and other.iso1 == "en":
            found[language] = NON_ENGLISH
    return found


def _prompt_keys(
    columns: Mapping[str, Any], sides: tuple[str, str], request: PairRequest, place: str
) -> tuple[str, str] | None:
    if PROMPT not in columns or PROMPT in sides:
        return None
    prompt = columns[PROMPT]
    if not isinstance(prompt, Mapping):
        raise ValueError(
            f"{place}: field 'prompt' must map language codes to texts, as 'translation' does, got "
            f"{type(prompt).__name__}; rename it if it is not what comes before both sides of the pair"
        )
    languages = (request.source_language, request.target_language)
    source, target = (
        side if side in prompt else language_column(prompt, language, place, f"{PROMPT}.")
        for side, language in zip(sides, languages, strict=True)
    )
    return source, target
