"""Licences: the Hub's identifier of what a user wrote, and what a licence demands of those who pass something on."""

import difflib
import re
from collections.abc import Iterable

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

ATTRIBUTION, SHARE_ALIKE, COPYLEFT = "attribution", "share-alike", "copyleft"
NON_COMMERCIAL, NO_DERIVATIVES, RESTRICTED = "non-commercial use", "no derivatives", "restrictions of use"
#: What a licence may demand, in the order in which it is told.
DEMANDS = (ATTRIBUTION, SHARE_ALIKE, COPYLEFT, NON_COMMERCIAL, NO_DERIVATIVES, RESTRICTED)

_BY_DEMANDS: dict[tuple[str, ...], str] = {
    (): "cc0-1.0 pddl unlicense wtfpl",
    (ATTRIBUTION,): """afl-3.0 apache-2.0 artistic-2.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0
        cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cdla-permissive-1.0 cdla-permissive-2.0 ecl-2.0 etalab-2.0 isc mit
        mulanpsl-2.0 ncsa odc-by open-mdw openmdw-1.0 postgresql zlib""",
    (ATTRIBUTION, SHARE_ALIKE): "cc-by-sa-3.0 cc-by-sa-4.0 cdla-sharing-1.0 odbl",
    (ATTRIBUTION, COPYLEFT): """agpl-3.0 epl-1.0 epl-2.0 eupl-1.1 eupl-1.2 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1
        lgpl-3.0 lgpl-lr lppl-1.3c mpl-2.0 ms-pl ofl-1.1 osl-3.0""",
    (ATTRIBUTION, NON_COMMERCIAL): "cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0",
    (ATTRIBUTION, SHARE_ALIKE, NON_COMMERCIAL): "cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0",
    (ATTRIBUTION, NO_DERIVATIVES): "cc-by-nd-4.0",
    (ATTRIBUTION, NON_COMMERCIAL, NO_DERIVATIVES): "cc-by-nc-nd-3.0 cc-by-nc-nd-4.0",
    (ATTRIBUTION, RESTRICTED): """apple-ascl bigcode-openrail-m bigscience-bloom-rail-1.0 bigscience-openrail-m c-uda
        creativeml-openrail-m gemma llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 openrail openrail++""",
    (ATTRIBUTION, NON_COMMERCIAL, RESTRICTED): """apple-amlr deepfloyd-if-license fair-noncommercial-research-license
        h-research intel-research""",
}
_DEMANDS_OF = {name: frozenset(demands) for demands, names in _BY_DEMANDS.items() for name in names.split()}
#: The Hub's identifiers. Of the last three nobody can say what they demand.
HUB_LICENCES = (*sorted(_DEMANDS_OF), "cc", "other", "unknown")
# Common in data, without an identifier of the Hub.
_DEMANDS_OF |= dict.fromkeys(("psf-2.0", "python-2.0", "0bsd", "unicode-3.0", "cc-by-1.0"), frozenset({ATTRIBUTION}))

# Longer words for what the identifiers abbreviate, and words that tell nothing apart.
_WORDS = (
    (r"creative\s*commons", "cc"),
    (r"public\s*domain\s*dedication\s*and\s*licen[cs]e", "pddl"),
    (r"open\s*data\s*commons", ""),
    (r"public\s*domain\s*dedication", ""),
    (r"attribution", "by"),
    (r"non[\s-]*commercial", "nc"),
    (r"share[\s-]*alike", "sa"),
    (r"no[\s-]*deriv(?:ative)?s?(?:\s*works)?", "nd"),
    (r"affero\s*general\s*public", "agpl"),
    (r"(?:lesser|library)\s*general\s*public", "lgpl"),
    (r"general\s*public", "gpl"),
    (r"mozilla\s*public", "mpl"),
    (r"eclipse\s*public", "epl"),
    (r"european\s*union\s*public", "eupl"),
    (r"gnu|\bthe\b|licen[cs]es?|universal|international|unported|generic|\bversion\b|\bonly\b|\bor[\s-]later\b", ""),
    (r"(?<![a-z])v\.?\s*(?=\d)|(?<=gpl)v(?=\d)|(?<=mpl)v(?=\d)", ""),
)
_ALIASES = {
    "cczero": "cc0-1.0",
    "zero1": "cc0-1.0",
    "cc01": "cc0-1.0",
    "cczero1": "cc0-1.0",
    "asl2": "apache-2.0",
    "bsd2clausesimplified": "bsd-2-clause",
    "bsd3clauseneworrevised": "bsd-3-clause",
    "simplifiedbsd": "bsd-2-clause",
    "newbsd": "bsd-3-clause",
    "modifiedbsd": "bsd-3-clause",
    "bsd2": "bsd-2-clause",
    "bsd3": "bsd-3-clause",
    "2clausebsd": "bsd-2-clause",
    "3clausebsd": "bsd-3-clause",
    "expat": "mit",
    "boostsoftware1": "bsl-1.0",
    "silofl11": "ofl-1.1",
    "silopenfont11": "ofl-1.1",
    "gpl2+": "gpl-2.0",
    "gpl3+": "gpl-3.0",
    "lgpl21+": "lgpl-2.1",
    "lgpl3+": "lgpl-3.0",
    "agpl3+": "agpl-3.0",
    "odbl1": "odbl",
    "odcby1": "odc-by",
    "pddl1": "pddl",
    "opendatabase": "odbl",
}
_URLS = (
    (r".*creativecommons\.org/licenses/([a-z-]+)/([\d.]+).*", r"cc-\1-\2"),
    (r".*creativecommons\.org/publicdomain/zero/.*", "cc0-1.0"),
    (r".*apache\.org/licenses/license-2\.0.*", "apache-2.0"),
    (r".*gnu\.org/licenses/([a-z]+-[\d.]+?)(?:\.html|\.txt|\.en\.html)?", r"\1"),
    (r".*(?:opensource\.org/licenses?|spdx\.org/licenses)/([^/]+?)(?:\.html|/)?", r"\1"),
    (r".*mozilla\.org/.*mpl/2\.0.*", "mpl-2.0"),
)


