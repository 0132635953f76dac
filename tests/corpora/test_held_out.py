"""What a source of evaluation data says, without the Hub, and which of its rows are training rows."""

import numpy as np
import pytest
from datasets import Dataset

from sensia.corpora import DataPart, held_out_part, row_keys, shared_rows
from sensia.corpora.held_out import name_part


def rows(*pairs):
    return Dataset.from_dict({"source": [pair[0] for pair in pairs], "target": [pair[1] for pair in pairs]})


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("org/name", DataPart("org/name")),
        ("org/name:test", DataPart("org/name", None, "test")),
        ("org/name:en-id:test", DataPart("org/name", "en-id", "test")),
        ("org/name:en-id:", DataPart("org/name", "en-id", None)),
        ("org/name::test[:10]", DataPart("org/name", None, "test[:10]")),
        ("my/data:1/dev.jsonl", DataPart("my/data:1/dev.jsonl")),
        ("/data/dev:1.jsonl", DataPart("/data/dev:1.jsonl")),
    ],
)
def test_configuration_and_split_stand_behind_the_source(text, part):
    assert name_part(text) == part


def test_a_source_of_four_parts_is_refused():
    with pytest.raises(ValueError, match="expected SOURCE, SOURCE:SPLIT or SOURCE:CONFIGURATION:SPLIT"):
        name_part("org/name:a:b:c")


def test_a_file_is_read_as_it_is(tmp_path):
    path = tmp_path / "train:1.jsonl"
    path.write_text("")
    assert held_out_part(str(path)) == DataPart(str(path))


def test_a_folder_has_splits_too(tmp_path):
    assert held_out_part(f"{tmp_path}:dev") == DataPart(str(tmp_path), None, "dev")


def test_a_part_is_told_in_words():
    part = DataPart("org/name", "en-id", "test", by_name=True)
    assert str(part) == "org/name, configuration en-id, split test (found by its name)"


def test_rows_of_both_are_found_whatever_their_white_space():
    training = row_keys(rows(("Yes.", "Ya."), ("One  line", "Satu baris"), ("e\u0301", "x")))
    evaluation = row_keys(rows(("No.", "Tidak."), (" One line\n", "Satu\u00a0baris "), ("\u00e9", "x")))
    assert shared_rows(evaluation, [training]) == [1, 2]


def test_one_side_alone_is_another_row():
    assert shared_rows(row_keys(rows(("Yes", "Ya"))), [row_keys(rows(("Yes", "Iya"), ("Yes Ya", "")))]) == []


def test_a_key_takes_eight_bytes():
    keys = row_keys(rows(*((f"line {n}", f"baris {n}") for n in range(2500))))
    assert keys.dtype == np.uint64 and len(set(keys.tolist())) == 2500


def test_instructions_with_other_prompts_are_other_rows():
    first, second = (
        rows(("Yes", "Ya")).add_column("source_prompt", [prompt]).add_column("target_prompt", [prompt])
        for prompt in ("a", "b")
    )
    assert shared_rows(row_keys(first), [row_keys(second)]) == []
    assert shared_rows(row_keys(first), [row_keys(first)]) == [0]
