"""Files as people have them: columns of row numbers, quoting of spreadsheets, tables without names, odd characters."""

import gzip
import json
import lzma

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sensia.corpora import clean_pairs, read_pairs, read_texts
from sensia.corpora.tables import is_quoted

HEADER = "en\tid\n"


def read(path, target="id", **options):
    return read_pairs(str(path), source_language="en", target_language=target, **options)


def targets(path, target="id", **options):
    return [pair["target"] for pair in read(path, target, **options)]


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / name

    return write


@pytest.mark.parametrize("code", ["id", "no", "is", "or", "as", "it", "my", "so", "to"])
def test_a_more_specific_code_wins_over_an_everyday_word(write, code):
    from sensia.corpora import find_language

    tag = find_language(code).tag
    path = write("a.tsv", f"{code}\teng_Latn\t{tag}\nsent-1\tYes.\tA.\nsent-2\tNo.\tB.\n")
    assert targets(path, code) == ["A.", "B."]


@pytest.mark.parametrize("cells", [("7", "8"), ("sent-0001", "sent-0002"), ("a1f3", "b2e4"), ("--", "!!")])
def test_a_column_of_numbers_or_names_of_rows_is_refused(write, cells):
    path = write("a.tsv", HEADER + "".join(f"Text {number}.\t{cell}\n" for number, cell in enumerate(cells)))
    with pytest.raises(ValueError, match="column 'id' cannot be a side of a pair"):
        read(path)


def test_two_columns_that_are_equally_named_after_a_language_are_refused(write):
    row = {"en": "Yes.", "ind_Latn": "Ya.", "sentence_ind_Latn": "Iya."}
    path = write("a.jsonl", json.dumps(row))
    with pytest.raises(ValueError, match="'ind_Latn' and 'sentence_ind_Latn' could both be Indonesian"):
        read(path)
    assert targets(path, target_column="ind_Latn") == ["Ya."]


def test_a_column_can_name_a_key_inside_translation(write):
    path = write("a.jsonl", json.dumps({"translation": {"x": "Yes.", "y": "Ya."}}))
    assert targets(path, source_column="x", target_column="y") == ["Ya."]


QUOTED = 'en\tid\n"He said ""yes""."\t"Dia bilang ""ya""."\nPlain\tBiasa\n'
LONE = 'en\tid\n"Yes," he said.\t"Ya," katanya.\nPlain\tBiasa\n'


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        (QUOTED, True),
        (LONE, False),
        ('en\tid\n"two\nlines"\tDua.\n', True),
        ('en\tid\n"two\nlines\tDua.\n', False),
        ('en\tid\n"Hello\tHalo\nBye"\tDah\nYes\tYa\n', False),
        ('en\tid\nA 5" disk\tCakram 5"\n"All ""well"""\tBaik\n', False),
        ('en\tid\n"a\tb\n', False),
        ("en\tid\nYes\tYa\n", False),
    ],
)
def test_quoting_is_told_by_the_whole_file(write, text, quoted):
    assert is_quoted(write("a.tsv", text)) is quoted


def test_quoting_of_spreadsheets_is_undone_and_lone_marks_stay(write):
    assert targets(write("q.tsv", QUOTED)) == ['Dia bilang "ya".', "Biasa"]
    assert targets(write("l.tsv", LONE)) == ['"Ya," katanya.', "Biasa"]


def test_a_setting_decides_about_quoting(write):
    assert targets(write("q.tsv", QUOTED), tsv_quoting="plain")[0] == '"Dia bilang ""ya""."'
    with pytest.raises(ValueError, match="`tsv_quoting` must be one of auto, quoted, plain"):
        read(write("q.tsv", QUOTED), tsv_quoting="maybe")


