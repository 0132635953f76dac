"""The shortest proof that two processes train as one: one plain run, which every `make test` makes."""

import json

import pytest

from tests.trainers.scenarios import sensia_run
from tests.trainers.spawning import torchrun
from tests.trainers.test_processes import LOSSES, settings


def test_two_processes_log_the_losses_of_one(tmp_path):
    torchrun(2, "sensia_run.py", json.dumps([settings(tmp_path / "two", "plain", 2)]))
    sensia_run.run(settings(tmp_path / "one", "plain", 1))
    two, one = (json.loads((tmp_path / name / "plain/history.json").read_text())["history"] for name in ("two", "one"))
    assert len(two) == len(one) == 5
    for joined, alone in zip(two, one, strict=True):
        assert [joined[name] for name in LOSSES] == pytest.approx([alone[name] for name in LOSSES], rel=1e-4)
