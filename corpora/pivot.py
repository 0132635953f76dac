"""Pairs of two target languages, from two bitexts that have sentences of the source language in common."""

import datasets


def join_by_source(first: datasets.Dataset, second: datasets.Dataset) -> datasets.Dataset:
    """
    Pairs the target sides of two bitexts whose source sides are the same.

    Args:
        first, second (`datasets.Dataset`): pairs of [`clean_pairs`], of the same source language.

    Returns:
        `datasets.Dataset`: for each source sentence that both have, the target side of `first` as `source_ids` and
        `source_bytes`, and that of `second` as `target_ids` and `target_bytes`; `row` is the row of `first`. A source
        sentence that comes several times counts once.
    """
    places: dict[tuple[int, ...], int] = {}
    for place, ids in enumerate(second["source_ids"]):
        places.setdefault(tuple(ids), place)
    shared: dict[tuple[int, ...], tuple[int, int]] = {}
    for place, ids in enumerate(first["source_ids"]):
        if tuple(ids) in places:
            shared.setdefault(tuple(ids), (place, places[tuple(ids)]))
    ones, others = ([pair[side] for pair in shared.values()] for side in (0, 1))
    sources, targets = first.select(ones), second.select(others)
    columns = {name.replace("target", "source"): sources[name] for name in ("target_ids", "target_bytes")}
    columns |= {name: targets[name] for name in ("target_ids", "target_bytes")}
    return datasets.Dataset.from_dict({**columns, "row": sources["row"]})