TABLES = {
    "moses": "The cat sat.\tKucing itu duduk.\nYes.\tYa.\n",
    "anki": "The cat sat.\tKucing itu duduk.\tCC-BY tatoeba.org #1\nYes.\tYa.\tCC-BY 2.0 tatoeba.org #2\n",
    "scored": "1.2\tThe cat sat.\tKucing itu duduk.\n1.1\tYes.\tYa.\n",
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_without_names_is_read_by_what_its_columns_hold(write, kind):
    assert targets(write("a.tsv", TABLES[kind])) == ["Kucing itu duduk.", "Ya."]


def test_columns_of_a_table_without_names_are_chosen_by_number(write):
    path = write("a.tsv", "Halo\tHello\nYa\tYes\n")
    assert targets(path, source_column="2", target_column="1") == ["Halo", "Ya"]


def test_a_table_without_names_and_three_columns_of_text_is_refused(write):
    path = write("a.tsv", "The cat sat.\tKucing.\tMushuk.\nYes.\tYa.\tHa.\n")
    with pytest.raises(ValueError, match="3 of 3 columns hold text; choose two by number"):
        read(path)


def test_a_very_long_cell_is_dropped_and_counted(write, tokenizer):
    path = write("a.tsv", HEADER + "Yes.\tYa.\nlong\t" + "kata " * 60_000 + "\n")
    assert clean_pairs(read(path), tokenizer, max_length=64)[1].dropped == {"too_long": 1}


@pytest.mark.parametrize("streaming", [False, True])
def test_half_a_surrogate_pair_is_not_text(write, tokenizer, streaming):
    path = write("a.jsonl", '{"en": "Yes", "id": "Ya"}\n{"en": "Nice \\ud83d", "id": "Bagus"}\n')
    pairs, report = clean_pairs(read(path, streaming=streaming), tokenizer, max_length=64)
    assert len(list(pairs)) == 1 and report.dropped == {"not_text": 1}


def test_a_carriage_return_inside_a_cell_is_white_space(write):
    assert targets(write("a.tsv", HEADER + "Yes\rno\tYa\rtidak\n")) == ["Ya tidak"]


def test_hidden_copies_and_descriptions_are_not_data(write, tmp_path):
    write("set/train.jsonl", '{"en": "Yes", "id": "Ya"}')
    write("set/.ipynb_checkpoints/train-checkpoint.jsonl", '{"en": "No", "id": "Tidak"}')
    write("set/dataset_infos.json", '{"default": {}}')
    assert targets(tmp_path / "set") == ["Ya"]


def test_a_saved_data_set_is_read_and_its_splits_are_asked_for(tmp_path):
    rows = datasets.Dataset.from_list([{"en": "Yes", "id": "Ya"}])
    rows.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": rows, "test": rows}).save_to_disk(tmp_path / "two")
    assert targets(tmp_path / "one") == targets(tmp_path / "two", split="test") == ["Ya"]
    with pytest.raises(ValueError, match=r"several splits \(train, test\): choose one"):
        read(tmp_path / "two")


@pytest.mark.parametrize("files", [{"dataset_dict.json": "[]"}, {"state.json": "{}", "dataset_info.json": "{}"}])
def test_a_damaged_saved_data_set_is_refused(write, tmp_path, files):
    for name, text in files.items():
        write(f"set/{name}", text)
    with pytest.raises(ValueError, match="save_to_disk"):
        read(tmp_path / "set")


def test_empty_columns_of_a_spreadsheet_are_passed_over(write):
    assert targets(write("a.csv", "en,id,,\r\nYes.,Ya.,,\r\n")) == ["Ya."]


def test_a_broken_row_does_not_hide_what_parts_the_cells(write):
    path = write("a.csv", "en;id\nYes, sir.;Ya.\nlonely\nNo.;Tidak.\n")
    assert targets(path, on_bad_rows="drop") == ["Ya.", None, "Tidak."]
    with pytest.raises(ValueError, match="line 3: 1 cells where the first row has 2"):
        read(path)


def test_a_cell_of_two_lines_does_not_hide_what_parts_the_cells(write):
    rows = [*(f"Line {number}.;Baris {number}." for number in range(2, 100)), '"Two\nlines.";"Dua\nbaris."']
    assert len(targets(write("a.csv", "\n".join(["en;id", *rows, ""])))) == 99


def test_splits_in_folders_of_their_own_are_told_apart(write, tmp_path):
    for split in ("train", "test"):
        write(f"{split}/en-id.jsonl", json.dumps({"en": "Yes", "id": f"Ya {split}"}))
    assert targets(tmp_path, split="test") == ["Ya test"]
    with pytest.raises(ValueError, match=r"holds several splits \(test, train\): choose one"):
        read(tmp_path)


@pytest.mark.parametrize("scored", ["a", "b"])
def test_lines_of_a_folder_may_differ_by_a_column(write, tmp_path, scored):
    for name in ("a", "b"):
        more = {"score": 0.5} if name == scored else {}
        write(f"{name}.jsonl", json.dumps({"en": "Yes", "id": f"Ya {name}", **more}))
    assert targets(tmp_path) == ["Ya a", "Ya b"]


def test_parquet_files_of_a_folder_may_differ_by_a_column(tmp_path):
    for name, more in (("a", {}), ("b", {"score": [0.5]})):
        pq.write_table(pa.table({"en": ["Yes"], "id": [f"Ya {name}"], **more}), tmp_path / f"{name}.parquet")
    assert targets(tmp_path) == ["Ya a", "Ya b"]


def test_an_empty_parquet_file_has_no_rows(tmp_path):
    pq.write_table(
        pa.table({"en": pa.array([], pa.string()), "id": pa.array([], pa.string())}), tmp_path / "a.parquet"
    )
    with pytest.raises(ValueError, match="no rows in"):
        read(tmp_path / "a.parquet")


@pytest.mark.parametrize(("end", "packed"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_compressed_files_are_read_and_damaged_ones_refused(write, end, packed):
    data = packed(b'{"en": "Yes", "id": "Ya"}\n' * 50)
    assert len(targets(write(f"a.jsonl{end}", data))) == 50
    with pytest.raises(ValueError, match="damaged or truncated compressed data"):
        read(write(f"b.jsonl{end}", data[:-8]))


def test_one_json_array_is_read(write):
    assert targets(write("a.json", '[{"en": "Yes", "id": "Ya"},\n {"en": "No", "id": "Tidak"}]')) == ["Ya", "Tidak"]


def test_entities_and_control_characters_are_taken_out_and_counted(write, tokenizer):
    path = write(
        "a.tsv", HEADER + "It&#39;s a &lt;b&gt;test&lt;/b&gt; ?a=1&copy=2\tIni uji\x00\u200b.\n\u200b\t\u200b\n"
    )
    pairs, report = clean_pairs(read(path), tokenizer, max_length=64)
    assert tokenizer.decode(pairs[0]["source_ids"][:-1]) == "It's a test ?a=1&copy=2"
    assert tokenizer.decode(pairs[0]["target_ids"][:-1]) == "Ini uji."
    assert report.repaired == {"html": 1, "control_characters": 2} and report.dropped == {"empty": 1}


def test_tags_that_stand_in_the_text_stay(write, tokenizer):
    pairs, _ = clean_pairs(read(write("a.tsv", HEADER + "Use <b> &amp; <i>.\tPakai <b>.\n")), tokenizer, max_length=64)
    assert tokenizer.decode(pairs[0]["source_ids"][:-1]) == "Use <b> & <i>."


def test_copies_are_dropped_where_asked(write, tokenizer):
    rows = read(write("a.tsv", HEADER + "Same.\tSame.\nYes.\tYa.\n"))
    assert clean_pairs(rows, tokenizer, max_length=64, keep_copies=False)[1].dropped == {"copied": 1}
    assert clean_pairs(rows, tokenizer, max_length=64)[1].kept == 2


def test_a_control_token_in_a_text_is_text(write, tokenizer):
    pairs, _ = clean_pairs(read(write("a.tsv", HEADER + "Yes <|endoftext|> no.\tYa.\n")), tokenizer, max_length=64)
    assert pairs[0]["source_ids"].count(tokenizer.eos_token_id) == 1


def test_an_object_over_several_lines_says_so(write):
    with pytest.raises(
        ValueError, match=r"expected one list of objects in it.*found none; several objects must stand on one"
    ):
        read(write("a.json", '{\n "en": "Yes"\n}'))


NAMES = ["a.tsv", "a.csv", "a.jsonl", "a.json", "a.jsonl.gz", "a.tsv.xz", "a.parquet"]
PIECES = [
    "en",
    "id",
    "\t",
    ",",
    "\n",
    "\r",
    '"',
    '""',
    "{",
    "}",
    "[",
    "]",
    ":",
    "null",
    "7",
    "Yes.",
    "\\ud83d",
    "\x00",
    "é",
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(NAMES), st.one_of(st.binary(max_size=60), st.lists(st.sampled_from(PIECES), max_size=25)))
def test_whatever_a_file_holds_it_is_read_or_refused_in_one_line_with_its_name(write, name, content):
    data = content if isinstance(content, bytes) else "".join(content).encode()
    path = write(name, gzip.compress(data) if name.endswith(".gz") else data)
    for reader in (read, read_texts):
        try:
            rows = reader(path) if reader is read else reader(str(path))
        except ValueError as error:
            assert "\n" not in str(error) and name.split(".")[0] in str(error)
        else:
            assert len(rows) > 0
