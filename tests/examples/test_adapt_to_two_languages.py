"""One short run of adapt.py to two languages, measured on two files of one Hub data set."""

import json

import pytest
from adaptation_runs import ROOT, adapt_as_quickstart

from sensia.corpora import describe_file, read_pairs

pytestmark = pytest.mark.slow

CODES = ("id", "sw")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder, stated = tmp_path_factory.mktemp("two_languages"), {}
    for code in CODES:
        path = ROOT / f"examples/assets/bitext/en-{code}.ntrex-dev.parquet"
        rows = read_pairs(str(path), source_language="en", target_language=code)
        for name, part in (("train", rows.select(range(20, 60))), ("dev", rows.select(range(20)))):
            lines = [json.dumps({"en": row["source"], code: row["target"]}) + "\n" for row in part]
            (folder / f"en-{code}.{name}.jsonl").write_text("".join(lines), encoding="utf-8")
        stated[f"en-{code}.dev.jsonl"] = {"hub_id": "mteb/NTREX", "license": "CC-BY-SA-4.0", "sources": []}
    (folder / "sources.json").write_text(json.dumps(stated), encoding="utf-8")
    options = ("--target_language", *CODES, "--prompts", "[]", "--model_license", "cc-by-sa-4.0", "--max_steps", "1")
    data = (
        "--train_data",
        f"{folder}/en-{{target}}.train.jsonl",
        "--eval_data",
        f"dev={folder}/en-{{target}}.dev.jsonl",
    )
    adapt_as_quickstart(*data, *options, "--data_license", "cc-by-sa-4.0", "--output_dir", str(folder / "run"))
    return folder


@pytest.fixture(scope="module")
def evaluations(folder):
    return json.loads((folder / "run/final/results.json").read_text(encoding="utf-8"))["evaluation"]


def test_each_language_and_the_pair_of_both_is_measured(evaluations):
    files = [f"en-{code}.dev.jsonl" for code in CODES]
    assert [(each["dataset"], each["hub_id"], each["file"]) for each in evaluations] == [
        ("dev-id", "mteb/NTREX", files[0]),
        ("dev-sw", "mteb/NTREX", files[1]),
        ("dev-id with dev-sw", "mteb/NTREX", f"{files[0]} with {files[1]}"),
    ]


def test_only_a_set_of_one_file_has_its_hash(folder, evaluations):
    assert evaluations[0]["sha256"] == describe_file(folder / "en-id.dev.jsonl")["sha256"]
    assert evaluations[2]["sha256"] is None
