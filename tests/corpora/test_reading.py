import csv
import gzip
import json
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sensia.corpora import read_pairs, read_texts

PAIRS = [("Good morning.", "Selamat pagi."), ("Where is the “station”?", 'Di mana "stasiun", Pak?'), ("Yes", "Ya")]
ENGLISH, INDONESIAN = zip(*PAIRS, strict=True)


def read(source, **options):
    return read_pairs(str(source), source_language="en", target_language="id", **options)


def columns(dataset):
    rows = list(dataset)
    return [(row["source"], row["target"]) for row in rows]


def write_table(path: Path, pairs=PAIRS, names=("en", "id"), delimiter=","):
    opener = gzip.open if path.suffix == ".gz" else open
    quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    with opener(path, "wt", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter, quoting=quoting, quotechar=None if quoting else '"').writerows(
            [names, *pairs]
        )
    return path


def nested(pair, **more):
    return {"translation": {"en": pair[0], "id": pair[1]}, **more}


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.jsonl.gz"])
def test_json_lines_with_a_translation_column(write_lines, name, streaming):
    path = write_lines(name, *(nested(pair) for pair in PAIRS))
    assert columns(read(path, streaming=streaming)) == PAIRS


def test_json_lines_with_two_columns(write_lines):
    path = write_lines("a.jsonl", *({"id": pair[1], "en": pair[0]} for pair in PAIRS))
    assert columns(read(path)) == PAIRS


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("name", "delimiter"), [("a.csv", ","), ("a.csv.gz", ","), ("a.tsv", "\t"), ("a.tsv.gz", "\t")]
)
def test_delimited_tables(tmp_path, name, delimiter, streaming):
    path = write_table(tmp_path / name, delimiter=delimiter)
    assert columns(read(path, streaming=streaming)) == PAIRS


@pytest.mark.parametrize("streaming", [False, True])
def test_parquet_with_two_columns(tmp_path, streaming):
    pq.write_table(pa.table({"en": ENGLISH, "id": INDONESIAN}), tmp_path / "a.parquet")
    assert columns(read(tmp_path / "a.parquet", streaming=streaming)) == PAIRS


def test_parquet_with_a_translation_column(tmp_path):
    pq.write_table(pa.table({"translation": [nested(pair)["translation"] for pair in PAIRS]}), tmp_path / "a.parquet")
    assert columns(read(tmp_path / "a.parquet")) == PAIRS


def test_a_cell_with_a_line_end_stays_one_cell_of_a_csv(tmp_path):
    path = write_table(tmp_path / "a.csv", [("one\ntwo", "satu\ndua"), ("three", "tiga")])
    assert columns(read(path)) == [("one\ntwo", "satu\ndua"), ("three", "tiga")]


def test_a_lone_quotation_mark_does_not_swallow_lines_of_a_tsv(write_lines):
    path = write_lines("a.tsv", "en\tid", '"Go\t"Pergi', "Stop\tBerhenti")
    assert columns(read(path)) == [('"Go', '"Pergi'), ("Stop", "Berhenti")]


def test_a_byte_order_mark_is_not_part_of_the_first_column(write_lines):
    path = write_lines("a.csv", b"\xef\xbb\xbfen,id", "Yes,Ya")
    assert columns(read(path)) == [("Yes", "Ya")]


def test_a_line_separator_inside_a_text_does_not_break_the_line(write_lines):
    path = write_lines("a.jsonl", {"en": "a\u2028b", "id": "c"})
    assert columns(read(path)) == [("a\u2028b", "c")]


def test_columns_may_go_by_any_code_of_the_language(write_lines):
    path = write_lines("a.jsonl", {"eng_Latn": "Yes", "ind": "Ya"})
    assert columns(read(path)) == [("Yes", "Ya")]


def test_columns_can_be_named(write_lines):
    path = write_lines("a.jsonl", {"source": "Yes", "target": "Ya", "en": "not this"})
    assert columns(read(path, source_column="source", target_column="target")) == [("Yes", "Ya")]


def test_the_corpus_and_the_document_are_kept(write_lines):
    path = write_lines(
        "a.jsonl", nested(PAIRS[0], source="tico19", doc=7, other=1), nested(PAIRS[1], source="x", doc=8)
    )
    dataset = read(path)
    assert dataset.column_names == ["source", "target", "origin", "doc"]
    assert (dataset["origin"][0], dataset["doc"][0]) == ("tico19", "7")


def test_a_stream_knows_its_columns_before_its_first_row(write_lines):
    stream = read(write_lines("a.jsonl", nested(PAIRS[0], source="tico19")), streaming=True)
    assert isinstance(stream, datasets.IterableDataset)
    assert stream.column_names == ["source", "target", "origin"]


