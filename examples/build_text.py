"""
Build the English text in examples/assets/text from the text that the embedded model was pretrained on.

    python examples/build_text.py --data DIR --output examples/assets/text

DIR holds english/train.textbooks-openstax.jsonl.gz, one object a line: {"text": ..., "source": BOOK}, with paragraphs
on lines of their own. The same data gives the same file, byte for byte.
"""

import argparse
import hashlib
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sensia.corpora.text_files import json_records
from sensia.whole_files import write_json_whole

#: Books about people, states and money, whose language is that of newspapers more than a book of chemistry's is.
BOOKS = (
    "openstax-american-government",
    "openstax-business-ethics",
    "openstax-introduction-anthropology",
    "openstax-introduction-business",
    "openstax-introduction-political-science",
    "openstax-introduction-sociology",
    "openstax-life-liberty-and-pursuit-happiness",
    "openstax-principles-economics-bundle",
    "openstax-us-history",
    "openstax-world-history",
)
FILE = "train.textbooks-openstax.jsonl.gz"
NAME = "en.train.parquet"
CHARACTERS = (300, 1200)  # of a paragraph: shorter ones are headings and captions


def paragraphs(path: Path) -> list[dict[str, str]]:
    """Paragraphs of the chosen books with their book."""
    found = []
    for _, record in json_records(path):
        if record["source"] in BOOKS:
            lines = [line.strip() for line in record["text"].splitlines()]
            kept = (line for line in lines if CHARACTERS[0] <= len(line) <= CHARACTERS[1])
            found += [{"text": line, "source": record["source"]} for line in kept]
    return found


def draw(rows: list[dict[str, str]], words: int) -> list[dict[str, str]]:
    """Paragraphs up to so many words, in an order that depends on their text alone; each text once."""
    keyed = [(hashlib.sha256(row["text"].encode()).digest(), row) for row in rows]
    kept, seen, total = [], set[bytes](), 0
    for key, row in sorted(keyed, key=lambda each: each[0]):
        if key not in seen and total < words:
            seen.add(key)
            kept.append(row)
            total += len(row["text"].split())
    return kept


def describe(rows: list[dict[str, str]]) -> dict[str, Any]:
    """Licence of the file and the books in it, for model cards."""
    told = {"license": "CC-BY-4.0", "origin": "https://openstax.org", "domain": "textbooks"}
    counts = sorted(Counter(row["source"] for row in rows).items())
    return {"license": "CC-BY-4.0", "sources": [{"name": name, "rows": number, **told} for name, number in counts]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder that holds english/")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write the file to")
    parser.add_argument("--words", type=int, default=200_000, help="words to take (default: %(default)s)")
    options = parser.parse_args()
    rows = draw(paragraphs(options.data / "english" / FILE), options.words)
    options.output.mkdir(parents=True, exist_ok=True)
    draft = options.output / f"{NAME}.partial"
    pq.write_table(pa.Table.from_pylist(rows), draft, compression="zstd", compression_level=19)
    os.replace(draft, options.output / NAME)
    write_json_whole(options.output / "sources.json", {NAME: describe(rows)}, indent=2)
    print(json.dumps({"paragraphs": len(rows), "words": sum(len(row["text"].split()) for row in rows)}))


if __name__ == "__main__":
    main()
