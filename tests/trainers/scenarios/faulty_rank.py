"""`sensia adapt` on torchrun's ranks, of which rank 1 has a fault. Arguments: the fault, then options of the command.

- `row`: its copy of the streamed bitext has a broken row (rank 1 reads `broken.jsonl` beside the given file);
- `apart`: its `output_dir` is another folder, `elsewhere` beside the given one, as on a machine that shares none;
- `disk`: its files end after 4096 bytes, from its first checkpoint on, as on a full disk;
- `slow`: it sleeps for a minute before its third step;
- `stopped`: it stops for good before its third step (SIGSTOP), as a machine that is gone;
- `killed`: it is killed before its third step (SIGKILL), the first time that it is started;
- `none`: nothing.
"""

import os
import resource
import signal
import sys
import time
from pathlib import Path

from sensia.commands.adapt import adapt
from sensia.trainers import SensiaConfig, SensiaTrainer, parse_arguments
from sensia.trainers.command_ends import exit_on_input_error
from sensia.trainers.output_folder import claim_output_folder
from sensia.trainers.rank_watch import watch_ranks
from sensia.trainers.run_arguments import AdaptArguments

OTHER_FILES = {"row": ("--train_data", "broken.jsonl"), "apart": ("--output_dir", "elsewhere")}
THIRD_STEP = 2  # steps done before it


class FaultyTrainer(SensiaTrainer):
    fault = "none"

    def training_step(self, *given, **named):
        if self.state.global_step == THIRD_STEP:
            print("third step begins", flush=True)
            take_a_fault(self.fault)
        return super().training_step(*given, **named)

    def _save_rng_state(self, output_dir):
        if self.fault == "disk":
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        super()._save_rng_state(output_dir)


def take_a_fault(fault: str):
    if fault == "slow":
        time.sleep(60)
    if fault == "stopped":
        os.kill(os.getpid(), signal.SIGSTOP)
    if fault == "killed" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        os.kill(os.getpid(), signal.SIGKILL)


def main():
    fault = sys.argv.pop(1) if os.environ["RANK"] == "1" else sys.argv.pop(1) and "none"
    if fault in OTHER_FILES:
        option, name = OTHER_FILES[fault]
        place = sys.argv.index(option) + 1
        sys.argv[place] = str(Path(sys.argv[place]).with_name(name))
    FaultyTrainer.fault = fault
    args, config = parse_arguments(AdaptArguments, SensiaConfig, description=__doc__)
    with watch_ranks(config), claim_output_folder(config):
        adapt(args, config, trainer_type=FaultyTrainer)


if __name__ == "__main__":
    with exit_on_input_error(Path(__file__).name):
        main()