def test_null_is_empty_text_and_a_number_is_no_text(write_lines):
    dataset = read(write_lines("a.jsonl", {"en": None, "id": 5}, {"en": "Yes", "id": ["Ya"]}))
    assert columns(dataset) == [("", None), ("Yes", None)]


def test_null_in_parquet_is_empty_text(tmp_path):
    pq.write_table(pa.table({"en": ["Yes", None], "id": ["Ya", "Tidak"]}), tmp_path / "a.parquet")
    assert columns(read(tmp_path / "a.parquet")) == [("Yes", "Ya"), ("", "Tidak")]


def test_streaming_stops_reading_where_the_user_stops(write_lines):
    lines = [nested(PAIRS[0])] * 60
    stream = read(write_lines("a.jsonl", *lines, "broken"), streaming=True)
    assert len(list(stream.take(50))) == 50
    with pytest.raises(ValueError, match="line 61: invalid JSON"):
        list(stream)


def test_invalid_json_is_refused_with_its_line(write_lines):
    path = write_lines("a.jsonl", *[nested(PAIRS[0])] * 16, '{"translation": {"en": "x"')
    with pytest.raises(ValueError, match=r"a\.jsonl, line 17: invalid JSON at column"):
        read(path)


def test_a_line_that_is_not_an_object_is_refused(write_lines):
    with pytest.raises(ValueError, match=r"item 1: expected a JSON object, got a str"):
        read(write_lines("a.json", ["Yes", "Ya"]))


def test_a_missing_side_is_refused_with_line_and_field(write_lines):
    path = write_lines("a.jsonl", nested(PAIRS[0]), {"translation": {"en": "Yes", "jv": "Iya"}})
    with pytest.raises(ValueError, match=r"line 2: no field 'translation\.id'; there is 'translation\.en'"):
        read(path)


def test_a_missing_translation_is_refused_with_its_line(write_lines):
    with pytest.raises(ValueError, match="line 2: no field 'translation'"):
        read(write_lines("a.jsonl", nested(PAIRS[0]), {"text": "Yes"}))


def test_a_csv_without_the_column_lists_what_there_is(tmp_path):
    path = write_table(tmp_path / "a.csv", names=("en", "idn"))
    with pytest.raises(
        ValueError, match=r"no field 'id' or 'ind' or 'ind_Latn'; there is 'en', 'idn'; did you mean 'idn'"
    ):
        read(path)


def test_a_parquet_file_without_the_column_is_refused(tmp_path):
    pq.write_table(pa.table({"en": ENGLISH, "target": INDONESIAN}), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"a\.parquet: no field 'id'.*there is 'en', 'target'"):
        read(tmp_path / "a.parquet")


def test_a_parquet_column_of_numbers_is_refused(tmp_path):
    pq.write_table(pa.table({"en": ENGLISH, "id": [1, 2, 3]}), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"column 'id' must hold text, got .*int64"):
        read(tmp_path / "a.parquet")


def test_a_damaged_parquet_file_is_refused_by_name(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(ValueError, match=r"a\.parquet: not a readable Parquet file"):
        read(tmp_path / "a.parquet")


def test_a_row_with_too_few_cells_is_refused_with_its_line(write_lines):
    with pytest.raises(ValueError, match="line 3: 1 cells where the first row has 2"):
        read(write_lines("a.tsv", "en\tid", "Yes\tYa", "No"))


def test_an_open_quotation_is_refused_with_the_line_it_begins_on(write_lines):
    with pytest.raises(ValueError, match="line 3: broken row"):
        read(write_lines("a.csv", "en,id", "Yes,Ya", '"No,Tidak', "Maybe,Mungkin"))


def test_bytes_that_are_not_utf8_are_refused_with_their_line(write_lines):
    with pytest.raises(ValueError, match="line 2: not UTF-8 text"):
        read(write_lines("a.jsonl", {"en": "Yes", "id": "Ya"}, b'{"en": "caf\xe9", "id": "kafe"}'))


def test_truncated_gzip_is_refused(write_lines, tmp_path):
    path = Path(write_lines("a.jsonl.gz", *[nested(pair) for pair in PAIRS]))
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(ValueError, match=r"a\.jsonl\.gz: damaged or truncated compressed data"):
        read(path)


def test_an_empty_file_is_refused(write_lines):
    with pytest.raises(ValueError, match=r"no rows in .*a\.jsonl"):
        read(write_lines("a.jsonl"))


def test_a_missing_file_is_refused():
    with pytest.raises(FileNotFoundError, match=r"no such file or folder: data/none\.jsonl"):
        read("data/none.jsonl")


def test_an_unknown_kind_of_file_is_refused(tmp_path):
    (tmp_path / "a.xlsx").write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"expected files of one of the kinds json, csv, tsv, parquet, tmx, .*, found \.xlsx"
    ):
        read(tmp_path / "a.xlsx")


