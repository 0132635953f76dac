"""Interface texts of gettext: PO and MO files, whose source side is the program's own text."""

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
        catalog = polib.pofile(content) if kind == "po" else polib.mofile(content)
    except (OSError, ValueError, IndexError) as error:
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
