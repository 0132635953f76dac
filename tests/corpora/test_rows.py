import gzip
import hashlib
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sensia.corpora.rows import describe_rows, read_rows

ROWS = [{"premise": "Satu", "label": 1}, {"premise": "Dua", "label": 0}]


def write_lines(path, rows):
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "rows.parquet"])
def test_rows_of_any_fields_are_read(tmp_path, name):
    if name.endswith("parquet"):
        pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / name)
    else:
        write_lines(tmp_path / name, ROWS)
    assert read_rows(str(tmp_path / name)) == ROWS


def test_a_folder_is_read_by_split(tmp_path):
    for split, row in zip(("train", "test"), ROWS, strict=True):
        write_lines(tmp_path / f"{split}.jsonl", [row])
    assert read_rows(str(tmp_path), split="test") == ROWS[1:]


def test_a_file_is_described_by_its_name_hash_and_rows(tmp_path):
    write_lines(tmp_path / "rows.jsonl", ROWS)
    digest = hashlib.sha256((tmp_path / "rows.jsonl").read_bytes()).hexdigest()
    expected = {"name": "rows.jsonl", "hub_id": None, "sha256": digest, "rows": 2}
    assert describe_rows(str(tmp_path / "rows.jsonl"), ROWS) == expected


def test_a_hub_data_set_is_described_by_its_id_and_the_hash_of_its_rows():
    described = describe_rows("org/xcopa", ROWS, config_name="id", split="test", revision=None)
    assert (described["name"], described["hub_id"], described["rows"]) == ("org/xcopa", "org/xcopa", 2)
    assert (described["config_name"], described["split"]) == ("id", "test") and "revision" not in described
    assert described["sha256"] != describe_rows("org/xcopa", ROWS[::-1])["sha256"]
    assert described["sha256"] == describe_rows("org/xcopa", ROWS)["sha256"]


def test_what_is_missing_or_damaged_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_rows(str(tmp_path / "none.jsonl"))
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(ValueError, match="no rows"):
        read_rows(str(tmp_path / "empty.jsonl"))
    (tmp_path / "broken.parquet").write_text("x")
    with pytest.raises(ValueError, match="not a readable Parquet"):
        read_rows(str(tmp_path / "broken.parquet"))


def write_clone(folder, texts):
    (folder / "data").mkdir(parents=True, exist_ok=True)
    configs = [{"config_name": "id", "data_files": [{"split": "test", "path": "data/test.jsonl"}]}]
    (folder / "README.md").write_text(f"---\nconfigs: {json.dumps(configs)}\n---\n", encoding="utf-8")
    lines = (json.dumps({"text": text}) + "\n" for text in texts)
    (folder / "data/test.jsonl").write_text("".join(lines), encoding="utf-8")


def test_a_clone_of_a_hub_data_set_is_read_as_it_is_now(tmp_path):
    for place, texts in (("a", ["Satu."]), ("b", ["Dua.", "Tiga."]), ("b", ["Empat."])):
        write_clone(tmp_path / place / "same-name", texts)
        rows = read_rows(str(tmp_path / place / "same-name"), config_name="id", split="test")
        assert [row["text"] for row in rows] == texts
