"""Late processes are told by how many collective operations each has begun."""

import json

from sensia.trainers.rank_watch import _Waiting


def signs(*begun):
    return {rank: json.dumps([0, number, f"place {rank}"]) for rank, number in enumerate(begun)}


def late_after(waiting, begun, seconds, patience=1800.0):
    found = None
    for second in range(seconds + 1):
        found = found or waiting.late(signs(*begun), float(second), patience)
    return found


def test_the_process_that_has_begun_less_is_late():
    assert late_after(_Waiting(), (7, 6, 7), 40, patience=40)[0] == 1


def test_the_reason_says_how_long_and_where():
    _, why = late_after(_Waiting(), (7, 6, 7), 40, patience=40)
    assert why == "kept the others waiting for 40 seconds (`ddp_timeout`) in place 1."


def test_processes_that_have_begun_as_much_wait_for_nobody():
    assert late_after(_Waiting(), (7, 7, 7), 100, patience=40) is None


def test_waiting_begins_anew_when_something_moved():
    waiting = _Waiting()
    assert late_after(waiting, (7, 6), 39, patience=40) is None
    assert waiting.late(signs(8, 7), 40.0, 40) is None
    assert waiting.late(signs(8, 7), 79.0, 40) is None
    assert waiting.late(signs(8, 7), 80.0, 40)[0] == 1


def test_a_process_that_is_done_keeps_nobody_waiting():
    waiting, running = _Waiting(), {**signs(7, 6), 2: "done"}
    assert waiting.late(running, 0.0, 40) is None
    assert waiting.late(running, 40.0, 40)[0] == 1
