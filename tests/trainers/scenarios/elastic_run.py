"""A run on ranks that a launcher starts again. The argument is JSON: settings of `sensia_run.build`, and

- `kill_at_steps`: the last rank kills itself after so many steps: at the first after the first start, and so on;
- `pause_at_step`: all ranks stop after so many steps, when the file `pausing` stands in `output_dir`, until it is
  renamed to `paused` or a process group is gone.

Leaves the losses of each step (history.json) and the model (final).
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from transformers import TrainerCallback

from sensia.trainers.command_ends import exit_on_input_error
from sensia.trainers.rank_watch import watch_ranks
from tests.trainers.scenarios.sensia_run import build


class Interruptions(TrainerCallback):
    def __init__(self, kill_at_steps: list[int], pause_at_step: int | None):
        restarts = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
        self.kill_at = kill_at_steps[restarts] if restarts < len(kill_at_steps) else None
        self.pause_at = pause_at_step

    def on_train_begin(self, args, state, control, **kwargs):
        restarts = os.environ["TORCHELASTIC_RESTART_COUNT"]
        print(f"resumed at step {state.global_step} after {restarts} restart", flush=True)

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.kill_at and args.process_index == args.world_size - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        pausing, paused = (Path(args.output_dir, name) for name in ("pausing", "paused"))
        if state.global_step == self.pause_at and not paused.exists():
            pausing.touch()
            while not paused.exists():
                time.sleep(0.05)


def main():
    settings = json.loads(sys.argv[1])
    interruptions = Interruptions(settings.pop("kill_at_steps", []), settings.pop("pause_at_step", None))
    trainer = build(settings)
    trainer.add_callback(interruptions)
    with watch_ranks(trainer.args):
        trainer.train(resume_from_checkpoint=True)
        trainer.save_model(str(trainer.final_folder))
    if trainer.is_world_process_zero():
        history = [entry for entry in trainer.state.log_history if "loss_ctx" in entry]
        (trainer.output_folder / "history.json").write_text(json.dumps(history))


if __name__ == "__main__":
    with exit_on_input_error(Path(__file__).name):
        main()
