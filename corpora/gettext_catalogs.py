"""Interface texts of gettext: PO and MO files, whose source side is the program's own text."""

import struct
from collections.abc import Iterator
from pathlib import Path

import polib

from sensia.corpora.languages import Language, names_language
from sensia.corpora.text_files import Record, numbered_lines, open_binary


def gettext_records(path: Path, kind: str, source: Language, target: Language) -> Iterator[Record]:
    """
    Entries of a gettext file.

    Args:
        path (`Path`): `.po` file, optionally compressed, or `.mo` file.
        kind (`str`): `po` or `mo`.
        source, target (`Language`): the languages. The file names that of its translations alone.

    Returns:
        `Iterator[tuple[str, dict]]`: where the entry begins ("FILE, line N", of MO "FILE, entry N"), and `source` and
            `target`. The target is empty where there is no translation, or one that is only guessed ("fuzzy"). Of
            plural entries the first form is taken. Entries that are not used any more are left out.

    Raises:
        `ValueError`: if the file is broken, or says that it is in another language.
    """
    content: str | bytes
    if kind == "po":
        # The last line end keeps polib from taking the content for the name of a file.
        content = "".join(line for _, line in numbered_lines(path)) + "\n"
    else:
        with open_binary(path) as file:
            content = file.read()
    try:
        catalog = polib.pofile(content) if isinstance(content, str) else polib.mofile(content)
        if isinstance(content, bytes):
            _check_ends(content)
    except (OSError, ValueError, IndexError, OverflowError, struct.error) as error:
        raise ValueError(f"{path}: not a readable {kind.upper()} file ({error})") from error
    language = catalog.metadata.get("Language", "")
    if language and not names_language(language, target):
        raise ValueError(f"{path}: its header says that it is in {language!r}; expected {target.name}")
    for number, entry in enumerate(catalog, 1):
        if entry.obsolete:
            continue
        place = f"{path}, line {entry.linenum}" if kind == "po" else f"{path}, entry {number}"
        guessed = "fuzzy" in getattr(entry, "flags", ())  # compiled entries have no flags
        yield (
            place,
            {
                "source": entry.msgid,
                "target": "" if guessed else entry.msgstr or entry.msgstr_plural.get(0, ""),
            },
        )


def _check_ends(content: bytes):
    """Refuses a MO file that ends within a text, of which polib would give the beginning."""
    order = "<" if content.startswith(b"\xde\x12\x04\x95") else ">"
    number, *tables = struct.unpack_from(f"{order}3I", content, 8)
    for table in tables:
        places = struct.unpack_from(f"{order}{2 * number}I", content, table)  # length and offset of each text
        ends = [length + offset for length, offset in zip(places[::2], places[1::2], strict=True)]
        if max(ends, default=0) > len(content):
            raise ValueError(f"{len(content):,} bytes of {max(ends):,}")
