"""Two ranks of which one has a fault: both end within a minute, and the message names the rank and the cause."""

import json
import sys
import time

import pytest

from tests.trainers.spawning import SCENARIOS, free_port, launch

pytestmark = pytest.mark.slow

PAIRS = 120
#: Of each fault: options of the command, and what the ranks say.
FAULTS = {
    "row": (
        {"streaming": True, "shuffle_buffer": 8},
        [
            "rank 1: {folder}/broken.jsonl, line 41: invalid JSON",
            "rank 0: Ended because rank 1 failed: {folder}/broken.jsonl, line 41: invalid JSON",
        ],
    ),
    "disk": (
        {},
        [
            "rank 1: checkpoint-4 could not be saved in {folder}/run: file too large",
            "rank 0: Ended because rank 1 failed: checkpoint-4 could not be saved in {folder}/run: file too large",
        ],
    ),
    "slow": (
        {"ddp_timeout": 32},
        [
            "The other processes have waited for 30 seconds: rank 1 is in take_a_fault (faulty_rank.py",
            "rank 0: Ended because rank 1 kept the others waiting for 32 seconds (`ddp_timeout`) in take_a_fault",
            "rank 1: Ended because this process kept the others waiting for 32 seconds",
        ],
    ),
    "stopped": ({}, ["rank 0: Ended because rank 1 gave no sign of life for 45 seconds."]),
    "apart": (
        {"target_tokenizer": "extend", "new_tokens": 20},
        [
            f"rank {rank}: `output_dir` must be one folder that all machines share; rank 1 does not see in"
            for rank in (0, 1)
        ],
    ),
    "killed": ({}, ["rank 0: Ended because rank 1 is gone: it was killed, or its machine was."]),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory, tokenizer, bitext):
    folder = tmp_path_factory.mktemp("data")
    lines = [json.dumps({"en": row["source"], "id": row["target"]}) for row in bitext.select(range(PAIRS))]
    (folder / "pairs.jsonl").write_text("\n".join(lines))
    (folder / "broken.jsonl").write_text("\n".join([*lines[:40], '{"en": "cut o', *lines[41:]]))
    return folder


def test_machines_that_share_no_output_dir_build_no_base_in_it(data, tmp_path, make_model, tokenizer):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/settings.json").write_text("{}")  # as an earlier attempt has left it
    run_with_a_fault("apart", data, tmp_path, make_model(), tokenizer)
    assert not [*tmp_path.glob("*/base"), *tmp_path.glob("*/.base.writing"), *tmp_path.glob("run/.start-*")]


@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "apart"])
def test_both_ranks_end_and_name_the_one_at_fault(data, tmp_path, make_model, tokenizer, fault):
    run_with_a_fault(fault, data, tmp_path, make_model(), tokenizer)


def run_with_a_fault(fault, data, tmp_path, model, tokenizer):
    options, said = FAULTS[fault]
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    for name in ("pairs.jsonl", "broken.jsonl"):
        (tmp_path / name).symlink_to(data / name)
    settings = {
        "model": tmp_path / "model",
        "train_data": tmp_path / "pairs.jsonl",
        "target_language": "id",
        "output_dir": tmp_path / "run",
        "max_steps": 6,
        "per_device_train_batch_size": 4,
        "save_steps": 4,
        "max_length": 64,
        "use_cpu": True,
        "report_to": "none",
        **options,
    }
    words = [word for name, value in settings.items() for word in (f"--{name}", value)]
    where = ("--master_addr", "127.0.0.1", "--master_port", free_port(), "--nproc_per_node", 2)
    started = launch(
        sys.executable, "-m", "torch.distributed.run", *where, SCENARIOS / "faulty_rank.py", fault, *words
    )
    output, named_at, began = "", {}, None
    for line in started.stdout:
        output += line
        named_at |= {each: time.monotonic() for each in said if each.format(folder=tmp_path) in line}
        if "third step begins" in line:
            began = time.monotonic()
    assert started.wait(timeout=60) == 1, output[-6000:]
    assert set(named_at) == set(said), output[-6000:]
    assert began is None or max(named_at.values()) - began < 60  # of the faults in a step; a start may take long
    assert 'Traceback (most recent call last):\n  File "' + str(SCENARIOS) not in output
    assert "[rank0]: Traceback" not in output, output[-6000:]
