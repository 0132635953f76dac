"""Repair of text that crawlers and converters have damaged: HTML entities, and invisible characters."""

import html
import re
import unicodedata

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,30});")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
#: Line ends that only Unicode knows, vertical tabs and the like: white space inside a sentence.
_LINE_ENDS = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]+")
#: Zero width space, word joiner and byte order mark; the joiners that scripts need are not among them.
_INVISIBLE = str.maketrans(dict.fromkeys("\u200b\u2060\ufeff"))

HTML, CONTROL = "html", "control_characters"


def repair(text: str) -> tuple[str, tuple[str, ...]]:
    """
    Takes out of a text what is not text.

    Args:
        text (`str`): any text.

    Returns:
        `tuple`: the text with entities of HTML written out, tags that were written as entities dropped, and control
        characters removed; and which of `html` and `control_characters` there were.
    """
    found: list[str] = []
    if "&" in text and _ENTITY.search(text):
        # Tags that stand there as they are belong to the text, as in documentation.
        own = set(_TAG.findall(text))
        unescaped = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
        text = _TAG.sub(lambda match: match[0] if match[0] in own else "", unescaped)
        found.append(HTML)
    if not text.isprintable():
        clean = _LINE_ENDS.sub(" ", text).translate(_INVISIBLE)
        clean = "".join(letter for letter in clean if letter in "\t\n\r" or unicodedata.category(letter) != "Cc")
        if clean != text:
            text = clean
            found.append(CONTROL)
    return text, tuple(found)
