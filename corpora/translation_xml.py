"""Translation memories and interface texts in XML: TMX, XLIFF 1.2 and 2, Qt Linguist. Entities are not expanded."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from sensia.corpora.languages import Language, names_language
from sensia.corpora.text_files import Record, naming_damage, open_binary

_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
#: Elements inside a segment whose text is code of the document format, not language.
_MARKUP = {"bpt", "ept", "it", "ph", "ut", "x", "bx", "ex"}
#: States of a translation that nobody has made yet, or that is not used any more.
_UNFINISHED = {"new", "needs-translation", "initial", "unfinished", "obsolete", "vanished"}
Pair = tuple[str, str]


def xml_records(path: Path, kind: str, source: Language, target: Language) -> Iterator[Record]:
    """
    Pairs of an XML file, read unit by unit in constant memory.

    Args:
        path (`Path`): the file, optionally compressed.
        kind (`str`): `tmx`, `xliff` or `ts`.
        source, target (`Language`): the languages.

    Returns:
        `Iterator[tuple[str, dict]]`: where the unit stands ("FILE, unit N"), and `source` and `target`. A unit without
            a finished translation has an empty target. Of TMX, units that lack one of the languages are left out.

    Raises:
        `ValueError`: if the XML or its compression is broken, if it defines entities, or if no unit is in the two
            languages.
    """
    languages: dict[str, str] = {}
    found = False
    for number, unit in enumerate(_units(path, kind, languages), 1):
        if kind == "tmx":
            pair = _tmx_sides(unit, source, target, languages)
        else:
            pair = _xliff_sides(unit) if kind == "xliff" else _qt_sides(unit)
            if _is_turned(path, source, target, languages) and pair is not None:
                pair = pair[::-1]
        if pair is not None:
            found = True
            yield f"{path}, unit {number}", dict(zip(("source", "target"), pair, strict=True))
    if not found:
        there = ", ".join(sorted(set(languages.values()))) or "none"
        raise ValueError(f"{path}: no unit is in both {source.name} and {target.name}; languages of the file: {there}")


#: Element that holds one unit, by kind; a `segment` is XLIFF 2.
_UNITS = {"tmx": {"tu"}, "xliff": {"trans-unit", "segment"}, "ts": {"message"}}
#: Elements that hold units; they are forgotten at their end too.
_CONTAINERS = {"group", "unit", "context"}
#: Attributes that name the languages of a file, source and target; of TMX each variant names its own.
_HEADS = {
    "xliff": {"source-language": "source", "target-language": "target", "srcLang": "source", "trgLang": "target"},
    "ts": {"sourcelanguage": "source", "language": "target"},
}


def _units(path: Path, kind: str, languages: dict[str, str]) -> Iterator[Element]:
    """Units of a file; what was read is forgotten."""
    number = 0
    with open_binary(path) as file, naming_damage(path, lambda: f"unit {number}"):
        try:
            above: list[Element] = []
            for event, element in iterparse(file, events=("start", "end"), forbid_dtd=False):
                if event == "start":
                    above.append(element)
                    heads = _HEADS.get(kind, {}).items()
                    languages.update({side: element.get(name, "") for name, side in heads if element.get(name)})
                    continue
                above.pop()
                if _local(element) in _UNITS[kind]:
                    number += 1
                    yield element
                if above and _local(element) in _UNITS[kind] | _CONTAINERS:
                    above[-1].remove(element)
        except ParseError as error:
            line, column = error.position
            raise ValueError(f"{path}, line {line}: broken XML at column {column + 1} ({error})") from error
        except DefusedXmlException as error:
            raise ValueError(f"{path}: defines XML entities, which are not expanded ({error})") from error
        except (LookupError, ValueError) as error:  # of the declaration `<?xml encoding="..."?>`
            raise ValueError(f"{path}: its encoding cannot be read ({error}); save it as UTF-8") from error


def _tmx_sides(unit: Element, source: Language, target: Language, languages: dict[str, str]) -> Pair | None:
    texts: dict[str, str] = {}
    for variant in unit:
        if _local(variant) != "tuv":
            continue
        code = variant.get(_XML_LANG) or variant.get("lang") or ""
        languages[code] = code
        segment = next((each for each in variant if _local(each) == "seg"), None)
        texts.setdefault(code, "" if segment is None else _text(segment))
    sides = [[text for code, text in texts.items() if names_language(code, each)] for each in (source, target)]
    return (sides[0][0], sides[1][0]) if all(sides) else None


def _xliff_sides(unit: Element) -> Pair | None:
    parts = {_local(each): each for each in reversed(unit)}
    if "source" not in parts:
        return None
    state = unit.get("state") or ("" if "target" not in parts else parts["target"].get("state", ""))
    finished = "target" in parts and state not in _UNFINISHED
    return _text(parts["source"]), _text(parts["target"]) if finished else ""


def _qt_sides(unit: Element) -> Pair | None:
    parts = {_local(each): each for each in unit}
    if "source" not in parts or "translation" not in parts:
        return None
    translation = parts["translation"]
    finished = translation.get("type", "") not in _UNFINISHED
    plural = next((each for each in translation if _local(each) == "numerusform"), translation)
    return _text(parts["source"]), _text(plural) if finished else ""


def _is_turned(path: Path, source: Language, target: Language, languages: dict[str, str]) -> bool:
    """
    Tells if a file says that its sides are the other way round. It is refused if it names another language, or one
    language for both sides.
    """
    asked = {"source": source, "target": target}
    straight = [side for side, code in languages.items() if names_language(code, asked[side])]
    turned = [side for side, code in languages.items() if names_language(code, target if side == "source" else source)]
    if len(straight) < len(languages) and len(turned) < len(languages):
        strange = [
            code for code in languages.values() if not any(names_language(code, each) for each in (source, target))
        ]
        raise ValueError(
            f"{path}: the file says that it is in {' and '.join(sorted(strange or languages.values()))}; expected "
            f"{source.name} and {target.name}"
        )
    return len(straight) < len(languages)


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _text(element: Element) -> str:
    """Text of a segment without the code inside it."""
    parts: list[str] = []
    # What comes next is last. A stack of our own, since Python's is too small for elements that are nested on purpose.
    waiting: list[Element | str] = [element]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            parts.append(item)
            continue
        for inner in reversed(item):
            waiting.append(inner.tail or "")
            if _local(inner) not in _MARKUP:
                waiting.append(inner)
        waiting.append(item.text or "")
    return "".join(parts)
