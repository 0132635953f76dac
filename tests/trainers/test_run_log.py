"""What a run prints while it trains."""

import io
import json
from types import SimpleNamespace

import pytest

from sensia.trainers.run_log import RunLog, evaluation_rows

LOGS = {
    "loss": 2.0,
    "loss_ctx": 3.5,
    "loss_sns": 3.25,
    "loss_lm": 5.0,
    "learning_rate": 1e-3,
    "phase": 0,
    "weight_ctx": 0.45,
    "weight_sns": 0.55,
    "weight_lm": 0.02,
    "seconds": 20.0,
}
EVALUATION = {"eval_dev_sense_recall@1": 0.5, "eval_dev_bits_per_byte": 2.5, "eval_dev_source_bits_per_byte": 2.25}


def printed(*entries, log_format="text", main=True):
    file = io.StringIO()
    log = RunLog(log_format, ("align", "joint"), pairs_per_step=32, file=file)
    for step, logs in entries:
        state = SimpleNamespace(global_step=step, max_steps=450, is_local_process_zero=main, log_history=[])
        log.on_log(None, state, None, logs=logs)
    return file.getvalue().splitlines()


def test_a_log_is_one_line_with_losses_speed_and_time_left():
    phase, line = printed((10, LOGS))
    assert phase == "phase 'align' begins (weights ctx 0.45, sns 0.55, lm 0.02)"
    assert line == (
        "step  10/450  ctx  3.500  sns  3.250  lm  5.000  lr 1.0e-03    16.0 pairs/s  14:40 left"
    )  # 320 pairs in 20 seconds; 440 steps of 2 seconds


def test_a_phase_is_announced_once():
    lines = printed((10, LOGS), (20, {**LOGS, "seconds": 40.0}), (30, {**LOGS, "phase": 1, "seconds": 60.0}))
    assert [line.split()[1] for line in lines if line.startswith("phase")] == ["'align'", "'joint'"]


def test_an_evaluation_is_a_table_with_a_row_for_each_set():
    lines = printed((90, {**EVALUATION, "eval_news_sense_recall@1": 0.25}))
    assert lines[0].strip() == "evaluation at step 90"
    assert any("dev" in line and "0.500" in line and "2.250" in line for line in lines)
    assert any("news" in line and "0.250" in line for line in lines)


def test_metrics_of_the_source_side_are_not_those_of_the_target():
    assert evaluation_rows(EVALUATION) == {"dev": {"recall@1 sense": 0.5, "bits/byte": 2.5, "bits/byte, source": 2.25}}


def test_machines_get_one_object_a_line():
    (line,) = printed((10, LOGS), log_format="json")
    assert json.loads(line) == {"step": 10, **LOGS}


def test_machines_get_null_for_what_is_no_number():
    (line,) = printed((10, {**LOGS, "loss": float("nan")}), log_format="json")
    assert json.loads(line, parse_constant=pytest.fail)["loss"] is None


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_other_processes_print_nothing(log_format):
    assert printed((10, LOGS), log_format=log_format, main=False) == []
