"""Several target languages in one model: which data set is of which language, and pairs between two targets."""

import json

import pytest

from sensia.corpora import clean_pairs
from sensia.corpora.pivot import join_by_source
from sensia.trainers.run_arguments import AdaptArguments
from sensia.trainers.training_data import load_eval_pairs, load_train_pairs, pair_targets

SENTENCES = {
    "id": [("Yes.", "Ya."), ("No.", "Tidak."), ("Open the file.", "Buka berkas."), ("Close it.", "Tutup.")],
    "tr": [("No.", "Olmaz."), ("Yes.", "Evet."), ("Close it.", "Kapat."), ("Save it.", "Kaydet.")],
}


@pytest.fixture
def folder(tmp_path):
    for code, pairs in SENTENCES.items():
        for name in ("train", "dev"):
            rows = [json.dumps({"en": source, code: f"{target} {name}"}) for source, target in pairs]
            (tmp_path / f"en-{code}.{name}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return tmp_path


def arguments(folder, **settings):
    given = {"train_data": "en-{target}.train.jsonl", "target_language": ["id", "tr"], "data": str(folder), **settings}
    return AdaptArguments(**{"model": "base", **given})


def test_a_placeholder_stands_for_each_language(folder):
    args = arguments(folder, eval_data=["dev=en-{target}.dev.jsonl"])
    assert [each.path for each in args.train_sources] == ["en-id.train.jsonl", "en-tr.train.jsonl"]
    assert [(each.name, each.languages) for each in args.eval_sources] == [
        ("dev-id", ("en", "id")),
        ("dev-tr", ("en", "tr")),
    ]


def test_a_placeholder_stands_for_a_single_language_too(folder):
    args = arguments(folder, target_language="tr", eval_data="dev=en-{target}.dev.jsonl")
    assert [each.path for each in args.train_sources] == ["en-tr.train.jsonl"]
    assert [each.name for each in args.eval_sources] == ["dev"]


def test_an_entry_may_name_its_languages(folder):
    entry = {"path": "en-tr.train.jsonl", "languages": ["en", "tur"]}
    (source,) = arguments(folder, train_data=[entry]).train_sources
    assert source.languages == ["en", "tur"]


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("en-id.train.jsonl", "nothing says which of them it is of"),
        ({"path": "en-id.train.jsonl", "languages": ["en", "sw"]}, "its `languages` name none of them"),
    ],
)
def test_an_entry_of_no_language_is_refused_with_what_to_do(folder, entry, problem):
    with pytest.raises(ValueError, match=rf"`train_data`, entry en-id.*{problem}.*\{{target\}}"):
        arguments(folder, train_data=[entry])


def test_text_without_a_language_is_refused(folder):
    with pytest.raises(ValueError, match=r"`text_data`, entry .more\.txt.: give its `language`"):
        arguments(folder, text_data=["more.txt"])


@pytest.mark.parametrize("codes", [["id", "ind"], ["id", "en"]])
def test_a_language_named_twice_is_refused(folder, codes):
    with pytest.raises(ValueError, match="`target_language` must be other languages than en, each once"):
        arguments(folder, target_language=codes)


def test_the_name_of_the_model_has_all_languages(folder):
    assert arguments(folder).model_name == "base-id-tr"


def test_pairs_of_all_languages_are_trained_on_and_told_apart(folder, tokenizer):
    train = load_train_pairs(arguments(folder), tokenizer, 64, seed=0)
    assert [part.languages[1].iso1 for part in train.parts] == ["id", "tr"]
    texts = [tokenizer.decode(ids[:-1]) for ids in train.pairs["target_ids"]]
    expected = {(f"{target} train", number) for number, code in enumerate(SENTENCES) for _, target in SENTENCES[code]}
    assert set(zip(texts, train.pairs["dataset"], strict=True)) == expected


def test_a_temperature_evens_out_what_languages_have(folder, tokenizer):
    rows = [json.dumps({"en": f"Number {number}.", "id": f"Nomor {number}."}) for number in range(60)]
    (folder / "en-id.train.jsonl").write_text("\n".join(rows), encoding="utf-8")
    pairs = load_train_pairs(arguments(folder, data_temperature=1000.0), tokenizer, 64, seed=0).pairs
    share = sum(number == 1 for number in pairs["dataset"]) / len(pairs)
    assert share == pytest.approx(0.5, abs=0.15)


def test_targets_with_common_sources_are_paired(folder, tokenizer):
    args = arguments(folder, eval_data=["dev=en-{target}.dev.jsonl"])
    (joined,) = pair_targets(load_eval_pairs(args, tokenizer, 64))
    assert joined.name == "dev-id with dev-tr" and [each.iso1 for each in joined.languages] == ["id", "tr"]
    sides = (joined.pairs["source_ids"], joined.pairs["target_ids"])
    pairs = [tuple(tokenizer.decode(ids[:-1]) for ids in both) for both in zip(*sides, strict=True)]
    assert pairs == [("Ya. dev", "Evet. dev"), ("Tidak. dev", "Olmaz. dev"), ("Tutup. dev", "Kapat. dev")]


def test_targets_with_few_common_sources_are_not_paired(folder, tokenizer):
    rows = [json.dumps({"en": f"Number {number}.", "tr": f"Numara {number}."}) for number in range(6)]
    (folder / "en-tr.dev.jsonl").write_text("\n".join([*rows, json.dumps({"en": "Yes.", "tr": "Evet."})]))
    args = arguments(folder, eval_data=["dev=en-{target}.dev.jsonl"])
    assert pair_targets(load_eval_pairs(args, tokenizer, 64)) == []


def test_joining_counts_the_bytes_of_the_sides_it_takes(bitext, tokenizer):
    pairs = clean_pairs(bitext, tokenizer, max_length=64)[0].select(range(20))
    joined = join_by_source(pairs, pairs.select(range(5, 20)))
    assert joined["source_bytes"] == joined["target_bytes"] == pairs["target_bytes"][5:]
    assert joined["row"] == pairs["row"][5:]
