"""Two data sets of different shapes are trained on together, each read as its entry of `train_data` says."""

import gzip
import json
import zipfile

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sensia.trainers.run_arguments import AdaptArguments
from sensia.trainers.training_data import load_eval_pairs, load_train_pairs

WORDS = (("Open the file", "Buka berkas"), ("Close the door", "Tutup pintu"), ("Save all", "Simpan semua"))


def pairs_of(shape):
    """Three pairs that no other shape has."""
    return [(f"{english} {shape}.", f"{indonesian} {shape}.") for english, indonesian in WORDS]


def json_lines(rows):
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def columns(shape, *names):
    return [dict(zip(names, pair, strict=True)) for pair in pairs_of(shape)]


def translation(folder, shape):
    rows = [{"translation": row, "source": "tico19"} for row in columns(shape, "en", "id")]
    (folder / "translation.jsonl").write_text(json_lines(rows))
    return "translation.jsonl"


def named_columns(folder, shape):
    (folder / "named.jsonl").write_text(json_lines(columns(shape, "left", "right")))
    return {"path": "named.jsonl", "columns": ["left", "right"]}


def other_codes(folder, shape):
    (folder / "codes.jsonl.gz").write_bytes(gzip.compress(json_lines(columns(shape, "eng", "zsm")).encode()))
    return {"path": "codes.jsonl.gz", "languages": ["en", "ms"]}


def semicolons(folder, shape):
    lines = ["English;Indonesian", *(";".join(pair) for pair in pairs_of(shape))]
    (folder / "semicolons.csv").write_text("\n".join(lines))
    return "semicolons.csv"


def scored(folder, shape):
    lines = [
        f"{1.2 + number}\t{english}\t{indonesian}" for number, (english, indonesian) in enumerate(pairs_of(shape))
    ]
    (folder / "scored.tsv").write_text("\n".join(lines))
    return {"path": "scored.tsv"}


def numbered(folder, shape):
    lines = [f"{indonesian}\tA note.\t{english}" for english, indonesian in pairs_of(shape)]
    (folder / "numbered.tsv").write_text("\n".join(lines))
    return {"path": "numbered.tsv", "columns": ["3", "1"]}


def parquet(folder, shape):
    table = pa.Table.from_pylist(columns(shape, "sentence_eng_Latn", "sentence_ind_Latn"))
    pq.write_table(table, folder / "flores.parquet")
    return "flores.parquet"


def nested(folder, shape):
    rows = [{"row_idx": number, "row": row} for number, row in enumerate(columns(shape, "en", "id"))]
    (folder / "nested.json").write_text(json.dumps({"rows": rows, "features": []}, indent=1))
    return "nested.json"


def two_files(folder, shape):
    for side, code in enumerate(("en", "id")):
        (folder / f"two.{code}").write_text("".join(f"{pair[side]}\n" for pair in pairs_of(shape)))
    return {"path": "two.{lang}"}


def archive(folder, shape):
    with zipfile.ZipFile(folder / "en-id.txt.zip", "w") as file:
        for side, code in enumerate(("en", "id")):
            file.writestr(f"X.en-id.{code}", "".join(f"{pair[side]}\n" for pair in pairs_of(shape)))
    return "en-id.txt.zip"


def memory(folder, shape):
    units = "".join(
        f'<tu><tuv xml:lang="en-US"><seg>{english}</seg></tuv><tuv xml:lang="id"><seg>{indonesian}</seg></tuv></tu>'
        for english, indonesian in pairs_of(shape)
    )
    (folder / "memory.tmx").write_text(f'<tmx version="1.4"><header/><body>{units}</body></tmx>')
    return "memory.tmx"


def messages(folder, shape):
    head = 'msgid ""\nmsgstr "Language: id\\n"\n\n'
    entries = "\n".join(f'msgid "{english}"\nmsgstr "{indonesian}"\n' for english, indonesian in pairs_of(shape))
    (folder / "id.po").write_text(head + entries)
    return "id.po"


def saved(folder, shape):
    rows = datasets.Dataset.from_list(columns(shape, "en", "id"))
    splits = {"train": rows, "test": datasets.Dataset.from_list(columns("other", "en", "id"))}
    datasets.DatasetDict(splits).save_to_disk(folder / "saved")
    return {"path": "saved", "split": "train"}


def clone(folder, shape):
    data = [{"config_name": name, "data_files": f"{name}.jsonl"} for name in ("en-id", "en-jv")]
    (folder / "clone").mkdir()
    (folder / "clone" / "README.md").write_text(f"---\nconfigs: {json.dumps(data)}\n---\n")
    (folder / "clone" / "en-id.jsonl").write_text(json_lines(columns(shape, "sentence1", "sentence2")))
    (folder / "clone" / "en-jv.jsonl").write_text(json_lines(columns("other", "sentence1", "sentence2")))
    return {"path": "clone"}


MIXTURES = [
    (translation, named_columns),
    (semicolons, other_codes),
    (scored, parquet),
    (numbered, translation),
    (two_files, nested),
    (archive, scored),
    (memory, messages),
    (saved, two_files),
    (clone, numbered),
    (parquet, memory),
]


def arguments(folder, **settings):
    return AdaptArguments(model="x", target_language="id", data=str(folder), **settings)


def texts_of(pairs, tokenizer):
    sides = ("source_ids", "target_ids")
    return sorted(tuple(tokenizer.decode(row[side], skip_special_tokens=True) for side in sides) for row in pairs)


@pytest.mark.parametrize(("first", "second"), MIXTURES, ids=lambda write: write.__name__)
@pytest.mark.parametrize("order", [1, -1], ids=["in this order", "the other way round"])
def test_two_shapes_are_mixed(first, second, order, tmp_path, tokenizer):
    shapes = (first, second)[::order]
    entries = [write(tmp_path, write.__name__) for write in shapes]
    train = load_train_pairs(arguments(tmp_path, train_data=entries), tokenizer, 128, seed=0)
    assert [(part.report.total, part.report.kept) for part in train.parts] == [(3, 3), (3, 3)]
    for number, write in enumerate(shapes):
        rows = [row for row in train.pairs if row["dataset"] == number]
        assert texts_of(rows, tokenizer) == sorted(pairs_of(write.__name__))


@pytest.mark.parametrize(("first", "second"), MIXTURES, ids=lambda write: write.__name__)
def test_two_streams_of_different_shapes_are_mixed_by_weight(first, second, tmp_path, tokenizer):
    entries = [write(tmp_path, write.__name__) for write in (first, second)]
    weighted = [{**({"path": each} if isinstance(each, str) else each), "weight": 1} for each in entries]
    train = load_train_pairs(arguments(tmp_path, train_data=weighted, streaming=True), tokenizer, 128, seed=0)
    expected = {pair for write in (first, second) for pair in pairs_of(write.__name__)}
    assert set(texts_of(train.pairs, tokenizer)) == expected


@pytest.mark.parametrize(("first", "second"), MIXTURES, ids=lambda write: write.__name__)
def test_evaluation_data_has_a_shape_of_its_own(first, second, tmp_path, tokenizer):
    entry = second(tmp_path, "held out")
    named = {"name": "dev", **({"path": entry} if isinstance(entry, str) else entry)}
    args = arguments(tmp_path, train_data=[first(tmp_path, "trained")], eval_data=[named])
    (held_out,) = load_eval_pairs(args, tokenizer, 128)
    assert texts_of(held_out.pairs, tokenizer) == sorted(pairs_of("held out"))
