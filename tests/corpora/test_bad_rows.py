"""Rows that cannot be read, and sides without text: what `on_bad_rows` does about them."""

import json

import datasets
import pytest

from sensia.corpora import clean_pairs, read_pairs

HEAD, YES, NO = b"en,id\n", b"Yes,Ya\n", b"No,Tidak\n"
JSON = [
    json.dumps({"en": english, "id": indonesian}) + "\n" for english, indonesian in (("Yes", "Ya"), ("No", "Tidak"))
]
JSON_YES, JSON_NO = (line.encode() for line in JSON)
#: File -> its content, and what the message says of where and what is broken.
BROKEN = {
    "no JSON": ("a.jsonl", JSON_YES + b'{"en": "Wh\n' + JSON_NO, "a.jsonl, line 2: invalid JSON"),
    "no object": ("a.jsonl", JSON_YES + b"[1]\n" + JSON_NO, "a.jsonl, line 2: expected one JSON object a line"),
    "no field": ("a.jsonl", JSON_YES + b'{"en": "Why"}\n' + JSON_NO, "a.jsonl, line 2: no field 'id'"),
    "no text": ("a.jsonl", JSON_YES + b'{"en": "Wh\xff", "id": "Ap"}\n' + JSON_NO, "a.jsonl, line 2: not UTF-8 text"),
    "no item": ("a.json", b"[" + JSON_YES + b", 7, " + JSON_NO + b"]", "a.json, item 2: expected a JSON object"),
    "more cells": ("a.csv", HEAD + YES + b"Why,Kenapa,?\n" + NO, "a.csv, line 3: 3 cells where the first row has 2"),
    "fewer cells": ("a.tsv", (HEAD + YES + b"Why\n" + NO).replace(b",", b"\t"), "a.tsv, line 3: 1 cells"),
    "quoting": ("a.csv", HEAD + YES + b'"Why" me,Kenapa\n' + NO, "a.csv, line 3: broken row"),
    "bytes": ("a.tsv", (HEAD + YES + b"Why,Ken\xff\n" + NO).replace(b",", b"\t"), "a.tsv, line 3: not UTF-8 text"),
}
WITHOUT_TEXT = {
    "null": ({"en": "Why", "id": None}, "field 'id' is empty"),
    "blank": ({"en": " \u200b", "id": "Apa"}, "field 'en' is empty"),
    "number": ({"en": 7, "id": "Apa"}, "field 'en' is not text"),
    "list": ({"en": "Why", "id": ["Apa"]}, "field 'id' is not text"),
    "half a character": ({"en": "Why", "id": "\ud83d"}, "field 'id' is not text"),
}


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return write


def read(path, **options):
    return read_pairs(str(path), source_language="en", target_language="id", **options)


def counts(pairs, tokenizer):
    _, report = clean_pairs(pairs, tokenizer, max_length=50)
    return report.kept, report.dropped


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("on_bad_rows", [None, "stop"])
def test_a_broken_row_ends_the_reading_with_its_place(write, case, on_bad_rows):
    name, content, message = BROKEN[case]
    with pytest.raises(ValueError) as error:
        read(write(name, content), on_bad_rows=on_bad_rows)
    assert message in str(error.value)


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_row_is_dropped_and_counted(write, tokenizer, case):
    name, content, _ = BROKEN[case]
    pairs = read(write(name, content), on_bad_rows="drop")
    assert [row["target"] for row in pairs][::2] == ["Ya", "Tidak"]
    assert counts(pairs, tokenizer) == (2, {"not_text": 1})


@pytest.mark.parametrize("case", BROKEN)
def test_a_stream_drops_the_same_rows(write, case):
    path = write(*BROKEN[case][:2])
    loaded, streamed = (list(read(path, on_bad_rows="drop", streaming=streaming)) for streaming in (False, True))
    assert loaded == streamed and len(loaded) == 3


def test_a_stream_stops_where_the_iteration_meets_the_row(write):
    stream = read(write(*BROKEN["no JSON"][:2]), on_bad_rows="stop", streaming=True)
    rows = iter(stream)
    assert next(rows)["target"] == "Ya"
    with pytest.raises(ValueError, match=r"line 2: invalid JSON"):
        next(rows)


