"""Instruction sets that are made from the embedded bitext and a package of dialogues."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sensia.corpora import read_instructions, read_pairs
from tests.examples.example_scripts import load_example

ROOT = Path(__file__).resolve().parents[2]
script = load_example("build_instructions")


def build(output, packages):
    """Runs the script where the dialogues are those of a folder, as the package lays them out."""
    command = [sys.executable, str(ROOT / "examples/build_instructions.py"), "--output", str(output)]
    search = os.pathsep.join([str(ROOT), str(packages)])
    environment = {**os.environ, "PYTHONPATH": search, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, "--translations", "50"], env=environment, capture_output=True, text=True, timeout=300
    )


def asked(turns):
    return {turn["content"].lower() for turn in turns if turn["role"] == "user"}


def test_no_held_out_question_is_asked_in_training():
    dialogues = [
        script.as_turns(lines) for number in range(40) for lines in ([f"Apa {number % 20}?", f"Ya {number}"],)
    ]
    dialogues.append(script.as_turns(["Apa 7?", "Ya", "Apa 1?", "Tidak"]))
    train, held_out = script.split_by_question(dialogues)
    learned = {question for turns in train for question in asked(turns)}
    assert held_out and not any(learned & asked(turns) for turns in held_out)
    assert len(train) == 36  # of 20 questions the 8th and the 16th are held out


def test_a_last_line_without_an_answer_is_left_out():
    turns = script.as_turns(["Halo", "Hai", "Apa kabar?"])
    assert turns == [{"role": "user", "content": "Halo"}, {"role": "assistant", "content": "Hai"}]


@pytest.mark.slow
def test_the_files_are_read_as_instructions_and_their_licences_stand_beside_them(tmp_path):
    folder = tmp_path / "site" / "chatterbot_corpus" / "data" / "indonesian"
    folder.mkdir(parents=True)
    (folder.parents[1] / "__init__.py").touch()
    lines = "\n".join(f"- - Apa {number}?\n  - Ya {number}" for number in range(16))
    (folder / "a.yml").write_text(f"categories:\n- a\nconversations:\n{lines}\n")
    done = build(tmp_path / "out", tmp_path / "site")
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "out/sources.json").read_text())
    found = {name: read_instructions(str(tmp_path / "out" / name)) for name in told}
    assert {name: len(rows) for name, rows in found.items()} == {
        "translations.train.jsonl": 50,
        "translations.held-out.jsonl": 10,
        "dialogues.train.jsonl": 14,
        "dialogues.held-out.jsonl": 2,
    }
    assert told["dialogues.train.jsonl"]["license"] == "BSD-3-Clause"
    bitext = read_pairs("examples/assets/bitext/en-id.train.parquet", source_language="en", target_language="id")
    (question, answer) = found["translations.train.jsonl"][0]
    pairs = {f"Terjemahkan ke bahasa Indonesia: {pair['source']}".strip(): pair["target"].strip() for pair in bitext}
    assert pairs[question["content"]] == answer["content"]


def test_a_missing_package_is_named_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "chatterbot_corpus", None)
    with pytest.raises(ValueError, match=r"^The dialogues need the package chatterbot-corpus: pip install"):
        script.dialogues("Indonesian")
