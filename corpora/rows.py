"""Rows of whatever fields, from local files or the Hub, and what they were: name, hash and number."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sensia.corpora.data_sets import load_folder, load_hub
from sensia.corpora.fingerprint import describe_file
from sensia.corpora.locations import is_local, local_files
from sensia.corpora.records import read_records


def read_rows(
    source: str, *, config_name: str | None = None, split: str | None = None, revision: str | None = None
) -> list[dict[str, Any]]:
    """
    Reads a table of any fields.

    Args:
        source (`str`): Hub data set id, or a local file or folder: `.jsonl`, `.json` (one object a line), `.csv`,
            `.tsv` with a first row of names (each also with `.gz`) or `.parquet`; a folder of `save_to_disk` or a
            clone of a Hub data set.
        config_name (`str`, *optional*): configuration of a Hub data set.
        split (`str`, *optional*): as in [`read_pairs`]; `test` for a Hub data set if not given.
        revision (`str`, *optional*): branch, tag or commit of a Hub data set.

    Returns:
        `list[dict]`: the rows in order.

    Raises:
        ValueError: for damaged data and for no rows, naming the file.
        OSError: if the file or data set is missing, gated or cannot be reached.
    """
    if not is_local(source):
        table = load_hub(source, name=config_name, split=split or "test", revision=revision)
        rows = [dict(row) for row in table]
    elif (folder := load_folder(source, split, config_name, streaming=False)) is not None:
        rows = [dict(row) for row in folder]
    else:
        files, kind = local_files(source, split, ("json", "csv", "tsv", "parquet"))
        rows = [row for path in files for _, row in read_records(path, kind)]
    if not rows:
        raise ValueError(f"no rows in {source}")
    return rows


def describe_rows(source: str, rows: Iterable[Mapping[str, Any]], **options: str | None) -> dict[str, Any]:
    """
    Describes the rows that a figure was measured on, without the name of a folder.

    Args:
        source (`str`): what the rows were read from.
        rows (`Iterable`): the rows that were used.
        options (`str`, *optional*): how a Hub data set was opened (`config_name`, `split`, `revision`).

    Returns:
        `dict`: `name` (base name of a local file or folder, else the Hub id), `hub_id`, `rows` (how many), and
        `sha256`: of the file where there is one, of the rows where they are of a folder or of the Hub; and the
        options given.
    """
    path = Path(source).expanduser()
    local = is_local(source)
    digest, count = hashlib.sha256(), 0
    for row in rows:
        digest.update(json.dumps(row, sort_keys=True, ensure_ascii=False, default=str).encode() + b"\n")
        count += 1
    return {
        "name": path.resolve().name if local else source,
        "hub_id": None if local else source,
        "sha256": describe_file(path)["sha256"] if path.is_file() else digest.hexdigest(),
        "rows": count,
        **{name: value for name, value in options.items() if value is not None},
    }