def _key(text: str) -> str:
    """Reduces a name of a licence: case, punctuation and words that tell nothing apart are taken out."""
    plain = text.strip().casefold()
    for pattern, meant in _URLS:
        if re.fullmatch(pattern, plain):
            plain = re.sub(f"^{pattern}$", meant, plain)
    for pattern, short in _WORDS:
        plain = re.sub(pattern, f" {short} ", plain)
    plain = re.sub(r"(\d)\.0(?!\d)", r"\1", plain)
    return re.sub(r"[^\w+]|_", "", plain)


def _without_version(name: str) -> str:
    return _key(re.sub(r"-?\d+(\.\d+)*[a-z]?$", "", name))


_BY_KEY = {_key(name): name for name in HUB_LICENCES}
_UNVERSIONED: dict[str, list[str]] = {}
for _name in HUB_LICENCES:
    if _without_version(_name) not in _BY_KEY:
        _UNVERSIONED.setdefault(_without_version(_name), []).append(_name)


def _find(text: str) -> str | None:
    key = _key(text)
    found = _BY_KEY.get(key) or _ALIASES.get(key) or (_BY_KEY.get(key.rstrip("+")) if key.endswith("+") else None)
    only = _UNVERSIONED.get(key, [])
    return found or (only[0] if len(only) == 1 else None)


def find_licence(text: str, setting: str, otherwise: str | None = None) -> str:
    """
    The Hub's identifier of a licence, in whatever case and common spelling it is given.

    Args:
        text (`str`): what a user wrote: `Apache 2.0`, `GPLv3`, `CC BY-SA 4.0`, an SPDX identifier.
        setting (`str`): where it was written, for the message.
        otherwise (`str`, *optional*): advice for other licences, after "set `license` to other and"; by default to
            give the settings that name it.

    Returns:
        `str`: one of [`HUB_LICENCES`].

    Raises:
        ValueError: for a licence that the Hub does not know; the message names the nearest.
    """
    found = _find(text) if isinstance(text, str) else None
    if found is not None:
        return found
    key = _key(str(text))
    family = _UNVERSIONED.get(key, []) or [
        _BY_KEY[near] for near in difflib.get_close_matches(key, _BY_KEY, n=3, cutoff=0.6)
    ]
    hint = f" Did you mean {' or '.join(f'`{name}`' for name in family[:4])}?" if family else ""
    otherwise = otherwise or f"give `{setting}_name` or `{setting}_link`"
    raise ValueError(
        f"`{setting}` must be a licence that the Hub knows, such as apache-2.0, mit, mpl-2.0 or cc-by-sa-4.0, got "
        f"{text!r}.{hint} For any other, set `{setting}` to other and {otherwise}."
    )


def licences_in(text: str) -> list[str]:
    """
    The licences that a statement joins, as the Hub calls them where it knows them.

    Args:
        text (`str`): one licence, or several as in `Apache-2.0 AND MPL-2.0`.
    """
    found = _find(text)
    parts = [found] if found else [part.strip(" ()") for part in re.split(r"\s+and\s+|[,;&]", text, flags=re.I)]
    return list(dict.fromkeys((_find(part) or part) for part in parts if part))


def demands_of(text: str) -> frozenset[str] | None:
    """
    Returns the demands of a licence on those who pass on something made from a work under it.

    Args:
        text (`str`): as in [`licences_in`]; of a choice (`MIT OR GPL-3.0`), what every one of the choices demands.

    Returns:
        `frozenset` of `str`, *optional*: some of [`DEMANDS`]; `None` where that is not known.
    """
    demands: frozenset[str] = frozenset()
    for name in licences_in(text):
        choices = [_demands_of_one(choice.strip(" ()")) for choice in re.split(r"\s+or\s+", name, flags=re.I)]
        if None in choices:
            return None
        demands |= frozenset.intersection(*(choice for choice in choices if choice is not None))
    return demands


def _demands_of_one(name: str) -> frozenset[str] | None:
    found = _find(name)
    if found is None:
        try:
            found = canonicalize_license_expression(name).lower()
        except InvalidLicenseExpression:
            return None
    parts = re.fullmatch(r"cc-by((?:-(?:nc|sa|nd))*)-[\d.]+(?:-[a-z]+)?", found)
    if found in _DEMANDS_OF or parts is None:
        return _DEMANDS_OF.get(found)
    meant = {"nc": NON_COMMERCIAL, "sa": SHARE_ALIKE, "nd": NO_DERIVATIVES}
    return frozenset({ATTRIBUTION, *(meant[part] for part in parts[1].split("-") if part)})


def told(demands: Iterable[str]) -> str:
    """
    Demands in words: `attribution and copyleft`.

    Args:
        demands (`Iterable[str]`): some of [`DEMANDS`].
    """
    ordered = [demand for demand in DEMANDS if demand in set(demands)]
    if len(ordered) < 2:
        return "".join(ordered) or "nothing"
    return f"{', '.join(ordered[:-1])} and {ordered[-1]}"
