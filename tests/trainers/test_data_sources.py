"""Data sets that are read each in its own way: entries of `train_data` and `eval_data` that are mappings."""

import json

import pytest

from sensia.trainers import parse_arguments
from sensia.trainers.data_sources import DataSource
from sensia.trainers.licence_notes import data_licence
from sensia.trainers.run_arguments import AdaptArguments
from sensia.trainers.training_data import load_eval_pairs, load_train_pairs

PAIRS = [("Open the file.", "Buka berkas."), ("Close it.", "Tutup."), ("Save all.", "Simpan semua.")]


@pytest.fixture
def write(tmp_path):
    def write(name, columns, pairs=PAIRS):
        rows = (json.dumps(dict(zip(columns, pair, strict=True))) for pair in pairs)
        (tmp_path / name).write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")

    return write


def arguments(folder, **settings):
    return AdaptArguments(**{"model": "x", "target_language": "id", "data": str(folder), **settings})


def kept(sets):
    return [each.report.kept for each in sets]


def test_data_sets_of_different_columns_are_mixed(write, tmp_path, tokenizer):
    write("a.jsonl", ("english", "indonesian"))
    write("b.jsonl", ("en", "id"), PAIRS[:2])
    named = {"path": "a.jsonl", "columns": ["english", "indonesian"]}
    train = load_train_pairs(arguments(tmp_path, train_data=[named, "b.jsonl"]), tokenizer, 64, seed=0)
    assert kept(train.parts) == [3, 2] and len(train.pairs) == 5


def test_a_data_set_may_name_its_sides_after_other_languages(write, tmp_path, tokenizer):
    write("a.jsonl", ("en", "ms"))
    named = {"path": "a.jsonl", "languages": ["en", "ms"]}
    assert kept(load_train_pairs(arguments(tmp_path, train_data=[named]), tokenizer, 64, seed=0).parts) == [3]


def test_columns_of_the_training_data_do_not_bind_evaluation_data(write, tmp_path, tokenizer):
    write("a.jsonl", ("english", "indonesian"))
    write("dev.jsonl", ("eng_Latn", "ind_Latn"))
    columns = {"source_column": "english", "target_column": "indonesian"}
    args = arguments(tmp_path, train_data=["a.jsonl"], eval_data=["dev=dev.jsonl", "same=a.jsonl"], **columns)
    assert kept(load_eval_pairs(args, tokenizer, 64)) == [3, 3]


def test_evaluation_data_has_columns_of_its_own(write, tmp_path, tokenizer):
    write("a.jsonl", ("en", "id"))
    write("dev.jsonl", ("left", "right"))
    named = {"name": "dev", "path": "dev.jsonl", "columns": ["left", "right"]}
    args = arguments(tmp_path, train_data=["a.jsonl"], eval_data=[named])
    assert [each.name for each in load_eval_pairs(args, tokenizer, 64)] == ["dev"]


def test_weights_are_shares(write, tmp_path):
    write("a.jsonl", ("en", "id"))
    entries = [{"path": "a.jsonl", "weight": 3}, {"path": "b.jsonl", "weight": 1.5}]
    assert arguments(tmp_path, train_data=entries).shares == [3, 1.5]


def test_the_licence_of_an_entry_is_that_of_its_data(write, tmp_path, tokenizer):
    write("a.jsonl", ("en", "id"))
    args = arguments(tmp_path, train_data=[{"path": "a.jsonl", "license": "cc-by-4.0"}], data_license="mit")
    (part,) = load_train_pairs(args, tokenizer, 64, seed=0).parts
    assert data_licence(part, args) == "cc-by-4.0"


def test_the_two_files_of_a_bitext_are_one_data_set(tmp_path, tokenizer):
    for side, code in enumerate(("en", "id")):
        (tmp_path / f"x.{code}").write_text("".join(f"{pair[side]}\n" for pair in PAIRS), encoding="utf-8")
    args = arguments(tmp_path, train_data=["x.en", "x.id"])
    assert kept(load_train_pairs(args, tokenizer, 64, seed=0).parts) == [3]


@pytest.mark.parametrize("name", ["x.{lang}", "x", "x.en,x.id"])
def test_two_files_are_found_in_the_data_folder(tmp_path, tokenizer, name):
    for side, code in enumerate(("en", "id")):
        (tmp_path / f"x.{code}").write_text("".join(f"{pair[side]}\n" for pair in PAIRS), encoding="utf-8")
    args = arguments(tmp_path, train_data=[name], eval_data=[f"dev={name}"])
    assert (
        kept(load_train_pairs(args, tokenizer, 64, seed=0).parts) == kept(load_eval_pairs(args, tokenizer, 64)) == [3]
    )


