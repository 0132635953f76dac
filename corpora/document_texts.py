"""Documents of one language by their id: files of a folder, or rows with a column of ids."""

import re
from pathlib import Path

from sensia.corpora.cells import text_or_none
from sensia.corpora.fields import pick_column
from sensia.corpora.languages import Language, names_language
from sensia.corpora.locations import COMPRESSIONS, local_files
from sensia.corpora.records import read_records


def read_documents(source: str, language: Language, column: str, id_column: str) -> dict[str, list[str]]:
    """
    Reads documents as the lines of their text.

    Args:
        source (`str`): a folder of `.txt` files, whose names without endings and language are the ids (`12.txt`,
            `12.sw.txt.gz` and `12_sw.txt` have the id `12`); or files of JSON lines, JSON or Parquet, in which all
            rows of one id are one document.
        language (`Language`): language of the documents.
        column (`str`): column of the text.
        id_column (`str`): column of the ids.

    Returns:
        `dict`: the lines by id, in the order of the source.

    Raises:
        `ValueError`: if a column is missing, or a text or an id is neither text nor a number.
        `OSError`: if there is no such file or folder.
    """
    files, kind = local_files(source, None, ("txt", "json", "parquet"))
    found: dict[str, list[str]] = {}
    for path in files:
        for place, record in read_records(path, kind):
            text = record[pick_column(record, ["text" if kind == "txt" else column], place)]
            name = _id_of_file(path, language) if kind == "txt" else record[pick_column(record, [id_column], place)]
            if isinstance(name, bool) or not isinstance(name, str | int):
                raise ValueError(f"{place}: field {id_column!r} must be text or a number, got {type(name).__name__}")
            if text_or_none(text) is None:
                raise ValueError(f"{place}: field {column!r} must be text, got {type(text).__name__}")
            found.setdefault(str(name), []).extend(text.splitlines())
    return found


def _id_of_file(path: Path, language: Language) -> str:
    name = path.name
    for ending in (*COMPRESSIONS, ".txt"):
        name = name.removesuffix(ending)
    start, _, code = re.sub(r"[._-](?=[^._-]*$)", "\n", name).rpartition("\n")
    return start if start and names_language(code, language) else name
