"""Languages by their codes: ISO 639-1 and 639-3, BCP 47, FLORES-200. The codes themselves come from `langcodes`."""

import difflib
import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from itertools import product
from string import ascii_lowercase

import langcodes
from langcodes.data_dicts import LIKELY_SUBTAGS, MACROLANGUAGES
from langcodes.tag_parser import LanguageTagError

#: Words that data sets put before or after a code in the name of a column.
_COLUMN_WORDS = ("sentence", "text", "translation", "source", "target", "src", "tgt")
#: Languages that `langcodes` takes for a neighbour, Dari for Persian and Twi for Akan, by any of their codes.
_OWN_CODES = {"prs": "prs", "tw": "tw", "twi": "tw"}
#: FLORES-200 names the script of Korean after Hangul alone.
_SCRIPT_NAMES = {"Kore": "Hang"}
#: Words that mean a number after a code. A column `en_id` numbers English texts: it is not the English of Indonesia.
_NUMBER_WORDS = ("id", "no")
#: How sure the name of a column is: from a code with script or region, down to two letters, which are many everyday
#: words too.
FULL_TAG, THREE_LETTERS, NAME, TWO_LETTERS = range(4)


class NoLanguageError(ValueError):
    """Data that hold nothing in the language that is asked for."""


@dataclass(frozen=True)
class Language:
    """
    A language, written in one script.

    Args:
        iso1 (`str` or `None`): ISO 639-1 code (`id`), or None where the language has none.
        iso3 (`str`): ISO 639-3 code (`ind`); for a macrolanguage such as Swahili, the code of the macrolanguage.
        script (`str`): ISO 15924 code of the script (`Latn`); the usual one of the language if none is asked for.
        name (`str`): English name.
    """

    iso1: str | None
    iso3: str
    script: str
    name: str

    @property
    def tag(self) -> str:
        """`str`: code and script in the manner of FLORES-200 (`ind_Latn`)."""
        return f"{self.iso3}_{self.script}"


@cache
def find_language(code: str) -> Language:
    """
    Find a language by any of its codes, or by its English name.

    Args:
        code (`str`): ISO 639-1, ISO 639-3, BCP 47 or FLORES-200 code (`id`, `ind`, `id-ID`, `ind_Latn`) or English
            name (`Indonesian`), in any case.

    Returns:
        `Language`: the language. A code of an individual language gives its macrolanguage (`swh` gives Swahili).

    Raises:
        `ValueError`: if there is no such language; the message names the nearest codes.
    """
    parsed = _parse(code) or _parse_name(code)
    if parsed is None:
        raise ValueError(
            f"unknown language code {code!r}: expected an ISO 639-1, ISO 639-3, BCP 47 or FLORES-200 code such as "
            f"'id', 'ind', 'id-ID' or 'ind_Latn', or an English name; {_nearest(code)}"
        )
    base = str(parsed.language)
    iso1 = base if len(base) == 2 else None
    usual = _usual_script(base)
    script = parsed.script or (parsed.maximize().script if parsed.territory else None) or usual
    script = _SCRIPT_NAMES.get(script, script)
    named = langcodes.Language.make(language=base, script=None if script == usual else script)
    return Language(iso1, parsed.to_alpha3(), script, named.display_name())


def column_rank(column: str, language: Language) -> int | None:
    """
    Rank of a column by how surely it is named after a language.

    Args:
        column (`str`): name of a column (`id`, `ind_Latn`, `zh-CN`, `sentence_eng_Latn`, `Indonesian`).
        language (`Language`): the language.

    Returns:
        `int` or `None`: 0 for a code with script or region, up to 3 for two letters alone; None for what names another
            language or none.
    """
    words = [word for word in re.split(r"[^0-9a-z]+", column.lower()) if word]
    kept = [word for word in words if word not in _COLUMN_WORDS]
    if " ".join(kept) == re.sub(r"[^0-9a-z]+", " ", language.name.lower()).strip():
        return NAME
    if not kept or len(kept) > 3 or not 2 <= len(kept[0]) <= 3:
        return None
    number = len(kept) > 1 and kept[-1] in _NUMBER_WORDS and column.endswith(kept[-1])  # not in capitals
    if number and not _is_home(kept[0], kept[-1]):
        return None
    code = "-".join(word for word in kept if word != "xx")  # mBART writes en_XX
    if _parse(code) is None or not _same(find_language(code), language) or _has_extended_language(code):
        return None
    if len(kept) > 1:
        return FULL_TAG
    return THREE_LETTERS if len(kept[0]) == 3 else TWO_LETTERS


