"""The script that puts what `sensia bitext` builds into the embedded bitext."""

import gzip
import json

import pyarrow.parquet as pq
import pytest
import yaml
from example_scripts import load_example

SENTENCES = [f"The {a} {b} is {c}." for a in ("red", "old") for b in ("house", "boat", "tree") for c in ("big", "new")]
SOURCE = {"path": "parallel/en-sw.train.jsonl.gz", "license": "cc0-1.0", "origin": "free", "name": "free"}


def write(path, pairs, corpus, **more):
    rows = [{"translation": {"en": en, "sw": sw}, "source": corpus, **more} for en, sw in pairs]
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))


@pytest.fixture
def embed(tmp_path, monkeypatch):
    """Runs the script over a small collection, into a folder in which another language is listed."""
    (tmp_path / "parallel").mkdir()
    write(tmp_path / "parallel/en-sw.train.jsonl.gz", [(text, f"Neno: {text}") for text in SENTENCES], "free")
    write(tmp_path / "parallel/en-sw.dev.jsonl.gz", [("News of today", "Habari za leo")], "news", doc="d")
    settings = {"sources": [SOURCE], "target_language": "sw", "dev_pairs": 3, "skip": ["copied"]}
    (tmp_path / "b.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")

    def run(name):
        assets = tmp_path / name
        assets.mkdir(exist_ok=True)
        (assets / "sources.json").write_text('{"en-id.train.parquet": {"license": "mit"}}', encoding="utf-8")
        words = ["--config", tmp_path / "b.yaml", "--data", tmp_path, "--output_dir", tmp_path / "out"]
        monkeypatch.setattr("sys.argv", ["embed_bitext.py", *map(str, words), "--assets", str(assets)])
        load_example("embed_bitext").main()
        return assets

    return run


def test_all_three_files_are_written_and_listed_beside_those_of_other_languages(embed):
    assets = embed("one")
    listing = json.loads((assets / "sources.json").read_text(encoding="utf-8"))
    assert listing.pop("en-id.train.parquet") == {"license": "mit"}
    rows = {name: pq.read_metadata(assets / name).num_rows for name in listing}
    assert rows == {"en-sw.train.parquet": 9, "en-sw.dev-indomain.parquet": 3, "en-sw.ntrex-dev.parquet": 1}
    assert {name: sum(each["rows"] for each in told["sources"]) for name, told in listing.items()} == rows


def test_the_news_keep_their_documents_and_sides(embed):
    (row,) = pq.read_table(embed("one") / "en-sw.ntrex-dev.parquet").to_pylist()
    assert row == {"en": "News of today", "sw": "Habari za leo", "origin": "news", "doc": "d"}


def test_embedding_again_gives_the_same_bytes(embed):
    first, second = ({path.name: path.read_bytes() for path in embed(name).iterdir()} for name in ("one", "two"))
    assert first == second and len(first) == 4