@pytest.mark.parametrize("case", WITHOUT_TEXT)
@pytest.mark.parametrize("on_bad_rows", [None, "drop"])
def test_a_side_without_text_is_dropped_and_counted(write, tokenizer, case, on_bad_rows):
    row, message = WITHOUT_TEXT[case]
    path = write("a.jsonl", JSON_YES + json.dumps(row).encode() + b"\n" + JSON_NO)
    reason = "empty" if "empty" in message else "not_text"
    assert counts(read(path, on_bad_rows=on_bad_rows), tokenizer) == (2, {reason: 1})


@pytest.mark.parametrize("case", WITHOUT_TEXT)
def test_a_side_without_text_ends_the_reading_with_its_field(write, case):
    row, message = WITHOUT_TEXT[case]
    path = write("a.jsonl", JSON_YES + json.dumps(row).encode() + b"\n" + JSON_NO)
    with pytest.raises(ValueError) as error:
        read(path, on_bad_rows="stop")
    assert f"a.jsonl, line 2: {message}" in str(error.value)


def test_a_field_of_a_translation_is_named_in_full(write):
    rows = [{"translation": {"en": "Yes", "id": "Ya"}}, {"translation": {"en": "No", "id": ""}}]
    path = write("a.jsonl", "\n".join(map(json.dumps, rows)).encode())
    with pytest.raises(ValueError, match=r"line 2: field 'translation.id' is empty"):
        read(path, on_bad_rows="stop")


def test_a_prompt_of_one_language_is_a_bad_row(write):
    row = {"translation": {"en": "Yes", "id": "Ya"}, "prompt": {"en": "Sure?", "id": ""}}
    with pytest.raises(ValueError, match=r"line 1: field 'prompt' must have a text of each language"):
        read(write("a.jsonl", json.dumps(row).encode()), on_bad_rows="stop")


@pytest.mark.parametrize("streaming", [False, True])
def test_a_row_of_a_saved_data_set_is_named_by_its_number(tmp_path, streaming):
    rows = [{"en": "Yes", "id": "Ya"}, {"en": "No", "id": None}]
    datasets.Dataset.from_list(rows).save_to_disk(tmp_path / "saved")
    with pytest.raises(ValueError, match=r"saved, row 2: field 'id' is empty"):
        list(read(tmp_path / "saved", on_bad_rows="stop", streaming=streaming))


def test_good_rows_are_read_alike_whatever_is_chosen(write):
    path = write("a.jsonl", JSON_YES + JSON_NO)
    assert list(read(path)) == list(read(path, on_bad_rows="stop")) == list(read(path, on_bad_rows="drop"))


def test_rows_before_the_first_whole_one_are_dropped_too(write, tokenizer):
    pairs = read(write("a.jsonl", b'{"en"\n7\n' + JSON_YES + JSON_NO), on_bad_rows="drop")
    assert counts(pairs, tokenizer) == (2, {"not_text": 2})


def test_a_quotation_mark_that_is_never_closed_costs_one_row(write, tokenizer):
    good = b"".join(f"Number {row},Nomor {row}\n".encode() for row in range(200))
    pairs = read(write("a.csv", HEAD + YES + b'"Why,Kenapa\n' + NO + good), on_bad_rows="drop")
    assert counts(pairs, tokenizer) == (202, {"not_text": 1})


def test_bytes_that_are_no_text_cost_one_pair_of_lines(tmp_path, tokenizer):
    (tmp_path / "x.en").write_bytes(b"Yes\nWh\xff\nNo\n")
    (tmp_path / "x.id").write_bytes(b"Ya\nApa\nTidak\n")
    assert counts(read(tmp_path / "x", on_bad_rows="drop"), tokenizer) == (2, {"not_text": 1})
    with pytest.raises(ValueError, match=r"x.en, line 2: not UTF-8"):
        read(tmp_path / "x", on_bad_rows="stop")


def test_what_is_wrong_with_a_file_is_never_dropped(tmp_path):
    (tmp_path / "x.en").write_bytes(b"Yes\nNo\n")
    (tmp_path / "x.id").write_bytes(b"Ya\n")
    with pytest.raises(ValueError, match=r"x.en has 2 and .*x.id has 1 lines"):
        read(tmp_path / "x", on_bad_rows="drop")


def test_a_file_of_broken_rows_alone_is_refused(write):
    with pytest.raises(ValueError, match="no field 'en'"):
        read(write("a.jsonl", b"{\n7\n"), on_bad_rows="drop")


def test_another_choice_is_refused(write):
    with pytest.raises(ValueError, match="`on_bad_rows` must be one of stop, drop, got 'skip'"):
        read(write("a.jsonl", JSON_YES), on_bad_rows="skip")
