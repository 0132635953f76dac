"""`score --suite paper` on a local Hub with small copies of the benchmarks."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
HAS_HUB = (TESTS / "hubserver").is_dir() or importlib.util.find_spec("hubserver") is not None
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not HAS_HUB, reason="tests/hubserver is not there")]


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    path = os.pathsep.join(filter(None, [str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH")]))
    script, model = Path(__file__).with_name("paper_hub_session.py"), TESTS.parent / "examples/assets/backpack-en-mini"
    command = [sys.executable, str(script), str(tmp_path_factory.mktemp("hub")), str(model)]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULTS "))
    return json.loads(line.removeprefix("RESULTS "))


def test_swahili_is_measured_on_all_of_the_paper(scored):
    scores = scored["sw"]["scores"]
    assert (scored["sw"]["code"], scores["missing"], scores["not_offered"]) == (0, {}, {})
    read = {name: task["data"][-1].get("config_name") for name, task in scores["tasks"].items()}
    assert read == {
        "perplexity": "swh_Latn",
        "perplexity-source": "eng_Latn",
        "tatoeba": "swh-eng",
        "ntrex": None,
        "xcopa": "sw",
        "xstorycloze": "sw",
        "belebele": "swh_Latn",
        "belebele-answers": "swh_Latn",
        "sib200": "eng_Latn+swh_Latn",
    }
    assert all(task["data"][-1]["hub_id"] for task in scores["tasks"].values())


def test_what_korean_lacks_is_said_and_is_no_error(scored):
    scores = scored["ko"]["scores"]
    assert (scored["ko"]["code"], scores["missing"]) == (0, {})
    assert set(scores["not_offered"]) == {"tatoeba", "xcopa", "xstorycloze"}
    assert "Korean" in scores["not_offered"]["xcopa"] and len(scores["tasks"]) == 6
