"""`sensia mine`: translations found in two texts that nobody has aligned."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from dictionary_encoder import save_dictionary_encoder, translations

from sensia.commands.mine import MineArguments, Vectors, mine
from sensia.corpora import read_pairs

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_dictionary_encoder(tmp_path_factory.mktemp("mining") / "dictionary")


@pytest.fixture
def folder(tmp_path):
    """Eighty translations in another order, twenty other sentences on each side, and a line of nothing and a copy."""
    pairs = list(translations())
    sources, targets = [source for source, _ in pairs[:80]], [target for _, target in pairs[:80]]
    sources += [f"Nothing is known of it, {number}." for number in range(20)]
    targets += [f"Tidak ada yang tahu, {number}." for number in range(20)]
    random.Random(0).shuffle(targets)
    for name, lines in (("en", [*sources, sources[0], ""]), ("id", targets)):
        (tmp_path / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return tmp_path


def mined(folder, model, **settings):
    args = MineArguments(
        source_text=str(folder / "en.txt"),
        target_text=str(folder / "id.txt"),
        model=model,
        target_language="id",
        output=str(folder / "out/mined.parquet"),
        **settings,
    )
    mine(args)
    return pq.read_table(args.output).to_pylist()


@pytest.mark.parametrize("strategy", ["max", "intersection"])
def test_translations_are_found_with_their_scores(folder, model, strategy):
    rows = mined(folder, model, strategy=strategy, min_score=1.01)
    assert {(row["en"], row["id"]) for row in rows} == set(list(translations())[:80])
    scores = [row["score"] for row in rows]
    assert scores == sorted(scores, reverse=True)


def test_the_best_pairs_are_kept_of_more(folder, model):
    every = mined(folder, model)
    assert len(every) > 80
    assert mined(folder, model, max_pairs=10) == every[:10]


def test_mined_pairs_are_read_with_their_scores(folder, model):
    mined(folder, model, max_pairs=10)
    pairs = read_pairs(str(folder / "out/mined.parquet"), source_language="en", target_language="id")
    assert {"source", "target", "score"} <= set(pairs.column_names) and len(pairs) == 10


def test_vectors_are_computed_once(folder, model):
    first = mined(folder, model, max_pairs=20)
    files = {path: path.stat().st_mtime_ns for path in folder.glob("out/mined.vectors/*.npy")}
    assert mined(folder, model, max_pairs=20) == first and len(files) == 2
    assert files == {path: path.stat().st_mtime_ns for path in folder.glob("out/mined.vectors/*.npy")}


def test_vectors_of_a_run_that_was_stopped_are_used(model, tmp_path):
    texts = [source for source, _ in translations()]
    Vectors(model, tmp_path, "cpu", part=30).compute(texts[:60])
    before = set(tmp_path.iterdir())
    whole = Vectors(model, tmp_path, "cpu", part=30).compute(texts)
    assert len(before) == 2 and len(set(tmp_path.iterdir()) - before) == 2 and whole.shape == (100, 10)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source_text": []}, "`source_text` names no text"),
        ({"strategy": "both"}, "`strategy` must be max or intersection"),
        ({"max_pairs": 0}, "`max_pairs` must be at least 1"),
        ({"output": "mined.tsv"}, "`output` must end in .parquet, got 'mined.tsv'"),
        ({"target_language": "xyzzy"}, "`target_language`: "),
    ],
)
def test_wrong_settings_of_mining_are_refused(settings, message):
    given = {"source_text": ["a.txt"], "target_text": ["b.txt"], "model": "m", "target_language": "id"}
    with pytest.raises(ValueError, match=message):
        MineArguments(**{**given, **settings})


def test_a_threshold_that_no_pair_reaches_is_an_error_with_the_best_score(folder, model):
    with pytest.raises(ValueError, match=r"No pair has a score of `min_score`, 99\.0; the best has \d\.\d{3}"):
        mined(folder, model, min_score=99.0)
    assert not (folder / "out/mined.parquet").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target_language": "eng"}, "`source_language` and `target_language` must differ"),
        ({"output": "afile/m.parquet"}, "the folder of `output` must be a folder, got afile, but afile is a file"),
        ({"output": "out.parquet"}, "`output` must be a file, got 'out.parquet', which is a folder"),
    ],
)
def test_what_is_wrong_of_the_output_or_the_languages_is_found_before_a_text_is_read(
    folder, settings, message, monkeypatch
):
    monkeypatch.chdir(folder)
    (folder / "afile").write_text("A file.", encoding="utf-8")
    (folder / "out.parquet").mkdir()
    given = {"source_text": "none.txt", "target_text": "none.txt", "model": "none", "target_language": "id"}
    with pytest.raises(ValueError, match=message):
        mine(MineArguments(**{**given, **settings}))


def test_a_text_of_empty_lines_is_refused_by_name(folder, model):
    (folder / "en.txt").write_text("\n\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"There is no sentence in .*en\.txt"):
        mined(folder, model)


def test_the_mine_command_reads_a_settings_file(folder, model):
    settings = {"source_text": ["en.txt"], "target_text": ["id.txt"], "model": model, "target_language": "id"}
    (folder / "mine.yaml").write_text(yaml.safe_dump({**settings, "min_score": 1.01}), encoding="utf-8")
    command = [sys.executable, "-m", "sensia", "mine", "--config", "mine.yaml"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT), "PATH": ""}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "mined.parquet: 80 pairs" in done.stdout


@pytest.fixture
def documents(tmp_path):
    """Ten documents of eight sentences, in which each source has its translation; the last two of each side differ."""
    pairs = list(translations())
    for side, code in enumerate(("en", "id")):
        (tmp_path / code).mkdir()
        for number in range(10):
            lines = [pair[side] for pair in pairs[8 * number : 8 * number + 8]]
            name = f"{number if number < 8 else number + 2 * side}.{code}.txt"
            (tmp_path / code / name).write_text("\n".join(reversed(lines) if side else lines), encoding="utf-8")
    return tmp_path


def mined_by_document(folder, model, source, target, **settings):
    paths = {"source_text": str(folder / source), "target_text": str(folder / target)}
    args = MineArguments(
        **paths, model=model, target_language="id", output=str(folder / "mined.parquet"), by_document=True, **settings
    )
    mine(args)
    return {(row["en"], row["id"]) for row in pq.read_table(args.output).to_pylist()}


def test_documents_of_one_name_are_mined(documents, model, capsys):
    assert mined_by_document(documents, model, "en", "id", min_score=1.01) == set(list(translations())[:64])
    assert "8 ids are in both sides, 4 in one of them" in capsys.readouterr().out


def test_documents_of_one_id_are_mined_from_files_with_columns(documents, model):
    pairs = list(translations())
    for side, code in enumerate(("en", "id")):
        rows = [
            {"doc": number, "body": "\n".join(pair[side] for pair in pairs[8 * number : 8 * number + 8])}
            for number in range(3)
        ]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (documents / f"{code}.jsonl").write_text(lines, encoding="utf-8")
    columns = {"text_column": "body", "document_column": "doc"}
    found = mined_by_document(documents, model, "en.jsonl", "id.jsonl", min_score=1.01, **columns)
    assert found == set(pairs[:24])


def test_documents_without_a_common_id_are_refused(documents, model):
    (documents / "other").mkdir()
    (documents / "other/a.txt").write_text("Si kucing.\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"No id is in both sides; the first ids are 0, 1, 2, and a\."):
        mined_by_document(documents, model, "en", "other")


def test_rows_without_an_id_are_refused_with_their_place(documents, model):
    (documents / "en.jsonl").write_text(json.dumps({"text": "A cat.", "id": None}) + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"en.jsonl, line 1: field 'id' must be text or a number, got NoneType"):
        mined_by_document(documents, model, "en.jsonl", "id")
