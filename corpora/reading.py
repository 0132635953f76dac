"""Reading sentence pairs and plain text from local files, folders and the Hub."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import datasets
import pyarrow as pa

from sensia.corpora.cells import check_texts, label_or_none, take_prompts, text_or_none
from sensia.corpora.configurations import JOINED
from sensia.corpora.data_sets import is_clone, load_folder, load_hub
from sensia.corpora.fields import (
    PROMPT,
    PROMPT_COLUMNS,
    TRANSLATION,
    PairFields,
    PairRequest,
    choose_fields,
    pick_column,
)
from sensia.corpora.file_rows import ON_BAD_ROWS, STOP, first_fields, pairs_of_files, texts_of_files
from sensia.corpora.hub_pairs import column_order, load_joined, pair_part
from sensia.corpora.languages import Language, find_language
from sensia.corpora.locations import PARALLEL, holds_files, is_local, local_files, parallel_files
from sensia.corpora.records import (
    BILINGUAL_KINDS,
)
from sensia.corpora.sides import SAMPLE, check_side
from sensia.corpora.tables import QUOTINGS

AnyDataset: TypeAlias = datasets.Dataset | datasets.IterableDataset
ROWS_PER_CHUNK = 10_000


def read_pairs(
    source: str,
    *,
    source_language: str,
    target_language: str,
    source_column: str | None = None,
    target_column: str | None = None,
    split: str | None = None,
    streaming: bool = False,
    config_name: str | None = None,
    revision: str | None = None,
    tsv_quoting: str = "auto",
    on_bad_rows: str | None = None,
) -> AnyDataset:
    """
    Read sentence pairs.

    Args:
        source (`str`): Hub data set id, or a local source:

            - a file: `.jsonl`, `.json` (one object a line, one array, or one object with an array in it), `.csv`,
              `.tsv`, `.tmx`, `.xlf`, `.ts` (Qt Linguist) or `.po`, each also with `.gz`, `.xz`, `.bz2` or `.zst`;
              `.parquet`, `.mo`;
            - two files, line by line: `corpus.{lang}`, `corpus.en` where `corpus.id` lies beside it, or `a.txt,b.txt`;
            - a folder or `.zip` archive of such files, or a file in an archive (`corpus.zip/en-id.tmx`);
            - a folder of `save_to_disk` or a clone of a Hub data set.

            The pair of a table is in a column `translation` (`{"en": ..., "id": ...}`) or in two columns. A column
            `prompt` of the same shape makes instruction pairs: the pair itself is then the response.
        source_language (`str`): code of the source language, any that `find_language` knows.
        target_language (`str`): code of the target language.
        source_column (`str`, *optional*): column of the source side, or key inside `translation`, or number of a
            column of a table without names; by default the one that is most surely named after its language.
        target_column (`str`, *optional*): column of the target side, likewise.
        split (`str`, *optional*): for the Hub, the split (slices such as `train[:1000]` work; if not given, `train`,
            the only one, or the one named after the languages); for a folder, a word in the names of the files to
            take; not for a single file.
        streaming (`bool`, *optional*, defaults to `False`): read while iterating instead of loading everything.
        config_name (`str`, *optional*): configuration of a Hub data set, found by the languages if not given. Two of
            one language each, as in `eng_Latn+ind_Latn`, are joined by their column `id`.
        revision (`str`, *optional*): branch, tag or commit of a Hub data set.
        tsv_quoting (`str`, *optional*, defaults to `"auto"`): how `.tsv` files quote; see [`tables.table_records`].
        on_bad_rows (`str`, *optional*): `"stop"` to raise for the first row that is broken (more or fewer cells than
            columns, invalid JSON, bytes that are not UTF-8) or has a side that is empty or not text; `"drop"` to give
            a broken row as a pair without text, which cleaning drops and counts. If not given, broken rows raise, and
            sides that are empty or not text are left to cleaning.

    Returns:
        `datasets.Dataset` or `datasets.IterableDataset`: text columns `source` and `target`, and `origin` (the corpus;
        the column `source` of a translation-type file counts as it), `doc`, `source_prompt` and `target_prompt` where
        the data has them. A null cell is read as empty text and a cell that is not text as None; `clean_pairs` counts
        and drops both. Several text files with `doc` also give `file`, where each pair is from.

    Raises:
        `ValueError`: for unknown languages, columns that are missing, ambiguous or hold no text, and damaged data,
            naming file, line and field.
        `OSError`: if the file or data set is missing or cannot be reached. When streaming, defects in the data are
            found, and raised, where the iteration meets them.
    """
    languages = find_language(source_language), find_language(target_language)
    if languages[0] == languages[1]:
        raise ValueError(f"source and target language are the same: {source_language!r} and {target_language!r}")
    if tsv_quoting not in QUOTINGS:
        raise ValueError(f"`tsv_quoting` must be one of {', '.join(QUOTINGS)}, got {tsv_quoting!r}")
    if on_bad_rows not in (None, *ON_BAD_ROWS):
        raise ValueError(f"`on_bad_rows` must be one of {', '.join(ON_BAD_ROWS)}, got {on_bad_rows!r}")
    request = PairRequest(*languages, source_column, target_column)
    if is_clone(source) or not is_local(source):
        named = {"config_name": config_name, "split": split, "revision": revision}
        return _pairs_of_hub(source, request, named, streaming, on_bad_rows)
    folder = load_folder(source, split, config_name, streaming)
    if folder is not None:
        return _pairs_of_table(folder, request, source, on_bad_rows)
    _refuse_hub_options(source, config_name=config_name, revision=revision)
    files, kind = _find_files(source, split, languages)
    options: dict[str, Any] = {"files": files, "kind": kind, "request": request, "quoting": tsv_quoting}
    options["on_bad_rows"] = on_bad_rows
    fields = first_fields(**options)
    _check_sides(_sample(pairs_of_files(**options)), fields, source)
    # Documents are numbered anew in each file.
    names = ("source", "target", *fields.extras, *(["file"] if "doc" in fields.extras and len(files) > 1 else []))
    return _dataset_of_rows(pairs_of_files, options, names, streaming)


def read_texts(
    source: str,
    *,
    column: str = "text",
    split: str | None = None,
    streaming: bool = False,
    config_name: str | None = None,
    revision: str | None = None,
) -> AnyDataset:
    """
    Read text of one language.

    Args:
        source (`str`): Hub data set id, or a local file or folder: `.jsonl`, `.json` (one object a line), `.txt` (one
            sentence or paragraph a line, each also with `.gz`, `.xz`, `.bz2` or `.zst`) or `.parquet`.
        column (`str`, *optional*, defaults to `"text"`): column that holds the text; plain text files have none.
        split (`str`, *optional*): as in `read_pairs`.
        streaming (`bool`, *optional*, defaults to `False`): read while iterating instead of loading everything.
        config_name (`str`, *optional*), revision (`str`, *optional*): as in `read_pairs`.

    Returns:
        `datasets.Dataset` or `datasets.IterableDataset`: the column `text`; a null cell is read as empty text.

    Raises:
        `ValueError`: for a missing column, a value that is not text and damaged data, naming file, line and field.
        `OSError`: if the file or data set is missing or cannot be reached.
    """
    if not is_local(source):
        loaded = load_hub(source, name=config_name, split=split or "train", revision=revision, streaming=streaming)
        return _texts_of_table(loaded, column, source)
    folder = load_folder(source, split, config_name, streaming)
    if folder is not None:
        return _texts_of_table(folder, column, source)
    _refuse_hub_options(source, config_name=config_name, revision=revision)
    files, kind = local_files(source, split, ("json", "txt", "parquet"))
    options = {"files": files, "kind": kind, "column": "text" if kind == "txt" else column}
    return _dataset_of_rows(texts_of_files, options, ("text",), streaming)


def _pairs_of_hub(
    source: str, request: PairRequest, named: dict[str, str | None], streaming: bool, on_bad_rows: str | None
) -> AnyDataset:
    languages, revision = (request.source_language, request.target_language), named["revision"]
    location = str(Path(source).expanduser()) if is_local(source) else source
    part = pair_part(location, languages, guess_train=not is_local(source), **named)
    if JOINED in (part.config_name or ""):
        joined = load_joined(part, request, revision)
        sides = replace(request, source_column="source", target_column="target")
        return _pairs_of_table(joined.to_iterable_dataset() if streaming else joined, sides, str(part), on_bad_rows)
    table = load_hub(location, name=part.config_name, split=part.split, revision=revision, streaming=streaming)
    ordered = replace(request, order=column_order(table, part, languages))
    return _pairs_of_table(table, ordered, source, on_bad_rows)


def _find_files(source: str, split: str | None, languages: tuple[Language, Language]) -> tuple[list[Any], str]:
    """Files of pairs and their kind. Two files of one bitext count only where there is no file of pairs."""
    kinds = ("json", "csv", "tsv", "parquet", *BILINGUAL_KINDS)
    pairs = [] if holds_files(source, kinds) else parallel_files(source, languages, split)
    return (pairs, PARALLEL) if pairs else local_files(source, split, kinds)


def _refuse_hub_options(source: str, **options: str | None) -> None:
    given = [f"{name}={value!r}" for name, value in options.items() if value is not None]
    if given:
        raise ValueError(f"{', '.join(given)} is for Hub data sets, but {source} is a local path")


def _sample(pairs: Iterator[dict[str, str | None]]) -> list[dict[str, str | None]]:
    """The first pairs, up to the first damage: that is raised where the reading comes to it."""
    found: list[dict[str, str | None]] = []
    with suppress(ValueError):
        for pair in islice(pairs, SAMPLE):
            found.append(pair)
    return found


def _check_sides(pairs: Sequence[Mapping[str, str | None]], fields: PairFields, place: str) -> None:
    for side, column in (("source", fields.source), ("target", fields.target)):
        check_side([pair[side] for pair in pairs], column, place)


def _text_features(names: tuple[str, ...]) -> datasets.Features:
    return datasets.Features({name: datasets.Value("string") for name in names})


def _dataset_of_rows(
    rows: Callable[..., Iterator[dict[str, Any]]], options: dict[str, Any], names: tuple[str, ...], streaming: bool
) -> AnyDataset:
    features = _text_features(names)
    if streaming:
        return datasets.IterableDataset.from_generator(_only, features, {**options, "rows": rows, "names": names})
    loaded = dataset_of_rows(_only(rows=rows, names=names, **options), features)
    if len(loaded) == 0:
        raise ValueError(f"no rows in {', '.join(str(path) for path in options['files'])}")
    return loaded


def dataset_of_rows(rows: Iterator[dict[str, Any]], features: datasets.Features) -> datasets.Dataset:
    """
    Rows to a data set in memory, without ever holding all of them as Python objects.

    Args:
        rows (`Iterator[dict]`): the rows.
        features (`datasets.Features`): their columns.

    Returns:
        `datasets.Dataset`: the rows, in order.
    """
    chunks = iter(lambda: list(islice(rows, ROWS_PER_CHUNK)), [])
    schema = features.arrow_schema
    return datasets.Dataset(
        pa.Table.from_batches([pa.RecordBatch.from_pylist(chunk, schema) for chunk in chunks], schema)
    )


def _only(
    rows: Callable[..., Iterator[dict[str, Any]]], names: tuple[str, ...], **options: Any
) -> Iterator[dict[str, Any]]:
    return ({name: row.get(name) for name in names} for row in rows(**options))


def _columns(table: AnyDataset) -> dict[str, Any]:
    # A streamed data set may not know its columns before its first row.
    if table.features is None:
        return next(iter(table), {})
    columns = dict(table.features)
    for name in (TRANSLATION, PROMPT):
        if isinstance(columns.get(name), datasets.Translation):
            columns[name] = {code: datasets.Value("string") for code in columns[name].languages}
    return columns


def _check_text_column(feature: Any, column: str, place: str) -> None:
    # Without features a column is known by the value of its first row, and any later one may differ: cleaning counts.
    if isinstance(feature, datasets.Value) and feature.dtype in ("string", "large_string", "null"):
        return
    if feature is None or isinstance(feature, str):
        return
    raise ValueError(f"{place}: column {column!r} must hold text, got {feature}")


def _pairs_of_table(table: AnyDataset, request: PairRequest, place: str, on_bad_rows: str | None) -> AnyDataset:
    columns = _columns(table)
    fields = choose_fields(columns, request, place)
    sides: Mapping[str, Any] = columns[TRANSLATION] if fields.nested else columns
    for side in (fields.source, fields.target):
        _check_text_column(sides[side], f"{TRANSLATION}.{side}" if fields.nested else side, place)
    features = _text_features(("source", "target", *fields.extras))
    options = {"fields": fields, "place": place, "check": on_bad_rows == STOP}
    pairs = _map_table(table, _take_pairs, options, list(columns), features, with_indices=True)
    _check_sides(list(islice(pairs, SAMPLE)), fields, place)
    return pairs


def _take_pairs(
    batch: dict[str, list[Any]], indices: list[int], fields: PairFields, place: str, check: bool
) -> dict[str, list[str | None]]:
    if fields.nested:
        pairs = [row or {} for row in batch[TRANSLATION]]
        sides = {key: [pair.get(key) for pair in pairs] for key in (fields.source, fields.target)}
    else:
        sides = {key: batch[key] for key in (fields.source, fields.target)}
    columns = {"source": sides[fields.source], "target": sides[fields.target]}
    taken = {name: [text_or_none(value) for value in values] for name, values in columns.items()}
    taken |= {name: [label_or_none(value) for value in batch[column]] for name, column in fields.labels.items()}
    if fields.prompts:
        prompts = [take_prompts(prompt, fields.prompts) for prompt in batch[PROMPT]]
        taken |= {name: [prompt[name] for prompt in prompts] for name in PROMPT_COLUMNS}
    if check:
        for number, index in enumerate(indices):
            pair = {name: values[number] for name, values in taken.items()}
            check_texts(pair, fields, f"{place}, row {index + 1}")
    return taken


def _texts_of_table(table: AnyDataset, column: str, place: str) -> AnyDataset:
    columns = _columns(table)
    pick_column(columns, [column], place)
    _check_text_column(columns[column], column, place)
    return _map_table(table, _take_texts, {"column": column}, list(columns), _text_features(("text",)))


def _take_texts(batch: dict[str, list[Any]], column: str) -> dict[str, list[str | None]]:
    texts = [text_or_none(value) for value in batch[column]]
    if None in texts:
        value = batch[column][texts.index(None)]
        raise ValueError(f"column {column!r} must hold text, got {type(value).__name__} {value!r}")
    return {"text": texts}


def _map_table(
    table: AnyDataset,
    function: Callable[..., Any],
    options: dict[str, Any],
    old: list[str],
    features: datasets.Features,
    **more: Any,
) -> AnyDataset:
    progress = {"desc": "Reading"} if isinstance(table, datasets.Dataset) else {}
    return table.map(
        function, batched=True, fn_kwargs=options, remove_columns=old, features=features, **progress, **more
    )
