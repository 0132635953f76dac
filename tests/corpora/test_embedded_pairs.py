"""The embedded pairs: what their notice promises, and the script that builds them."""

import gzip
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "build_bitext.py"
PARTS = ("train", "dev-indomain", "ntrex-dev")
LICENCES = {"CC0-1.0", "PSF-2.0", "MPL-2.0", "Apache-2.0", "BSD-3-Clause", "CC-BY-SA-4.0"}
SENTENCES = [f"The {a} {b} is {c}." for a in ("red", "old") for b in ("house", "boat", "tree") for c in ("big", "new")]


@pytest.fixture(scope="module")
def tables(bitext):
    return {part: pq.read_table(bitext / f"en-id.{part}.parquet").to_pylist() for part in PARTS}


def bare(text):
    return "".join(character for character in text.casefold() if character.isalnum())


def test_there_are_as_many_pairs_as_promised(tables):
    assert len(tables["train"]) == 34_999
    assert (len(tables["dev-indomain"]), len(tables["ntrex-dev"])) == (1000, 1005)


def test_the_files_stay_small(bitext):
    assert sum(path.stat().st_size for path in bitext.iterdir()) < 6_000_000


@pytest.mark.parametrize("part", ["dev-indomain", "ntrex-dev"])
@pytest.mark.parametrize("language", ["en", "id"])
def test_no_held_out_sentence_is_trained_on(tables, part, language):
    trained = {bare(row[language]) for row in tables["train"]}
    assert not trained & {bare(row[language]) for row in tables[part]}


def test_no_in_domain_sentence_shares_eight_words_in_a_row_with_training(tables):
    def runs(text):
        words = re.findall(r"[a-z]+", text.lower())
        return {tuple(words[start : start + 8]) for start in range(len(words) - 7)}

    trained = set().union(*(runs(row["en"]) for row in tables["train"]))
    ascii_only = [row["en"] for row in tables["dev-indomain"] if row["en"].isascii()]
    assert len(ascii_only) > 900
    assert not [text for text in ascii_only if runs(text) & trained]


def test_no_side_is_empty(tables):
    assert all(row["en"].strip() and row["id"].strip() for rows in tables.values() for row in rows)


def test_the_news_keep_their_documents(tables):
    assert len({row["doc"] for row in tables["ntrex-dev"]}) > 20


@pytest.mark.parametrize("part", PARTS)
def test_the_sources_file_counts_what_is_there(tables, bitext, part):
    described = json.loads((bitext / "sources.json").read_text())[f"en-id.{part}.parquet"]
    counts = Counter(row["origin"] for row in tables[part])
    assert {entry["name"]: entry["rows"] for entry in described["sources"]} == counts
    assert all(set(entry["license"].split(" AND ")) <= LICENCES for entry in described["sources"])


def test_the_notice_counts_what_is_there(tables, bitext):
    lines = (bitext / "NOTICE.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    stated = {row[0]: [int(cell.replace(",", "") or 0) for cell in row[1:4]] for row in cells[1:]}
    counts = [Counter(row["origin"] for row in tables[part]) for part in PARTS]
    actual = {name: [count[name] for count in counts] for name in set().union(*counts)}
    assert stated == actual | {"all": [count.total() for count in counts]}


@pytest.fixture(scope="module")
def built_twice(tmp_path_factory):
    """The script, run twice over a small collection: shared boilerplate, an unfree corpus, a leaked dev sentence."""
    data = tmp_path_factory.mktemp("data")
    (data / "parallel").mkdir()
    train = [pair(text, f"[{text}]", ("tico19", "django-docs", "smeru")[i % 3]) for i, text in enumerate(SENTENCES)]
    train += [pair("Held out elsewhere, of course", "lain", "tico19"), pair("Choose it", "PilihSisipkan", "tico19")]
    write(data / "parallel" / "en-id.train.jsonl.gz", train)
    write(
        data / "parallel" / "en-id.dev.jsonl.gz",
        [pair("held out elsewhere of course!", "x", "ntrex-first-half", doc="d")],
    )
    folders = [tmp_path_factory.mktemp("built") for _ in range(2)]
    for folder in folders:
        command = [sys.executable, str(SCRIPT), "--data", str(data), "--output", str(folder), "--dev", "2"]
        subprocess.run(command, check=True, capture_output=True)
    return folders


def pair(english, indonesian, corpus, **more):
    return {"translation": {"en": english, "id": indonesian}, "source": corpus, **more}


def write(path, rows):
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))


def test_building_again_gives_the_same_bytes(built_twice):
    first, second = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in built_twice)
    assert len(first) == 4
    assert first == second


def test_building_takes_only_free_corpora_and_clean_unseen_pairs(built_twice):
    rows = [row for part in PARTS[:2] for row in pq.read_table(built_twice[0] / f"en-id.{part}.parquet").to_pylist()]
    free = {text for index, text in enumerate(SENTENCES) if index % 3 != 2}
    assert {row["en"] for row in rows} == free