def test_a_script_is_refused_with_the_reason(write_lines):
    with pytest.raises(ValueError, match="scripts are Python code and are not run"):
        read(write_lines("a.py", "print(1)"))


def test_a_folder_with_only_a_script_is_refused(write_lines, tmp_path):
    write_lines("a.py", "print(1)")
    with pytest.raises(ValueError, match="holds a script and no data files"):
        read(tmp_path)


def test_a_folder_gives_the_files_of_a_split(write_lines, tmp_path):
    write_lines("en-id.train.1.jsonl", nested(PAIRS[0]))
    write_lines("en-id.train.2.jsonl", nested(PAIRS[1]))
    write_lines("en-id.dev.jsonl", nested(PAIRS[2]))
    assert columns(read(tmp_path, split="train")) == PAIRS[:2]


def test_a_folder_of_several_splits_is_not_mixed(write_lines, tmp_path):
    write_lines("train.jsonl", nested(PAIRS[0]))
    write_lines("test.jsonl", nested(PAIRS[1]))
    with pytest.raises(ValueError, match=r"several splits \(test, train\)"):
        read(tmp_path)


def test_a_split_that_a_folder_lacks_is_refused(write_lines, tmp_path):
    write_lines("train.jsonl", nested(PAIRS[0]))
    with pytest.raises(ValueError, match=r"no data file for split 'dev'.*train\.jsonl"):
        read(tmp_path, split="dev")


def test_a_split_of_a_single_file_is_refused(write_lines):
    with pytest.raises(ValueError, match="split 'dev' was given with the single file"):
        read(write_lines("a.jsonl", nested(PAIRS[0])), split="dev")


def test_options_of_the_hub_are_refused_for_a_local_file(write_lines):
    with pytest.raises(ValueError, match="revision='main' is for Hub data sets"):
        read(write_lines("a.jsonl", nested(PAIRS[0])), revision="main")


def test_one_language_on_both_sides_is_refused(write_lines):
    with pytest.raises(ValueError, match="source and target language are the same"):
        read_pairs("a.jsonl", source_language="id", target_language="ind_Latn")


def test_one_column_for_both_sides_is_refused(write_lines):
    with pytest.raises(ValueError, match="both sides would be read from 'en'"):
        read(write_lines("a.jsonl", {"en": "Yes"}), source_column="en", target_column="en")


@pytest.mark.parametrize("streaming", [False, True])
def test_the_embedded_pairs_are_read(bitext, streaming):
    dataset = read(bitext / "en-id.ntrex-dev.parquet", streaming=streaming)
    rows = list(dataset)
    expected = pq.read_table(bitext / "en-id.ntrex-dev.parquet").to_pylist()
    assert rows == [
        {"source": row["en"], "target": row["id"], "origin": row["origin"], "doc": row["doc"]} for row in expected
    ]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_plain_text_gives_its_lines_without_the_blank_ones(write_lines, name, streaming):
    dataset = read_texts(write_lines(name, "Satu.", "", " Dua."), streaming=streaming)
    assert [row["text"] for row in dataset] == ["Satu.", " Dua."]


def test_texts_of_json_lines_may_be_in_another_column(write_lines):
    dataset = read_texts(write_lines("a.jsonl.gz", {"body": "Satu."}, {"body": None}), column="body")
    assert dataset["text"][:] == ["Satu.", ""]


def test_texts_of_parquet(tmp_path):
    pq.write_table(pa.table({"text": INDONESIAN, "doc": [1, 2, 3]}), tmp_path / "a.parquet")
    dataset = read_texts(str(tmp_path / "a.parquet"))
    assert dataset.column_names == ["text"]
    assert tuple(dataset["text"][:]) == INDONESIAN


def test_a_text_that_is_a_number_is_refused_with_its_line(write_lines):
    with pytest.raises(ValueError, match="line 2: field 'text' must be text, got int"):
        read_texts(write_lines("a.jsonl", {"text": "Satu."}, {"text": 2}))


def test_a_text_file_with_another_column_only_is_refused(write_lines):
    with pytest.raises(ValueError, match="line 1: no field 'text'; there is 'texts'; did you mean 'texts'"):
        read_texts(write_lines("a.jsonl", json.dumps({"texts": "Satu."})))