def test_entries_are_typed_as_json_too(tmp_path):
    typed = json.dumps({"path": "a.jsonl", "split": "train"})
    words = ["--model", "x", "--target_language", "id", "--train_data", typed, "b.jsonl"]
    (args,) = parse_arguments(AdaptArguments, description="", arguments=words)
    assert args.train_sources == [DataSource("a.jsonl", split="train"), DataSource("b.jsonl")]


@pytest.mark.parametrize(
    ("setting", "entry", "message"),
    [
        ("train_data", {"path": "a", "colums": ["x", "y"]}, "`train_data`: unknown key `colums`.*mean `columns`"),
        ("train_data", {"config": "x"}, "`train_data`: an entry needs a `path`"),
        ("train_data", {"path": 3}, "`path` must be a text that is not empty, got 3"),
        ("train_data", {"path": "a", "columns": ["x"]}, "`columns` must be two texts"),
        ("train_data", {"path": "a", "languages": ["en", "qqq"]}, "unknown language code 'qqq'"),
        ("train_data", {"path": "a", "weight": 0}, "`weight` must be a positive number, got 0"),
        ("train_data", "", "`train_data` must name something"),
        ("eval_data", {"path": "a"}, "`eval_data`: an entry needs a `name`"),
        ("eval_data", {"name": "dev", "path": "a", "weight": 1}, "`eval_data`: an entry takes no `weight`"),
        ("eval_data", "dev", "`eval_data` entries are NAME=SOURCE"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_key(tmp_path, setting, entry, message):
    with pytest.raises(ValueError, match=message):
        arguments(tmp_path, **{"train_data": ["a.jsonl"], setting: [entry]})


def test_weights_for_some_are_refused(tmp_path):
    with pytest.raises(ValueError, match="give each entry a `weight`, or none"):
        arguments(tmp_path, train_data=[{"path": "a", "weight": 1}, "b"])


def test_weights_in_two_ways_are_refused(tmp_path):
    with pytest.raises(ValueError, match="one of the three"):
        arguments(tmp_path, train_data=[{"path": "a", "weight": 1}], data_weights=[1])


def test_text_of_either_language_is_read_beside_pairs(write, tmp_path, tokenizer):
    write("a.jsonl", ("en", "id"))
    (tmp_path / "id.txt").write_text("Satu.\nDua.\n", encoding="utf-8")
    (tmp_path / "en.jsonl").write_text('{"body": "One."}\n', encoding="utf-8")
    texts = ["id.txt", {"path": "en.jsonl", "language": "en", "column": "body"}]
    train = load_train_pairs(arguments(tmp_path, train_data=["a.jsonl"], text_data=texts), tokenizer, 64, seed=0)
    assert kept(train.parts) == [3, 2, 1]
    assert [bool(row["source_ids"]) for row in train.texts] == [False, False, True]


def test_text_of_a_third_language_is_refused(tmp_path):
    text = {"path": "x.txt", "language": "tr"}
    with pytest.raises(ValueError, match=r"`text_data`, entry 'x.txt': `language` must be en or id, got tr"):
        arguments(tmp_path, train_data=["a"], text_data=[text])


@pytest.mark.parametrize("line", ['{"en": "Wh', '{"en": "Why", "id": null}'])
def test_bad_rows_of_training_data_stop_the_run_or_are_dropped(write, tmp_path, tokenizer, line):
    write("a.jsonl", ("en", "id"))
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write(f"{line}\n")
    dropped = arguments(tmp_path, train_data=["a.jsonl"], on_bad_rows="drop")
    (part,) = load_train_pairs(dropped, tokenizer, 64, seed=0).parts
    assert (part.report.total, part.report.kept) == (4, 3)
    with pytest.raises(ValueError, match=r"a.jsonl, line 4: "):
        load_train_pairs(arguments(tmp_path, train_data=["a.jsonl"], on_bad_rows="stop"), tokenizer, 64, seed=0)


def test_bad_rows_of_evaluation_data_are_dropped_and_counted_whatever_is_chosen(write, tmp_path, tokenizer):
    write("a.jsonl", ("en", "id"), [*PAIRS, ("Why?", None)])
    args = arguments(tmp_path, train_data=["a.jsonl"], eval_data=["dev=a.jsonl"], on_bad_rows="stop")
    assert kept(load_eval_pairs(args, tokenizer, 64)) == [3]
