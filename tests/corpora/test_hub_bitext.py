"""Public bitext of the Hub, as small copies on a local one: configuration, split and columns are found."""

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
PAIRS = [["Yes.", "Ya."], ["No.", "Tidak."], ["Come in.", "Silakan masuk."]]
REVERSED = [pair[::-1] for pair in PAIRS]
HINDI = [["Yes.", "हाँ।"], ["No.", "नहीं।"], ["Come in.", "अंदर आइए।"]]
FLORES = [PAIRS[0], PAIRS[2]]  # the second sentence has no partner


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    path = os.pathsep.join(filter(None, [str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH")]))
    script = Path(__file__).with_name("hub_bitext_session.py")
    command = [sys.executable, str(script), str(tmp_path_factory.mktemp("hub"))]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULTS "))
    return json.loads(line.removeprefix("RESULTS "))


@pytest.mark.parametrize(
    ("case", "pairs"),
    [
        ("opus-100", PAIRS),
        ("opus-100, languages the other way", REVERSED),
        ("opus-100, other codes", PAIRS),
        ("flores", FLORES),
        ("flores streamed", FLORES),
        ("flores reversed", [pair[::-1] for pair in FLORES[::-1]]),
        ("flores by name", FLORES),
        ("flores, a variant", [["Yes.", "Iya."], ["No.", "Ora."]]),
        ("ntrex", PAIRS),
        ("ntrex, Persian", [["Yes.", "بله."], ["No.", "نه."], ["Come in.", "بفرمایید."]]),
        ("ntrex, Dari", [["Yes.", "بلی."], ["No.", "نی."], ["Come in.", "بیایید."]]),
        ("flores mining", PAIRS),
        ("tatoeba mining", PAIRS),
        ("tatoeba mining streamed", PAIRS),
        ("tatoeba", PAIRS),
        ("talks", PAIRS),
        ("talks reversed", REVERSED),
        ("ccmatrix", PAIRS),
        ("nllb subset", PAIRS),
        ("samanantar", HINDI),
        ("bpcc", HINDI),
        ("in22", HINDI),
    ],
)
def test_a_public_data_set_is_read_by_its_name_and_the_languages(outcomes, case, pairs):
    assert outcomes[case] == pairs


@pytest.mark.parametrize("name", ["en-id", "id-en", "eng_Latn-ind_Latn", "ind-eng", "en_id"])
def test_the_name_of_a_configuration_may_have_any_order_and_codes(outcomes, name):
    assert outcomes[f"opus-100 as {name}"] == PAIRS


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("opus-100, no such pair", ["several configurations: en-id, en-it, bn-en"]),
        ("opus-100, another pair named", ["no configuration 'en-sw'", "there is en-id, en-it, bn-en"]),
        ("flores without split", ["several splits (dev, devtest): choose one"]),
        ("tatoeba mining, all pairs", ["rows of several pairs of languages (ind-eng, jav-eng)", "choose"]),
        ("nllb", ["allenai/nllb", "is a script", "not run"]),
        ("bpcc without configuration", ["several configurations: bpcc-seed-latest, daily"]),
        ("an id twice", ["configuration en", "an `id` repeats"]),
        ("no id in common", ["en+id", "no `id` of one language is also one of the other"]),
    ],
)
def test_what_cannot_be_told_is_refused_with_what_there_is(outcomes, case, words):
    error, message = outcomes[case]
    assert error == "ValueError"
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("mteb/NTREX", {"config_name": None, "split": "test", "rows": 3}),
        ("openlanguagedata/flores_plus", {"config_name": "eng_Latn+ind_Latn", "split": "dev", "rows": 2}),
        ("openlanguagedata/flores_plus:devtest", {"config_name": "eng_Latn+ind_Latn", "split": "devtest", "rows": 1}),
        ("mteb/tatoeba-bitext-mining", {"config_name": "ind-eng", "split": "test", "rows": 3}),
        ("mteb/tatoeba-bitext-mining:eng-ind", {"config_name": "ind-eng", "split": "test", "rows": 3}),
        ("Helsinki-NLP/opus-100", {"config_name": "en-id", "split": "test", "rows": 1}),
        ("ai4bharat/IN22-Gen", {"config_name": None, "split": "test", "rows": 3}),
    ],
)
def test_scoring_finds_the_held_out_part_of_the_languages(outcomes, source, part):
    assert outcomes["scored"][source] == part


def test_a_run_finds_the_parts_to_train_and_to_measure_on(outcomes):
    kept = "kept 3 of 3 pairs"
    talks = "sentence-transformers/parallel-sentences-talks"
    assert outcomes["trained"]["sets"] == [
        f"opus-100 (Helsinki-NLP/opus-100, configuration en-id, split train): {kept}",
        f"parallel-sentences-talks ({talks}, configuration en-id, split train): {kept}",
        f"nllb-subset (acme/nllb-subset, configuration eng_Latn-ind_Latn, split train): {kept}",
        f"NTREX (mteb/NTREX, split test (found by its name)): {kept}",
        "FLORES (openlanguagedata/flores_plus, configuration eng_Latn+ind_Latn, split devtest): kept 1 of 1 pairs",
        f"Tatoeba (mteb/tatoeba-bitext-mining, configuration ind-eng, split test (found by its name)): {kept}",
    ]


def test_a_held_out_split_is_trained_on_only_if_it_is_named(outcomes):
    assert "mteb/NTREX: its only split, test, is held out by its name" in outcomes["trained"]["held out"]