def _is_home(code: str, region: str) -> bool:
    """Tells if a language is mostly spoken in a region: `nb_no` is the Norwegian of Norway."""
    parsed = _parse(code)
    return parsed is not None and parsed.maximize().territory == region.upper()


def _has_extended_language(code: str) -> bool:
    """Tells if a tag has an extended language. `en_url` seems to have one, but is the URL of an English text."""
    return bool(langcodes.Language.get(code, normalize=False).extlangs)


def is_code(code: str) -> bool:
    """Tells if a text is the code of any language, as the end of a file's name may be."""
    return bool(code) and _parse(code) is not None


@cache
def names_language(code: str, language: Language) -> bool:
    """
    Tells if a code names a language.

    Args:
        code (`str`): any code, as in the name of a file or in an attribute of XML; it need not be one.
        language (`Language`): the language.
    """
    return is_code(code) and _same(find_language(code), language)


def _usual_script(base: str) -> str:
    """Script that a language is usually written in; that of its macrolanguage where nothing else is known."""
    known = langcodes.standardize_tag(base, macro=True)
    if known not in LIKELY_SUBTAGS:
        known = MACROLANGUAGES.get(base, known)
    script = langcodes.Language.get(LIKELY_SUBTAGS.get(known, known)).script or "Latn"
    return _SCRIPT_NAMES.get(script, script)


def _same(one: Language, other: Language) -> bool:
    # Norwegian is written Bokmål where nothing else is said.
    codes = {one.iso3, other.iso3}
    return one.script == other.script and (len(codes) == 1 or codes == {"nor", "nob"})


@cache
def _parse(code: str) -> langcodes.Language | None:
    """The code as a tag of a language that there is."""
    written = code.strip().replace("_", "-")
    base, hyphen, more = written.partition("-")
    try:
        if own := _OWN_CODES.get(base.lower()):
            parsed = langcodes.Language.get(f"{own}{hyphen}{more}", normalize=False)
        else:
            parsed = langcodes.Language.get(langcodes.standardize_tag(written, macro=True))
    except (LanguageTagError, ValueError):
        return None
    known = parsed.is_valid() and parsed.language not in (None, "und", "mul", "zxx", "mis")
    return parsed if known and not parsed.display_name().startswith("Unknown language") else None


def _parse_name(name: str) -> langcodes.Language | None:
    """The language of this English name, accents aside. What `langcodes` takes for a spelling of it will not do."""
    if not name.isprintable():  # the table of names fails on control characters
        return None
    try:
        parsed = _parse(langcodes.find(name.strip()).to_tag())
    except LookupError:
        return None
    return parsed if parsed and _plain(parsed.display_name()) == _plain(name) else None


def _plain(name: str) -> str:
    return "".join(filter(str.isalpha, unicodedata.normalize("NFKD", name))).casefold()


def _nearest(code: str) -> str:
    wanted = code.strip().lower().replace("-", "_")
    pairs = map("".join, product(ascii_lowercase, repeat=2))
    known = [find_language(pair) for pair in pairs if _parse(pair)]  # all of ISO 639-1
    names = {name.lower(): language for language in known for name in (language.tag, language.iso3, language.name)}
    near = [names[name] for name in difflib.get_close_matches(wanted, names, n=3, cutoff=0.6)]
    if not near:
        return "no known code is near it"
    return "the nearest known are " + ", ".join(dict.fromkeys(f"{each.tag} ({each.name})" for each in near))
