"""Bitext of the Hub: the part of a data set that holds a pair of languages, its columns, and joining two parts."""

from typing import Any

import datasets
from datasets import Dataset, IterableDataset
from transformers.utils import logging

from sensia.corpora.configurations import (
    JOINED,
    LANGUAGE_COLUMNS,
    Languages,
    configuration_of,
    order_of_names,
    order_of_rows,
)
from sensia.corpora.data_sets import load_hub
from sensia.corpora.fields import PairRequest, pick_column
from sensia.corpora.held_out import DataPart, choose_configuration, configurations_of, listed, splits_of
from sensia.corpora.languages import names_language
from sensia.corpora.sides import SAMPLE

logger = logging.get_logger(__name__)
#: Column by which the rows of two configurations of one language each belong together.
ROW_ID = "id"


def pair_part(
    source: str,
    languages: Languages,
    *,
    config_name: str | None = None,
    split: str | None = None,
    revision: str | None = None,
    guess_train: bool = True,
) -> DataPart:
    """
    The part of a Hub data set that holds a pair of languages.

    Args:
        source (`str`): Hub id, or a folder that is a clone of the data set.
        languages (`tuple` of two `Language`): of the source and of the target side.
        config_name (`str`, *optional*): configuration; the languages of its name may be in any order and code. If not
            given, it is found by the languages.
        split (`str`, *optional*): split. If not given, `train`, the only one, or the one named after the languages.
        revision (`str`, *optional*): branch, tag or commit.
        guess_train (`bool`, *optional*, defaults to `True`): take `train` where there are other splits too.

    Returns:
        [`DataPart`]: its configuration is `None` where the data set has one alone.

    Raises:
        ValueError: if there is no such configuration, or several configurations or splits could be meant.
        OSError: if the data set does not exist, is gated or private, or the Hub cannot be reached.
    """
    if datasets.config.HF_HUB_OFFLINE and config_name is not None:
        return DataPart(source, config_name, split or "train")  # without the Hub, nobody can say what there is
    configurations = configurations_of(source, revision)
    chosen = choose_configuration(source, config_name, configurations, languages)
    shown = chosen if len(configurations) > 1 else None
    if split is not None:
        return DataPart(source, shown, split)
    splits = splits_of(source, chosen, revision)
    if len(splits) == 1 or (guess_train and "train" in splits):
        return DataPart(source, shown, splits[0] if len(splits) == 1 else "train")
    named = configuration_of(splits, languages, source)
    if named in splits:
        return DataPart(source, shown, named)
    raise ValueError(f"{source} holds several splits ({listed(splits)}): choose one")


def column_order(table: Dataset | IterableDataset, part: DataPart, languages: Languages) -> Languages | None:
    """
    Order of the languages in columns that are not named after them, as `sentence1` and `sentence2`.

    Args:
        table (`datasets.Dataset` or `datasets.IterableDataset`): the rows.
        part ([`DataPart`]): where they are from.
        languages (`tuple` of two `Language`): of the source and of the target side.

    Returns:
        `tuple` of two `Language`, or `None`: languages of the first and of the second column, told by the rows or by
            the names of configuration and split; `None` where neither tells.

    Raises:
        `ValueError`: if the first rows are not all of the same languages.
    """
    names = table.column_names
    rows = list(table.take(SAMPLE)) if names is None or LANGUAGE_COLUMNS & set(names) else []
    return order_of_rows(rows, languages, part.source) or order_of_names((table.config_name, part.split), languages)


def load_joined(part: DataPart, request: PairRequest, revision: str | None = None) -> Dataset:
    """
    Loads two configurations of one language each, and joins their rows by the column `id`.

    Args:
        part ([`DataPart`]): of [`pair_part`], with [`JOINED`] in its configuration.
        request ([`PairRequest`]): the languages, and the columns of text in each configuration, `text` by default.
        revision (`str`, *optional*): branch, tag or commit.

    Returns:
        `datasets.Dataset`: columns `source` and `target`, in the order of the source side. A row that the other side
            does not have is left out.

    Raises:
        `ValueError`: if a column is missing, an `id` repeats, or no row has a partner.
    """
    sides = []
    for name, column in zip(_by_side(str(part.config_name), request), _text_columns(request), strict=True):
        table = load_hub(part.source, name=name, split=part.split, revision=revision)
        sides.append(_texts_by_id(table, column, f"{part.source}, configuration {name}"))
    source, target = sides
    shared = [row for row in source if row in target]
    if not shared:
        raise ValueError(f"{part}: no `{ROW_ID}` of one language is also one of the other")
    if len(shared) < max(len(source), len(target)):
        logger.warning(f"{part}: {len(shared):,} of {len(source):,} and {len(target):,} rows have a partner")
    return Dataset.from_dict({"source": [source[row] for row in shared], "target": [target[row] for row in shared]})


def _by_side(configuration: str, request: PairRequest) -> list[str]:
    """Both configurations, that of the source side first."""
    names = configuration.split(JOINED)
    if len(names) != 2:
        raise ValueError(f"configuration {configuration!r}: two can be joined, not {len(names)}")
    swapped = names_language(names[0], request.target_language) or names_language(names[1], request.source_language)
    return names[::-1] if swapped else names


def _text_columns(request: PairRequest) -> tuple[str, str]:
    return request.source_column or "text", request.target_column or "text"


def _texts_by_id(table: Dataset, column: str, place: str) -> dict[Any, Any]:
    for name in (ROW_ID, column):
        pick_column(table.column_names, [name], place)
    ids = table[ROW_ID][:]
    if len(set(ids)) < len(ids):
        raise ValueError(f"{place}: an `{ROW_ID}` repeats, so that rows cannot be joined by it")
    return dict(zip(ids, table[column][:], strict=True))
