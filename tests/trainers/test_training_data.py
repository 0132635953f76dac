"""Several data sets, documents, instructions and texts, loaded and streamed."""

import json
from collections import Counter
from itertools import islice

import pytest

from sensia.trainers.arguments import parse_arguments
from sensia.trainers.base_model import read_sides
from sensia.trainers.run_arguments import AdaptArguments
from sensia.trainers.run_record import _describe_data
from sensia.trainers.training_data import find_trained_on, load_eval_pairs, load_train_pairs


def write(path, name, count, **more):
    lines = [{"en": f"{name} number {i}.", "id": f"{name} nomor {i}.", **more} for i in range(count)]
    (path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


@pytest.fixture
def load(tmp_path, tokenizer):
    write(tmp_path, "big", 300)
    write(tmp_path, "small", 100)

    def load(names=("big.jsonl", "small.jsonl"), **settings):
        args = AdaptArguments("base", list(names), "id", data=str(tmp_path), **settings)
        return load_train_pairs(args, tokenizer, 64, seed=0)

    return load


def shares(data, take=None):
    counts = Counter(row["dataset"] for row in islice(data.pairs, take))
    return counts[0] / counts.total()


def test_several_data_sets_are_concatenated(load):
    data = load()
    assert Counter(data.pairs["dataset"]) == {0: 300, 1: 100}
    assert data.pairs["row"][:] == [*range(300), *range(100)]
    assert data.pairs.column_names == ["source_ids", "target_ids", "row", "dataset"]


@pytest.mark.parametrize("streaming", [False, True])
def test_weights_are_the_shares_and_all_data_is_read(load, streaming):
    data = load(data_weights=[1, 3], streaming=streaming)
    assert shares(data) == pytest.approx(0.25, abs=0.05)
    assert {row["row"] for row in data.pairs if row["dataset"] == 0} == set(range(300))
    assert {row["row"] for row in data.pairs if row["dataset"] == 1} == set(range(100))


@pytest.mark.parametrize(("temperature", "share"), [(1, 0.75), (2, 0.634), (1000, 0.5)])
def test_temperature_brings_the_shares_together(load, temperature, share):
    assert shares(load(data_temperature=temperature)) == pytest.approx(share, abs=0.06)


def test_streams_are_read_in_equal_shares(load):
    assert shares(load(streaming=True), take=150) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("streaming", [False, True])
def test_a_row_and_its_data_set_say_where_a_pair_is_from(load, tokenizer, streaming):
    for row in load(streaming=streaming, shuffle_buffer=50).pairs:
        name = ("big", "small")[row["dataset"]]
        assert tokenizer.decode(row["target_ids"][:-1]) == f"{name} nomor {row['row']}."


def test_a_stream_of_several_files_knows_the_rows_of_all(tmp_path, tokenizer):
    folder = tmp_path / "parts"
    folder.mkdir()
    for part in ("a", "b", "c"):
        write(folder, part, 20)
    args = AdaptArguments("base", str(folder), "id", streaming=True, shuffle_buffer=8)
    for row in load_train_pairs(args, tokenizer, 64, seed=5).pairs:
        part, number = divmod(row["row"], 20)
        assert tokenizer.decode(row["target_ids"][:-1]) == f"{'abc'[part]} nomor {number}."


@pytest.mark.parametrize("streaming", [False, True])
def test_data_with_and_without_prompts_is_mixed(load, tmp_path, streaming):
    write(tmp_path, "asked", 50, prompt={"en": "Say it.", "id": "Katakan."})
    data = load(["small.jsonl", "asked.jsonl"], streaming=streaming)
    prompts = {(row["dataset"], row["prompt_tokens"] > 0) for row in data.pairs}
    assert prompts == {(0, False), (1, True)}


@pytest.mark.parametrize("streaming", [False, True])
def test_documents_are_joined(load, tmp_path, streaming):
    write(tmp_path, "book", 40, doc="one")
    rows = list(load(["book.jsonl"], join_documents=True, streaming=streaming).pairs)
    assert 1 < len(rows) < 20
    assert all(max(len(row["source_ids"]), len(row["target_ids"])) <= 64 for row in rows)


def test_data_without_documents_is_refused_by_name(load):
    with pytest.raises(ValueError, match=r"big\.jsonl: joining documents needs a column 'doc'"):
        load(join_documents=True)


def test_texts_of_several_files_are_one_data_set(load, tmp_path):
    (tmp_path / "a.txt").write_text("Satu.\nDua.\n", encoding="utf-8")
    (tmp_path / "b.txt").write_text("Tiga.\n\nEmpat.\n", encoding="utf-8")
    data = load(text_data=["a.txt", "b.txt"])
    assert len(data.texts) == 4 and not any(data.texts["source_ids"])
    assert [part.name for part in data.parts] == ["big.jsonl", "small.jsonl", "a.txt", "b.txt"]


def test_each_data_set_is_described_on_its_own(load, tmp_path):
    write(tmp_path, "small", 100, origin="web")
    described = [_describe_data(part, "train", AdaptArguments("b", "x", "id")) for part in load().parts]
    assert [entry["name"] for entry in described] == ["big.jsonl", "small.jsonl"]
    assert [entry["rows_kept"] for entry in described] == [300, 100]
    assert described[0]["sha256"] != described[1]["sha256"]
    assert described[1]["sources"] == [{"name": "web", "rows": 100}]


def test_a_data_set_with_nothing_left_is_refused_by_name_with_the_reason(load, tmp_path):
    lines = [json.dumps({"en": "Yes", "id": " "}) + "\n"] * 5
    (tmp_path / "blank.jsonl").write_text("".join(lines), encoding="utf-8")
    with pytest.raises(ValueError, match=r"blank\.jsonl: no pair is left .*kept 0 of 5 pairs; dropped: empty 5; look"):
        load(["big.jsonl", "blank.jsonl"])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"data_weights": [1.0]}, "one positive number for each of the 2 data sets"),
        ({"data_weights": [1.0, 0.0]}, "one positive number for each"),
        ({"data_weights": [1.0, float("nan")]}, "one positive number for each"),
        ({"data_weights": [1.0, 2.0], "data_temperature": 2}, "not both"),
        ({"data_temperature": 0}, "positive number, got 0"),
        ({"data_temperature": 2, "streaming": True}, "a stream does not know"),
    ],
)
def test_shares_that_make_no_sense_are_refused(load, settings, words):
    with pytest.raises(ValueError, match=words):
        load(**settings)


