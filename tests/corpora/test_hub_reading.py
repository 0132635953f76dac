"""Data sets of the Hub, read from the local one by the genuine client."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
HAS_HUB = (TESTS / "hubserver").is_dir() or importlib.util.find_spec("hubserver") is not None
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not HAS_HUB, reason="tests/hubserver is not there")]
YES = {"source": "Yes", "target": "Ya"}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    # The root comes first: in tests/ alone, the folder tests/corpora would be taken for the package.
    path = os.pathsep.join(filter(None, [str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, str(Path(__file__).with_name("hub_session.py")), str(tmp_path_factory.mktemp("hub"))]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULTS "))
    return json.loads(line.removeprefix("RESULTS "))


def test_pairs_in_a_translation_column_come_from_the_train_split(outcomes):
    assert outcomes["nested"] == [{**YES, "origin": "tico19"}]


def test_a_stream_gives_the_same_pairs(outcomes):
    assert outcomes["streamed"] == outcomes["nested"]


def test_prompts_are_read_from_loaded_and_streamed_data_alike(outcomes):
    assert outcomes["instructions"] == [{**YES, "source_prompt": "Sure?", "target_prompt": "Yakin?"}]
    assert outcomes["streamed instructions"] == outcomes["instructions"]


def test_another_split_can_be_chosen(outcomes):
    assert [row["source"] for row in outcomes["test split"]] == ["No"]


def test_columns_are_found_by_flores_codes(outcomes):
    assert outcomes["flat"] == [YES, {"source": "", "target": "Tidak"}]


def test_texts_are_read(outcomes):
    assert outcomes["texts"] == ["Satu.", ""]


@pytest.mark.parametrize(
    ("case", "kind", "words"),
    [
        ("no split", "ValueError", ["acme/nested", "dev", "train", "test"]),
        ("no configuration", "ValueError", ["acme/nested", "'none'", "default"]),
        ("no revision", "OSError", ["acme/nested", "Revision 'none'"]),
        ("script", "ValueError", ["acme/script", "is a script", "not run"]),
        ("damaged", "ValueError", ["acme/damaged", "damaged file", "JSON"]),
        ("gated", "OSError", ["acme/gated", "gated data", "hf auth login"]),
        ("missing", "OSError", ["acme/none", "doesn't exist", "local file"]),
    ],
)
def test_a_data_set_that_cannot_be_read_is_refused_with_the_reason(outcomes, case, kind, words):
    assert outcomes[case][0] == kind
    assert [word for word in words if word not in outcomes[case][1]] == []


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("acme/nested", [None, "test", True]),
        ("acme/train-alone:train", [None, "train", False]),
        ("acme/all", [None, "validation", True]),
        ("acme/all:validation[:1]", [None, "validation[:1]", False]),
        ("acme/one-dev", [None, "dev_news", True]),
        ("acme/story", [None, "eval", True]),
        ("acme/pairs:en-id", ["en-id", "devtest", True]),
        ("acme/pairs:en-id:train", ["en-id", "train", False]),
        ("acme/pairs:devtest", ["en-id", "devtest", False]),
    ],
)
def test_evaluation_reads_what_is_held_out_or_asked_for(outcomes, source, part):
    assert outcomes["held out"][source] == part


@pytest.mark.parametrize(
    ("source", "kind", "words"),
    [
        ("acme/train-alone", "ValueError", ["no split whose name says that it is held out: there is train", ":train"]),
        ("acme/all:tset", "ValueError", ["no split 'tset'", "train, validation, test", "did you mean 'test'?"]),
        ("acme/two-devs", "ValueError", ["several splits", "dev_news, dev_chat", "acme/two-devs:default:dev_news"]),
        ("acme/pairs", "ValueError", ["several configurations: en-id, en-sw", "acme/pairs:en-id:SPLIT"]),
        ("acme/pairs:en-sw", "ValueError", ["no split whose name", "acme/pairs:en-sw:train"]),
        ("acme/pairs:en-di:devtest", "ValueError", ["no configuration 'en-di'", "did you mean 'en-id'?"]),
        ("acme/none:test", "OSError", ["acme/none", "Check the name"]),
    ],
)
def test_evaluation_never_falls_back_on_the_train_split(outcomes, source, kind, words):
    error, message = outcomes["held out"][source]
    assert error == kind
    assert all(word in message for word in words), message
    assert "\n" not in message
