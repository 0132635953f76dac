"""
Build sentence pairs of a language with `sensia bitext` and put them into examples/assets/bitext.

    python examples/embed_bitext.py --config examples/configs/bitext_sw.yaml --data DIR

DIR holds the sources that the settings name. The training and the dev part become en-XX.train.parquet and
en-XX.dev-indomain.parquet, and the first half of NTREX, parallel/en-XX.dev.jsonl.gz, en-XX.ntrex-dev.parquet.
sources.json tells of all files. The same data gives the same files, byte for byte.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sensia.commands.bitext import BitextArguments, build
from sensia.corpora import read_pairs
from sensia.trainers import parse_arguments
from sensia.whole_files import write_json_whole, write_whole

PARTS = {"train": "train", "dev": "dev-indomain"}
NEWS = {
    "name": "ntrex-first-half",
    "license": "CC-BY-SA-4.0",
    "origin": "https://github.com/MicrosoftTranslator/NTREX (NTREX-128, first half)",
    "domain": "news",
}


@dataclass
class EmbeddingArguments:
    """Where the files go; the other settings are those of `sensia bitext`."""

    assets: str = field(default="examples/assets/bitext", metadata={"help": "Folder of the embedded bitext."})


def main() -> None:
    settings, args = parse_arguments(EmbeddingArguments, BitextArguments, description=__doc__)
    build(args)
    built, assets, pair = Path(args.output_dir), Path(settings.assets), f"en-{args.target_language}"
    told = json.loads((built / "sources.json").read_text(encoding="utf-8"))
    listed = assets / "sources.json"
    listing = json.loads(listed.read_text(encoding="utf-8")) if listed.exists() else {}
    for part, name in PARTS.items():
        write_whole(assets / f"{pair}.{name}.parquet", (built / f"{part}.parquet").read_bytes())
        listing[f"{pair}.{name}.parquet"] = told[f"{part}.parquet"]
    rows = write_news(args, assets / f"{pair}.ntrex-dev.parquet")
    listing[f"{pair}.ntrex-dev.parquet"] = {
        "license": NEWS["license"],
        "sources": [{**NEWS, "rows": rows}],
        "hub_id": "mteb/NTREX",
    }
    write_json_whole(listed, listing, indent=2)


def write_news(args: BitextArguments, path: Path) -> int:
    """Writes the news as they are, with the article of each pair; returns the number of pairs."""
    code = args.target_language
    rows: Any = read_pairs(
        args.locate(f"parallel/en-{code}.dev.jsonl.gz"), source_language="en", target_language=code
    ).rename_columns({"source": "en", "target": code})
    names = ("en", code, "origin", "doc")
    sink = pa.BufferOutputStream()
    table = pa.table({name: pa.array(rows[name], pa.string()) for name in names})
    pq.write_table(table, sink, compression="zstd", compression_level=19)
    write_whole(path, sink.getvalue().to_pybytes())
    return len(rows)


if __name__ == "__main__":
    main()
