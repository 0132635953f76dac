"""
Build the English-Indonesian sentence pairs in examples/assets/bitext from a larger collection.

    python examples/build_bitext.py --data DIR --output examples/assets/bitext

DIR holds parallel/en-id.train.jsonl.gz and parallel/en-id.dev.jsonl.gz, one object a line: {"translation": {"en": ...,
"id": ...}, "source": CORPUS}, the second with "doc". Only corpora with a clear free licence are taken (SOURCES below).
The same data gives the same files, byte for byte.
"""

import argparse
import hashlib
import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sensia.corpora import group_near_duplicates, read_pairs

Pair = dict[str, Any]
REPOSITORY = "https://github.com/"
SOFTWARE, MEDICAL, NEWS = "software manuals and interface texts", "texts on COVID-19", "news"
# Licence, where it comes from, and what its texts are.
SOURCES = {
    "tico19": ("CC0-1.0", f"{REPOSITORY}tico-19/tico-19.github.io", MEDICAL),
    "python-docs": ("PSF-2.0 AND CC0-1.0", f"{REPOSITORY}python/python-docs-id", SOFTWARE),
    "mozilla-www": ("MPL-2.0", f"{REPOSITORY}mozilla-l10n/www-l10n", SOFTWARE),
    "firefox": ("MPL-2.0", "Debian packages firefox-esr, firefox-esr-l10n-id", SOFTWARE),
    "wikipedia-android": ("Apache-2.0", f"{REPOSITORY}wikimedia/apps-android-wikipedia", SOFTWARE),
    "libreoffice-help": ("MPL-2.0", "Debian packages libreoffice-help-en-us, libreoffice-help-id (7.4.7)", SOFTWARE),
    "django-docs": (
        "BSD-3-Clause",
        f"{REPOSITORY}django/django-docs-translations (stable/5.1.x, stable/2.2.x)",
        SOFTWARE,
    ),
    "ntrex-first-half": ("CC-BY-SA-4.0", f"{REPOSITORY}MicrosoftTranslator/NTREX (NTREX-128, first half)", NEWS),
}
LARGE = ("libreoffice-help", "django-docs")
GLUED = re.compile(r"\w*[^\W\d_A-Z]{2}[A-Z]\w*")
ROLE = re.compile(r":[a-z]+:|\b(?:ref|mod|class|meth|func|attr|term|doc):\S")
PARTS = ("train", "dev-indomain", "ntrex-dev")


def sides(pair: Pair) -> set[str]:
    return {" ".join(re.findall(r"\w+", pair[language].casefold())) for language in ("en", "id")}


def read(path: Path) -> list[Pair]:
    rows = read_pairs(str(path), source_language="en", target_language="id")
    return [{"en": row.pop("source"), "id": row.pop("target"), **row} for row in rows]


def is_clean(pair: Pair) -> bool:
    glued = any(word not in pair["en"] for word in GLUED.findall(pair["id"]))
    return not glued and not ROLE.search(pair["en"] + " " + pair["id"])


def hold_out(pairs: list[Pair], size: int) -> tuple[list[Pair], list[Pair]]:
    """Take whole groups, in an order that depends on their text alone, until `size` pairs are held out."""
    chosen: set[int] = set()
    groups = group_near_duplicates([(pair["en"], pair["id"]) for pair in pairs])
    for group in sorted(groups, key=lambda group: hashlib.sha256(pairs[group[0]]["en"].encode()).digest()):
        if len(group) + len(chosen) <= size:
            chosen.update(group)
    dev = [pair for index, pair in enumerate(pairs) if index in chosen]
    return dev, [pair for index, pair in enumerate(pairs) if index not in chosen]


def limit_large(pairs: list[Pair], limit: int) -> list[Pair]:
    """Keep every pair of the small corpora, and of each large one the first, in equal shares."""
    share = (limit - sum(pair["origin"] not in LARGE for pair in pairs)) // len(LARGE)
    seen: Counter[str] = Counter()
    kept = []
    for pair in pairs:
        seen[pair["origin"]] += 1
        if pair["origin"] not in LARGE or seen[pair["origin"]] <= share:
            kept.append(pair)
    return kept


def describe(pairs: list[Pair]) -> dict[str, Any]:
    """Licences of a file and the corpora in it, and what their texts are, for model cards."""
    counts = sorted(Counter(pair["origin"] for pair in pairs).items())
    told = ("license", "origin", "domain")
    entries = [{"name": name, "rows": rows, **dict(zip(told, SOURCES[name], strict=True))} for name, rows in counts]
    licences = {part for entry in entries for part in entry["license"].split(" AND ")}
    return {"license": " AND ".join(sorted(licences)), "sources": entries}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder that holds parallel/")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write the files to")
    parser.add_argument("--limit", type=int, default=35_000, help="most pairs to train on (default: %(default)s)")
    parser.add_argument("--dev", type=int, default=1_000, help="pairs to hold out of them (default: %(default)s)")
    options = parser.parse_args()
    ntrex = read(options.data / "parallel" / "en-id.dev.jsonl.gz")
    news = set().union(*map(sides, ntrex))
    pairs = [pair for pair in read(options.data / "parallel" / "en-id.train.jsonl.gz") if pair["origin"] in SOURCES]
    dev, rest = hold_out([pair for pair in pairs if is_clean(pair) and not sides(pair) & news], options.dev)
    held_out = set().union(*map(sides, dev))
    train = limit_large([pair for pair in rest if not sides(pair) & held_out], options.limit)
    options.output.mkdir(parents=True, exist_ok=True)
    files = {f"en-id.{part}.parquet": rows for part, rows in zip(PARTS, (train, dev, ntrex), strict=True)}
    for name, rows in files.items():
        draft = options.output / f"{name}.partial"
        pq.write_table(pa.Table.from_pylist(rows), draft, compression="zstd", compression_level=19)
        os.replace(draft, options.output / name)
    draft = options.output / "sources.json.partial"
    sources = {name: describe(rows) for name, rows in files.items()}
    sources["en-id.ntrex-dev.parquet"]["hub_id"] = "mteb/NTREX"
    draft.write_text(json.dumps(sources, indent=2) + "\n")
    os.replace(draft, options.output / "sources.json")


if __name__ == "__main__":
    main()
