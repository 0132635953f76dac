"""Runs on two ranks of which one alone sees a loss that is not finite, in its third step. The argument is a folder."""

import json
import math
import sys
from pathlib import Path

from torch import distributed

from sensia.trainers.command_ends import exit_on_input_error
from tests.trainers.scenarios.sensia_run import Trace, build

SETTINGS = {"per_device_train_batch_size": 4, "max_steps": 4, "polish_freeze": "none", "weight_decay": 0.1}
RUNS = {
    "skip": {"on_nonfinite": "skip"},
    "skip sharded": {"on_nonfinite": "skip", "fsdp": "full_shard", "fsdp_config": {"version": 2}},
    "stop": {"on_nonfinite": "stop"},
}


def train(folder: Path, name: str) -> dict:
    trainer, trace = build({**SETTINGS, **RUNS[name], "output_dir": str(folder / name)}), Trace()
    trainer.add_callback(trace)
    scales, rank = trainer._micro_batch_scales, trainer.args.process_index

    def broken_scales(num_items_in_batch):
        contrastive, lm = scales(num_items_in_batch)
        return (math.inf if rank == 1 and trainer.state.global_step == 2 else contrastive), lm

    trainer._micro_batch_scales = broken_scales
    error = None
    try:
        trainer.train()
    except FloatingPointError as raised:
        error = str(raised)
    sums = [sum(value.double().sum().item() for value in step.values()) for step in trace.parameters]
    return {
        "error": error,
        "steps": trainer.state.global_step,
        "skipped": trainer.nonfinite_steps.skips.total,
        "sums": sums,
    }


def main():
    folder = Path(sys.argv[1])
    found = {name: train(folder, name) for name in RUNS}
    (folder / f"rank_{distributed.get_rank()}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    with exit_on_input_error(Path(__file__).name):
        main()