def test_one_name_or_a_list_in_yaml_or_several_words_on_the_command_line(tmp_path):
    def parse(text, *words):
        (tmp_path / "a.yaml").write_text(f"model: base\ntarget_language: id\n{text}\n", encoding="utf-8")
        command = ["--config", str(tmp_path / "a.yaml"), *words]
        return parse_arguments(AdaptArguments, description="", arguments=command)[0].train_data

    assert parse("train_data: one") == ["one"]
    assert parse("train_data: [one, two]") == ["one", "two"]
    assert parse("", "--train_data", "one", "two") == ["one", "two"]


def test_so_many_pairs_of_each_set_are_drawn_by_the_seed(load):
    whole, data, again = load(), load(max_train_pairs=90), load(max_train_pairs=90)
    assert Counter(data.pairs["dataset"]) == {0: 90, 1: 90}
    assert data.pairs["row"][:] == again.pairs["row"][:] != whole.pairs["row"][:90]
    assert [(part.report.kept, part.report.dropped["not_drawn"]) for part in data.parts] == [(90, 210), (90, 10)]


def test_no_more_pairs_than_there_are_leave_the_data_as_it_is(load):
    data = load(max_train_pairs=1000)
    assert Counter(data.pairs["dataset"]) == {0: 300, 1: 100} and "not_drawn" not in data.parts[0].report.dropped


@pytest.mark.parametrize("settings", [{"max_train_pairs": 1}, {"max_train_pairs": 9, "streaming": True}])
def test_drawing_one_pair_or_from_a_stream_is_refused(load, settings):
    with pytest.raises(ValueError, match="max_train_pairs"):
        load(**settings)


@pytest.fixture
def compared(tmp_path, tokenizer):
    """Loads training and evaluation data of which three rows are the same but for white space, and compares them."""
    write(tmp_path, "big", 40)
    lines = (tmp_path / "big.jsonl").read_text(encoding="utf-8").splitlines()
    write(tmp_path, "dev", 20)
    own = (tmp_path / "dev.jsonl").read_text(encoding="utf-8").splitlines()
    mixed = [*own[:2], lines[7].replace("number", " number "), *own[2:], lines[30], lines[39]]
    (tmp_path / "dev.jsonl").write_text("\n".join(mixed), encoding="utf-8")

    def compare(allowed=5, **settings):
        args = AdaptArguments(
            "base",
            ["big.jsonl"],
            "id",
            data=str(tmp_path),
            eval_data=["dev=dev.jsonl"],
            eval_overlap=allowed,
            **settings,
        )
        train, evals = load_train_pairs(args, tokenizer, 64, seed=0), load_eval_pairs(args, tokenizer, 64)
        find_trained_on(evals, train, args.eval_overlap)
        return evals[0]

    return compare


def test_evaluation_rows_that_are_training_rows_are_counted_and_named(compared):
    dev = compared()
    assert dev.trained_on == [2, 21, 22]
    assert str(dev) == "dev: kept 23 of 23 pairs; 3 of them (rows 3, 22, 23) also in the training data"


def test_more_of_them_than_allowed_stop_the_run(compared):
    with pytest.raises(ValueError, match=r"`eval_data` dev: 3 of 23 pairs \(rows 3, 22, 23\) .* `eval_overlap` to 3"):
        compared(allowed=2)


def test_rows_of_a_stream_are_compared_as_far_as_they_are_buffered(compared):
    assert compared(streaming=True).trained_on == [2, 21, 22]
    assert compared(streaming=True, shuffle_buffer=10).trained_on == [2]


def test_rows_that_are_not_drawn_are_not_trained_on(compared):
    assert len(compared(max_train_pairs=2).trained_on) < 3


def test_nothing_is_remembered_of_training_data_without_evaluation_data(load):
    assert [part.keys for part in load().parts] == [None, None]


@pytest.mark.parametrize("setting", ["data_split", "entry"])
def test_texts_for_tokens_and_aligned_words_are_of_the_part_that_is_trained_on(setting, tmp_path):
    for split, text in (("train", "Save."), ("dev", "Open.")):
        row = json.dumps({"en": text, "id": text.upper()})
        (tmp_path / f"{split}.jsonl").write_text(f"{row}\n", encoding="utf-8")
    source = [{"path": str(tmp_path), "split": "train"}] if setting == "entry" else [str(tmp_path)]
    args = AdaptArguments("base", source, "id", data_split="train" if setting == "data_split" else None)
    assert read_sides(args) == (["Save."], ["SAVE."])
