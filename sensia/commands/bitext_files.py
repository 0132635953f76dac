"""The files of a bitext that `sensia bitext` has built: its parts, what they are made of, and the card."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sensia.corpora.bitext_build import Pair, write_pairs
from sensia.corpora.bitext_reports import SourceReport
from sensia.corpora.licences import HUB_LICENCES, licences_in
from sensia.model_cards.bitext_card import bitext_card, notice
from sensia.trainers.data_sources import BitextSource
from sensia.whole_files import write_json_whole, write_whole


def write_bitext(
    output: Path,
    parts: Mapping[str, Sequence[Pair]],
    reports: Mapping[str, SourceReport],
    sources: list[BitextSource],
    *,
    codes: tuple[str, str],
    name: str,
    steps: Sequence[str],
    scored_by: str | None = None,
):
    """
    Writes Parquet files, `sources.json`, `NOTICE.md` and the card.

    Args:
        output (`Path`): the folder.
        parts (`Mapping`): pairs by part.
        reports (`Mapping` of [`SourceReport`]): counts by the name of each source.
        sources (`list` of [`BitextSource`]): what the bitext was built from.
        codes (`tuple` of two `str`): codes of the languages, the names of the columns.
        name (`str`): name of the data set.
        steps (`Sequence[str]`): steps that were made.
        scored_by (`str`, *optional*): a sentence that says what the column `score` holds.
    """
    for part, pairs in parts.items():
        write_pairs(output / f"{part}.parquet", pairs, codes)
    listing = {f"{part}.parquet": _describe(sources, pairs) for part, pairs in parts.items()}
    write_json_whole(output / "sources.json", listing, indent=2)
    write_whole(output / "NOTICE.md", notice(sources).encode())
    sizes = {part: len(pairs) for part, pairs in parts.items()}
    card = bitext_card(name, codes, sources, reports, sizes, steps, _joint_licence(sources), scored_by)
    write_whole(output / "README.md", card.encode(errors="replace"))


def _joint_licence(sources: list[BitextSource]) -> str:
    """The Hub's identifier of the licence of all sources together: theirs where they have one, else `other`."""
    names = {name for each in sources for name in licences_in(each.license or "unknown")}
    return names.pop() if len(names) == 1 and names <= set(HUB_LICENCES) else "other"


def _describe(sources: list[BitextSource], pairs: Sequence[Pair]) -> dict[str, Any]:
    """Licence and sources of a file, in the form that model cards read."""
    entries = []
    for source in sources:
        rows = sum(pair["origin"] == source.shown for pair in pairs)
        if rows:
            told = {"origin": source.attribution, "domain": source.domain}
            entry = {"name": source.shown, "rows": rows, "license": source.license or "unknown"}
            entries.append(entry | {key: text for key, text in told.items() if text})
    licences = sorted({part for entry in entries for part in str(entry["license"]).split(" AND ")})
    return {"license": " AND ".join(licences), "sources": entries}
