"""The stock Trainer whose checkpoints are whole or not there."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sensia.trainers.checkpoints import WRITING_FOLDER, finish, newest_checkpoint, rotate, settle
from sensia.trainers.disk_space import checkpoint_bytes, naming_a_full_disk
from torch.optim import Optimizer
from transformers import Trainer, TrainerCallback
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, SchedulerType, TrainOutput


class StepsAsSetNow(TrainerCallback):
    """Lets a resumed run log and save as often as it is told now; the Trainer goes by what the checkpoint was told."""

    def on_train_begin(self, args, state, control, **kwargs):
        state.compute_steps(args, state.max_steps)


class CheckpointingTrainer(Trainer):
    """
    `transformers.Trainer`, except that a checkpoint gets its name when all processes have written their part of it,
    and older ones are deleted after that; see [`checkpoints`].
    """

    _writing = False
    #: Last share of the steps in which `warmup_stable_decay` decays.
    decay_share = 0.2

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.add_callback(StepsAsSetNow())

    def create_scheduler(self, num_training_steps: int, optimizer: Optimizer | None = None):
        """The learning rate's schedule; the decay of `warmup_stable_decay` is a share of the steps, if not given."""
        if self.args.lr_scheduler_type == SchedulerType.WARMUP_STABLE_DECAY:
            decay = {"num_decay_steps": round(self.decay_share * num_training_steps)}
            given: Any = self.args.lr_scheduler_kwargs or {}
            self.args.lr_scheduler_kwargs = {**decay, **given}
        return super().create_scheduler(num_training_steps, optimizer)

    def newest_checkpoint(self) -> str | None:
        """
        The whole checkpoint of the most steps in `output_dir`, or `None`; what a killed process left half-written is
        removed first. Every process must call this.
        """
        if self.args.should_save:
            settle(Path(str(self.args.output_dir)))
        self.accelerator.wait_for_everyone()
        return newest_checkpoint(str(self.args.output_dir))

    def train(self, *args, **kwargs) -> TrainOutput:
        """Trains as `transformers.Trainer` does. Ctrl-C and SIGTERM say how the run is resumed."""
        try:
            return super().train(*args, **kwargs)
        except KeyboardInterrupt as interrupt:
            whole = newest_checkpoint(str(self.args.output_dir))
            resumed = f"goes on from {whole}" if whole else "begins anew: no checkpoint was saved yet (`save_steps`)"
            raise type(interrupt)(f"The same command {resumed}.") from None

    def _save_checkpoint(self, model, trial):
        run, name = Path(self._get_output_dir(trial)), f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        size = checkpoint_bytes(self.args, self.accelerator.unwrap_model(self.model))
        with naming_a_full_disk(name, run, size), _removed_after_an_error(run / WRITING_FOLDER):
            self._save_whole(model, trial, run, name)

    def _save_whole(self, model, trial, run: Path, name: str):
        writing = run / WRITING_FOLDER
        if self.args.should_save:
            shutil.rmtree(writing / name, ignore_errors=True)  # a killed process may have left it
        self.accelerator.wait_for_everyone()
        with self._written_aside():
            super()._save_checkpoint(model, trial)
        self._name_best_checkpoint(run)
        if self.args.should_save:
            self.state.save_to_json(str(writing / name / TRAINER_STATE_NAME))
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            finish(writing / name, run / name)
            rotate(run / name, self.args.save_total_limit, self.state.best_model_checkpoint)
            shutil.rmtree(writing, ignore_errors=True)
        self.accelerator.wait_for_everyone()

    @contextmanager
    def _written_aside(self) -> Iterator[None]:
        self._writing = True
        try:
            yield
        finally:
            self._writing = False

    def _get_output_dir(self, trial) -> str:
        # The Trainer saves, looks for the best checkpoint and rotates in this folder.
        folder = super()._get_output_dir(trial)
        return str(Path(folder, WRITING_FOLDER)) if self._writing else folder

    def _name_best_checkpoint(self, run: Path):
        """The Trainer has looked for it where this checkpoint was written."""
        if self.state.best_global_step:
            best = run / f"{PREFIX_CHECKPOINT_DIR}-{self.state.best_global_step}"
            if best.exists() or self.state.best_global_step == self.state.global_step:
                self.state.best_model_checkpoint = str(best)


@contextmanager
def _removed_after_an_error(folder: Path) -> Iterator[None]:
    """What is half-written would take the room that is missing."""
    try:
        yield
    except Exception:
        shutil.rmtree(folder, ignore_errors=True)
        raise
