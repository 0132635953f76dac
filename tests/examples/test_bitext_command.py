"""`sensia bitext`: from several downloads to one bitext, with its counts, licences and card."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import DatasetCard

from sensia.commands.bitext import BitextArguments, build
from sensia.corpora import read_pairs

ROOT = Path(__file__).resolve().parents[2]
WORDS = [
    "kucing",
    "anjing",
    "rumah",
    "sungai",
    "gunung",
    "kota",
    "desa",
    "pasar",
    "sekolah",
    "kantor",
    "kebun",
    "jalan",
]
ENGLISH = [
    "cat",
    "dog",
    "house",
    "river",
    "mountain",
    "city",
    "village",
    "market",
    "school",
    "office",
    "garden",
    "road",
]


def pairs(number=60):
    """Sentences of which no two share eight words in a row."""
    found = []
    for first in range(12):
        for second in range(12):
            source = f"The {ENGLISH[first]} is near a {ENGLISH[second]}."
            found.append((source, f"{WORDS[first].title()} itu dekat {WORDS[second]}."))
    return found[:number]


@pytest.fixture
def folder(tmp_path):
    rows = pairs()
    lines = "".join(f"{source}\t{target}\n" for source, target in rows[:40])
    (tmp_path / "one.tsv").write_text(f"en\tid\n{lines}Copied text of it.\tCopied text of it.\n", encoding="utf-8")
    for side, code in enumerate(("en", "id")):
        text = "".join(f"{pair[side]}\n" for pair in rows[30:])
        (tmp_path / f"two.{code}").write_text(text, encoding="utf-8")
    held_out = json.dumps({"en": rows[0][0], "id": "Kalimat lain sama sekali."})
    (tmp_path / "dev.jsonl").write_text(f"{held_out}\n", encoding="utf-8")
    return tmp_path


def arguments(folder, **settings):
    sources = [
        {"path": "one.tsv", "license": "cc-by-4.0", "attribution": "Someone."},
        {"path": "two.{lang}", "name": "two"},
    ]
    given = {"sources": sources, "target_language": "id", "data": str(folder), "output_dir": str(folder / "out")}
    return BitextArguments(**{**given, "dev_pairs": 5, **settings})


def built(folder, **settings):
    args = arguments(folder, **settings)
    build(args)
    return Path(args.output_dir)


def read(path):
    table = read_pairs(str(path), source_language="en", target_language="id")
    return list(zip(table["source"], table["target"], strict=True))


def test_every_pair_is_there_once(folder):
    output = built(folder)
    train, dev = read(output / "train.parquet"), read(output / "dev.parquet")
    assert len(dev) == 5 and sorted(train + dev) == sorted(pairs())


def test_pairs_that_resemble_held_out_text_are_left_out(folder):
    output = built(folder, held_out=["dev.jsonl"])
    found = read(output / "train.parquet") + read(output / "dev.parquet")
    assert sorted(found) == sorted(pairs()[1:])


def test_the_card_counts_what_each_step_dropped_with_examples(folder):
    card = DatasetCard.load(built(folder) / "README.md")
    assert card.data.language == ["en", "id"]
    assert "| one.tsv | cc-by-4.0 | 41 | 0 | 40 |" in card.text
    assert "| two | unknown | 30 | 0 | 20 |" in card.text
    assert "| copied | 1 |" in card.text and "Copied text of it. / Copied text of it." in card.text
    assert "| duplicates | 10 |" in card.text


def test_licences_and_attributions_are_kept_for_cards_of_models(folder):
    output = built(folder)
    listing = json.loads((output / "sources.json").read_text(encoding="utf-8"))
    assert listing["train.parquet"]["license"] == "cc-by-4.0 AND unknown"
    assert "- **one.tsv** (one.tsv): cc-by-4.0. Someone." in (output / "NOTICE.md").read_text(encoding="utf-8")


def test_the_same_settings_give_the_same_bytes(folder):
    first = {path.name: path.read_bytes() for path in built(folder).glob("[!.]*")}
    second = {
        path.name: path.read_bytes() for path in built(folder, output_dir=str(folder / "again/out")).glob("[!.]*")
    }
    assert first == second and len(first) == 5


def test_what_is_made_of_a_source_is_not_made_again(folder, capsys):
    built(folder)
    assert capsys.readouterr().out.count("Reading") == 2
    built(folder)
    assert "Reading" not in capsys.readouterr().out
    (folder / "one.tsv").write_text("en\tid\nA new text.\tTeks baru.\n", encoding="utf-8")
    built(folder)
    assert capsys.readouterr().out.count("Reading one.tsv") == 1


def test_a_step_can_be_left_out(folder):
    output = built(folder, skip=["copied", "duplicates", "repeated"])
    assert len(read(output / "train.parquet")) + 5 == 41 + 30


def test_one_corpus_of_a_mixture_is_taken(folder):
    lines = [
        json.dumps({"translation": {"en": en, "id": other}, "source": "odd" if number % 2 else "even"}) + "\n"
        for number, (en, other) in enumerate(pairs(40))
    ]
    (folder / "mixed.jsonl").write_text("".join(lines), encoding="utf-8")
    source = {
        "path": "mixed.jsonl",
        "name": "odd ones",
        "origin": "odd",
        "domain": "towns",
        "attribution": "Someone.",
    }
    output = built(folder, sources=[source], dev_pairs=0)
    assert read(output / "train.parquet") == pairs(40)[1::2]
    (told,) = json.loads((output / "sources.json").read_text(encoding="utf-8"))["train.parquet"]["sources"]
    assert told == {"name": "odd ones", "rows": 20, "license": "unknown", "origin": "Someone.", "domain": "towns"}


def test_a_corpus_cannot_be_taken_from_data_that_names_none(folder):
    with pytest.raises(ValueError, match=r"entry 'one\.tsv': `origin` needs a column `origin`"):
        built(folder, sources=[{"path": "one.tsv", "origin": "odd"}])


@pytest.mark.parametrize(
    ("licences", "hub"),
    [
        (("CC BY 4.0", "cc-by-4.0"), "cc-by-4.0"),
        (("PSF-2.0 AND CC0-1.0", "CC0-1.0"), "other"),
        (("PSF-2.0", "PSF-2.0"), "other"),
        ((None, None), "unknown"),
    ],
)
def test_the_card_has_one_licence_that_the_hub_knows(folder, licences, hub):
    names = ("one.tsv", "two.{lang}")
    sources = [{"path": name, "license": each} for name, each in zip(names, licences, strict=True)]
    assert DatasetCard.load(built(folder, sources=sources) / "README.md").data.license == hub


def test_a_licence_that_nobody_knows_is_refused(folder):
    with pytest.raises(ValueError, match="`license` must be a licence that the Hub knows"):
        arguments(folder, sources=[{"path": "one.tsv", "license": "MIT AND mine"}])


def test_columns_have_the_names_of_the_languages(folder):
    assert pq.read_schema(built(folder) / "train.parquet").names == ["en", "id", "origin"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"skip": ["copyed"]}, "`skip`: there is no step `copyed`. Did you mean `copied`"),
        ({"sources": []}, "`sources` names no bitext"),
        ({"sources": [{"path": "a.tsv"}, {"path": "x/a.tsv"}]}, "The names of `sources` must differ"),
        ({"sources": [{"path": "a.tsv", "licence": "mit"}]}, "unknown key `licence` .* Did you mean `license`"),
        ({"dev_pairs": -1}, "`dev_pairs` must be 0 or more"),
        ({"max_ratio": 1.0}, "`max_ratio` must be above 1"),
        ({"max_pairs": 1}, "`max_pairs` is divided over the sources, so it must be at least 2"),
        ({"min_characters": 9, "max_characters": 8}, "`min_characters` must be at most `max_characters`, got 9 and 8"),
        ({"data": "no/folder"}, "`data` must be a folder that is there, got 'no/folder'"),
        ({"target_language": "eng"}, "`source_language` and `target_language` must differ, got 'en' and 'eng'"),
        ({"push_to": "not a name"}, "`push_to` must be a name as org/name, got 'not a name'"),
        ({"name": "two\nlines"}, "`name` must be a name, one line of text"),
        (
            {"sources": [{"path": "a.tsv", "license": "free"}]},
            "set `license` to other and say which one in `attribution`",
        ),
    ],
)
def test_wrong_settings_are_refused_by_name(folder, settings, message):
    with pytest.raises(ValueError, match=message):
        arguments(folder, **settings)


def test_held_out_parts_that_leave_too_little_are_refused(folder):
    with pytest.raises(ValueError, match=r"held-out parts of 40 \(dev\) pairs leave less than half of 60 pairs"):
        built(folder, dev_pairs=40)


def test_the_command_reads_a_settings_file(folder):
    settings = {
        "sources": ["one.tsv"],
        "target_language": "id",
        "data": str(folder),
        "output_dir": "made",
        "dev_pairs": 0,
    }
    (folder / "b.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    command = [sys.executable, "-m", "sensia", "bitext", "--config", str(folder / "b.yaml")]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT), "PATH": ""}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(read(folder / "made/train.parquet")) == 40 and not (folder / "made/dev.parquet").exists()


def test_a_broken_row_ends_the_build_with_its_place_or_is_dropped_and_counted(folder):
    with (folder / "one.tsv").open("a", encoding="utf-8") as file:
        file.write("A row of three cells.\tSebuah baris.\tTiga.\n")
    for on_bad_rows in (None, "stop"):
        with pytest.raises(ValueError, match=r"one.tsv, line 43: 3 cells where the first row has 2"):
            built(folder, on_bad_rows=on_bad_rows)
    output = built(folder, on_bad_rows="drop")
    assert len(read(output / "train.parquet")) + 5 == 60
    assert "| empty | 1 |" in DatasetCard.load(output / "README.md").text


def test_a_side_without_text_ends_the_build_only_if_asked_to(folder):
    row = json.dumps({"en": "A house.", "id": ""}) + "\n"
    rows = [json.dumps({"en": en, "id": other}) + "\n" for en, other in pairs(20)]
    (folder / "gaps.jsonl").write_text("".join([*rows, row]), encoding="utf-8")
    assert len(read(built(folder, sources=["gaps.jsonl"], dev_pairs=0) / "train.parquet")) == 20
    with pytest.raises(ValueError, match=r"gaps.jsonl, line 21: field 'id' is empty"):
        built(folder, sources=["gaps.jsonl"], dev_pairs=0, on_bad_rows="stop")


def test_held_out_text_is_found_whatever_its_numbers_are(folder):
    held_out = {"en": "In 2020 the old town by the river had many small shops.", "id": "Kota."}
    near = {"en": "In 1998 the old town by the river had many small shops.", "id": "Pada tahun 1998 kota itu ramai."}
    (folder / "dev.jsonl").write_text(json.dumps(held_out) + "\n", encoding="utf-8")
    (folder / "new.jsonl").write_text(json.dumps(near) + "\n", encoding="utf-8")
    output = built(folder, sources=["one.tsv", "new.jsonl"], held_out=["dev.jsonl"], dev_pairs=0)
    assert len(read(output / "train.parquet")) == 40


def sentences():
    """Pairs that are long enough to tell their languages."""
    return [
        (f"{source[:-1]} where the children are playing today.", f"{target[:-1]} di mana anak-anak sedang bermain.")
        for source, target in pairs(30)
    ]


def write_sides(path, rows, names="en\tid"):
    path.write_text("".join([f"{names}\n", *(f"{one}\t{other}\n" for one, other in rows)]), encoding="utf-8")


def test_swapped_pairs_are_swapped_back_and_are_then_duplicates_of_earlier_ones(folder):
    rows = sentences()
    write_sides(folder / "one.tsv", rows[:20])
    write_sides(folder / "three.tsv", [(target, source) for source, target in rows[10:13]] + rows[13:])
    output = built(folder, sources=["one.tsv", "three.tsv"], dev_pairs=0, skip=["repeated"])
    assert read(output / "train.parquet") == rows
    card = DatasetCard.load(output / "README.md").text
    example = f"{rows[10][1]} / {rows[10][0]}"
    assert "| three.tsv | 3 | " in card and example[:40] in card and "as a whole" not in card
    assert "| duplicates | 10 |" in card


def test_a_file_that_is_swapped_as_a_whole_is_named_in_one_line(folder, capsys):
    write_sides(folder / "one.tsv", sentences(), "id\ten")
    output = built(folder, sources=["one.tsv"], dev_pairs=0)
    assert read(output / "train.parquet") == sentences()
    line = "one.tsv is swapped as a whole: 30 of the 30 pairs whose languages are clear"
    assert [line in each for each in capsys.readouterr().out.splitlines()].count(True) == 1
    assert line in DatasetCard.load(output / "README.md").text


def test_a_build_that_was_stopped_gives_the_same_bytes(folder):
    sides = [(target, source) for source, target in sentences()]
    write_sides(folder / "one.tsv", sides)
    command = [sys.executable, "-m", "sensia", "bitext", "--sources", "one.tsv", "pipe.tsv", "--target_language", "id"]
    command += ["--data", str(folder), "--output_dir", str(folder / "out"), "--dev_pairs", "5"]
    os.mkfifo(folder / "pipe.tsv")  # the build waits here for rows, until it is killed
    killed = subprocess.Popen(command, cwd=folder, env={"PYTHONPATH": str(ROOT), "PATH": ""})
    while not list(folder.glob("out/.sources/*.json")):
        assert killed.poll() is None
        time.sleep(0.1)
    killed.kill()
    killed.wait()
    (folder / "pipe.tsv").unlink()
    write_sides(folder / "pipe.tsv", pairs())
    given = {"sources": ["one.tsv", "pipe.tsv"]}
    first = {path.name: path.read_bytes() for path in built(folder, **given).glob("[!.]*")}
    again = built(folder, **given, output_dir=str(folder / "again/out"))
    assert first == {path.name: path.read_bytes() for path in again.glob("[!.]*")}


@pytest.mark.parametrize(
    ("source", "changed"), [("two.{lang}", "two.id"), ("two.en", "two.id"), ("more", "more/a.tsv")]
)
def test_a_source_of_several_files_is_read_again_when_one_has_changed(folder, source, changed, capsys):
    (folder / "more").mkdir()
    write_sides(folder / "more/a.tsv", pairs(20))
    built(folder, sources=[source], dev_pairs=0)
    text = (folder / changed).read_text(encoding="utf-8")
    (folder / changed).write_text(text.replace("anjing", "burung"), encoding="utf-8")
    assert "burung" in str(read(built(folder, sources=[source], dev_pairs=0) / "train.parquet"))


def test_another_language_is_not_built_from_what_was_made_for_the_last_one(folder, capsys):
    source = {"path": "one.tsv", "columns": ["en", "id"]}
    built(folder, sources=[source])
    built(folder, sources=[source], target_language="jv")
    assert capsys.readouterr().out.count("Reading one.tsv") == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"held_out": ["no/dev.jsonl"]}, r"no such file or folder: /.*/no/dev\.jsonl"),
        ({"output_dir": "afile/out"}, "`output_dir` must be a folder, got afile/out, but afile is a file"),
        ({"output_dir": "/proc/self/out"}, "`output_dir` /proc/self/out cannot be written to"),
    ],
)
def test_what_is_wrong_elsewhere_is_found_before_a_source_is_read(folder, settings, message, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    (folder / "afile").write_text("A file.", encoding="utf-8")
    with pytest.raises((ValueError, OSError), match=message):
        built(folder, **settings)
    assert "Reading" not in capsys.readouterr().out


@pytest.mark.parametrize("setting", ["origin", "min_score"])
def test_a_column_that_is_not_there_is_told_with_the_source_that_lacks_it(folder, setting):
    lacking = {"path": "two.{lang}", setting: "odd" if setting == "origin" else 1.0}
    with pytest.raises(ValueError, match=r"entry 'two.\{lang\}': `" + setting + "` needs a column"):
        built(folder, sources=["one.tsv", lacking])


def test_quotation_marks_of_a_table_are_read_as_asked_for(folder):
    rows = [(f'"{source}"', f'"{target}"') for source, target in pairs(20)]
    write_sides(folder / "quoted.tsv", rows)
    for quoting, expected in (("quoted", pairs(20)), ("plain", rows)):
        output = built(folder, sources=["quoted.tsv"], dev_pairs=0, tsv_quoting=quoting)
        assert pq.read_table(output / "train.parquet")["en"].to_pylist() == [source for source, _ in expected]


def test_columns_of_a_table_without_names_are_chosen_by_number(folder):
    lines = [f"A remark on it.\t{source}\tAnother remark.\t{target}\n" for source, target in pairs(20)]
    (folder / "four.tsv").write_text("".join(lines), encoding="utf-8")
    output = built(folder, sources=[{"path": "four.tsv", "columns": [2, 4]}], dev_pairs=0)
    assert read(output / "train.parquet") == pairs(20)
