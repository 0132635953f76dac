"""Training bitext is prepared once and kept: what is read again is what was prepared, and only if nothing changed."""

import json
import os

import datasets
import pytest

from sensia.corpora import cleaning
from sensia.trainers import training_data
from sensia.trainers.pretraining import train_tokenizer
from sensia.trainers.run_arguments import AdaptArguments
from sensia.trainers.training_data import load_train_pairs


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(training_data, "_WORTH_KEEPING", 1)
    return tmp_path / "cache" / "sensia"


@pytest.fixture
def file(tmp_path):
    (tmp_path / "data").mkdir()
    return write(tmp_path / "data" / "pairs.jsonl", 40)


def write(path, number):
    rows = [{"en": f"Number {row}.", "id": f"Nomor {row}."} for row in range(number)]
    path.write_text("\n".join(map(json.dumps, [*rows, rows[0]])), encoding="utf-8")
    return path


def load(file, tokenizer, seed=0, max_length=64, **settings):
    given = {"model": "base", "train_data": str(file), "target_language": "id", **settings}
    return load_train_pairs(AdaptArguments(**given), tokenizer, max_length, seed)


def kept(cache):
    return sorted(each.name for each in cache.iterdir()) if cache.exists() else []


def forbid(monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("the bitext was tokenized again")

    monkeypatch.setattr(cleaning, "encode_pairs", fail)


def test_a_second_start_reads_what_the_first_prepared(file, tokenizer, cache, monkeypatch):
    evaluation = {"eval_data": f"dev={file}"}
    first = load(file, tokenizer, **evaluation)
    forbid(monkeypatch)
    second = load(file, tokenizer, **evaluation)
    assert second.pairs[:] == first.pairs[:]
    assert second.parts[0].report == first.parts[0].report and second.parts[0].report.dropped == {"duplicate": 1}
    assert second.parts[0].keys.tolist() == first.parts[0].keys.tolist()
    assert second.pairs.cache_files  # mapped, not held in memory


def test_a_changed_file_is_prepared_anew(file, tokenizer):
    load(file, tokenizer)
    write(file, 30)
    os.utime(file, ns=(1, 1))
    assert len(load(file, tokenizer).pairs) == 30


@pytest.mark.parametrize("change", [{"max_length": 30}, {"keep_copies": True}, {"max_length_ratio": 9.0}])
def test_other_settings_are_prepared_anew(file, tokenizer, cache, change):
    load(file, tokenizer)
    load(file, tokenizer, **change)
    assert len(kept(cache)) == 2


def test_another_tokenizer_prepares_anew(file, tokenizer, cache):
    load(file, tokenizer)
    load(file, train_tokenizer(["Number Nomor"] * 9, 300))
    assert len(kept(cache)) == 2


def test_pairs_that_are_drawn_depend_on_the_seed(file, tokenizer):
    drawn = [load(file, tokenizer, seed, max_train_pairs=10).pairs["row"][:] for seed in (0, 1, 0)]
    assert drawn[0] == drawn[2] != drawn[1]


def test_a_seed_that_draws_nothing_changes_nothing(file, tokenizer, cache):
    load(file, tokenizer, seed=0)
    load(file, tokenizer, seed=1)
    assert len(kept(cache)) == 1


def test_nothing_is_kept_where_caching_is_off(file, tokenizer, cache):
    datasets.disable_caching()
    try:
        load(file, tokenizer)
    finally:
        datasets.enable_caching()
    assert kept(cache) == []


def test_little_text_is_not_kept(file, tokenizer, cache, monkeypatch):
    monkeypatch.setattr(training_data, "_WORTH_KEEPING", 1_000_000)
    load(file, tokenizer)
    assert kept(cache) == []


def test_what_cannot_be_prepared_leaves_nothing_behind(file, tokenizer, cache):
    with pytest.raises(ValueError, match="no pair is left"):
        load(file, tokenizer, max_length=2)
    assert kept(cache) == []


def test_a_full_disk_keeps_nothing_and_stops_nothing(file, tokenizer, cache, monkeypatch):
    def fail(self, path):
        raise OSError("No space left on device")

    monkeypatch.setattr(datasets.Dataset, "save_to_disk", fail)
    assert len(load(file, tokenizer).pairs) == 40
    assert kept(cache) == []


def test_several_processes_tokenize_as_one(bitext, tokenizer, monkeypatch):
    alone = cleaning.clean_pairs(bitext, tokenizer, max_length=64, num_proc=1)
    monkeypatch.setattr(cleaning, "_ROWS_OF_A_PROCESS", 50)
    together = cleaning.clean_pairs(bitext, tokenizer, max_length=64, num_proc=3)
    assert together[0][:] == alone[0][:] and together[1] == alone[1]
