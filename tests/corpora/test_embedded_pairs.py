"""The embedded pairs: what their notice promises of both languages, and the script that builds them."""

import gzip
import hashlib
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sensia.corpora import group_near_duplicates
from sensia.corpora.bitext_build import SeenText

SCRIPT = Path(__file__).parents[2] / "examples" / "build_bitext.py"
PARTS = ("train", "dev-indomain", "ntrex-dev")
SIZES = {"id": [34_999, 1000, 1005], "sw": [2_687, 300, 1005]}
HEADINGS = {"id": "## English-Indonesian", "sw": "## English-Swahili"}
LICENCES = {"CC0-1.0", "PSF-2.0", "MPL-2.0", "Apache-2.0", "BSD-3-Clause", "CC-BY-SA-4.0"}
SENTENCES = [f"The {a} {b} is {c}." for a in ("red", "old") for b in ("house", "boat", "tree") for c in ("big", "new")]


@pytest.fixture(scope="module", params=SIZES)
def language(request):
    return request.param


@pytest.fixture(scope="module")
def tables(bitext, language):
    return {part: pq.read_table(bitext / f"en-{language}.{part}.parquet").to_pylist() for part in PARTS}


def bare(text):
    return "".join(character for character in text.casefold() if character.isalnum())


def test_there_are_as_many_pairs_as_promised(tables, language):
    assert [len(tables[part]) for part in PARTS] == SIZES[language]


def test_the_files_stay_small(bitext):
    assert sum(path.stat().st_size for path in bitext.iterdir()) < 6_000_000


@pytest.mark.parametrize("part", PARTS[1:])
def test_no_held_out_sentence_is_trained_on(tables, language, part):
    for side in ("en", language):
        trained = {bare(row[side]) for row in tables["train"]}
        assert not trained & {bare(row[side]) for row in tables[part]}


def test_no_in_domain_sentence_shares_eight_words_in_a_row_with_training(tables, language):
    held_out = tables["dev-indomain"]
    groups = group_near_duplicates([(row["en"], row[language]) for row in [*held_out, *tables["train"]]])
    assert len(groups) > len(held_out)
    assert not [group for group in groups if min(group) < len(held_out) <= max(group)]


def test_no_news_share_eight_words_in_a_row_with_swahili_training(bitext):
    news, train = (
        [
            {"source": row["en"], "target": row["sw"]}
            for row in pq.read_table(bitext / f"en-sw.{part}.parquet").to_pylist()
        ]
        for part in ("ntrex-dev", "train")
    )
    seen = SeenText(["held_out"], 2, news)
    assert seen.reason_to_drop(news[0]) == "held_out"
    assert not [pair for pair in train if seen.reason_to_drop(pair)]


def test_no_side_is_empty(tables, language):
    assert all(row["en"].strip() and row[language].strip() for rows in tables.values() for row in rows)


def test_the_news_keep_their_documents(tables):
    assert len({row["doc"] for row in tables["ntrex-dev"]}) > 20


@pytest.mark.parametrize("part", PARTS)
def test_the_sources_file_counts_what_is_there(tables, bitext, language, part):
    described = json.loads((bitext / "sources.json").read_text())[f"en-{language}.{part}.parquet"]
    counts = Counter(row["origin"] for row in tables[part])
    assert {entry["name"]: entry["rows"] for entry in described["sources"]} == counts
    assert all(set(entry["license"].split(" AND ")) <= LICENCES for entry in described["sources"])


def table_cells(text):
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]


def test_the_notice_counts_what_is_there(tables, bitext, language):
    section = (bitext / "NOTICE.md").read_text().split(HEADINGS[language])[1].split("\n## ")[0]
    stated = {row[0]: [int(cell.replace(",", "") or 0) for cell in row[1:4]] for row in table_cells(section)[1:]}
    counts = [Counter(row["origin"] for row in tables[part]) for part in PARTS]
    actual = {name: [count[name] for count in counts] for name in set().union(*counts)}
    assert stated == actual | {"all": [count.total() for count in counts]}


def test_the_notice_has_the_size_and_the_hash_of_every_file(bitext):
    stated = table_cells((bitext / "NOTICE.md").read_text().split("\n## ")[0])[1:]
    actual = [
        [path.name, f"{pq.read_metadata(path).num_rows:,}", hashlib.sha256(path.read_bytes()).hexdigest()]
        for path in sorted(bitext.glob("*.parquet"))
    ]
    assert stated == actual and len(actual) == len(PARTS) * len(SIZES)


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
