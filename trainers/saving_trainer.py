"""The stock Trainer, except that checkpoints, models and pushes are whole or not there, and hold no pickles."""

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from huggingface_hub import CommitInfo, HfApi
from peft import PeftModel
from torch import nn
from torch.distributed.fsdp import FSDPModule
from torch.optim import Optimizer
from transformers import PreTrainedTokenizerBase, Trainer, TrainerCallback, TrainerState
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME, TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, HubStrategy, SchedulerType, TrainOutput
from transformers.utils import logging
from transformers.utils.hub import PushInProgress

from sensia.trainers.background_saving import BackgroundSaving, copy_on_cpu, fits_in_memory
from sensia.trainers.checkpoints import (
    WRITING_FOLDER,
    commit_checkpoint,
    newest_checkpoint,
    recover_interrupted,
    rotate,
)
from sensia.trainers.disk_space import checkpoint_bytes, naming_a_full_disk
from sensia.trainers.lora import save_adapter, save_merged
from sensia.trainers.publishing import publish, remove_pickled_arguments, stage

logger = logging.get_logger(__name__)


class StepsAsSetNow(TrainerCallback):
    """Lets a resumed run log and save as often as it is told now; the Trainer goes by what the checkpoint was told."""

    def on_train_begin(self, args, state, control, **kwargs):
        state.compute_steps(args, state.max_steps)


class RaiseErrorsOfSaving(TrainerCallback):
    """Ends the run before the next step when a checkpoint could not be written beside it."""

    def __init__(self, saving: BackgroundSaving):
        self.saving = saving

    def on_step_begin(self, args, state, control, **kwargs):
        self.saving.raise_error()


class SavingTrainer(Trainer):
    """
    `transformers.Trainer`, with other ways to save:

    - A checkpoint gets its name when all processes have written their part of it. Older ones are deleted after that;
      see [`checkpoints`]. Weights and optimizer of a model that is not sharded are copied, where there is memory for
      it, and written from the copy while the training goes on. Every checkpoint is flushed to the disk and gets its
      name beside the training; see [`BackgroundSaving`].
    - A saved model has its code and tokenizer beside it, and no pickle. A push is one commit of named files; see
      [`publish`].
    - The decay of the learning rate schedule `warmup_stable_decay` is a share of the steps, `decay_share`.
    """

    _writing = False
    #: Whether the checkpoint under way is written from copies, beside the training.
    _copies = False
    #: Last share of the steps in which `warmup_stable_decay` decays.
    decay_share = 0.2

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._saving = BackgroundSaving()
        self.add_callback(StepsAsSetNow())
        self.add_callback(RaiseErrorsOfSaving(self._saving))

    def log(self, logs: dict[str, float], start_time: float | None = None):
        """Logs; beside the losses also the seconds of checkpoints, see [`BackgroundSaving`]."""
        super().log({**logs, **self._saving.seconds()} if "loss" in logs else logs, start_time)

    def _finalize_training(self, *args, **kwargs):
        self._saving.wait()
        self.accelerator.wait_for_everyone()  # others may load the best one now
        return super()._finalize_training(*args, **kwargs)

    def create_scheduler(self, num_training_steps: int, optimizer: Optimizer | None = None):
        """The learning rate's schedule; the decay of `warmup_stable_decay` is a share of the steps, if not given."""
        if self.args.lr_scheduler_type != SchedulerType.WARMUP_STABLE_DECAY:
            return super().create_scheduler(num_training_steps, optimizer)
        given: Any = self.args.lr_scheduler_kwargs
        # Only for this call: the number of steps is no setting of the user's.
        self.args.lr_scheduler_kwargs = {
            "num_decay_steps": round(self.decay_share * num_training_steps),
            **(given or {}),
        }
        try:
            return super().create_scheduler(num_training_steps, optimizer)
        finally:
            self.args.lr_scheduler_kwargs = given

    def newest_checkpoint(self) -> str | None:
        """
        The whole checkpoint of the most steps in `output_dir`, or `None`; what a killed process left half-written is
        removed first. Every process must call this.
        """
        if self.args.should_save:
            recover_interrupted(Path(str(self.args.output_dir)))
        self.accelerator.wait_for_everyone()
        return newest_checkpoint(str(self.args.output_dir))

    def train(self, resume_from_checkpoint: str | bool | None = None, **kwargs) -> TrainOutput:  # type: ignore[override]
        """
        Trains as `transformers.Trainer` does. Ctrl-C and SIGTERM say how the run is resumed. A checkpoint of the last
        step is only loaded: the Trainer itself would take one step more.

        Args:
            resume_from_checkpoint (`str` or `bool`, *optional*): a checkpoint, or `True` for the newest whole one.
            kwargs: as in `transformers.Trainer.train`.
        """
        if resume_from_checkpoint is True:
            resume_from_checkpoint = self.newest_checkpoint()
        if resume_from_checkpoint:
            state = TrainerState.load_from_json(str(Path(str(resume_from_checkpoint), TRAINER_STATE_NAME)))
            if state.global_step >= (self.args.max_steps if self.args.max_steps > 0 else state.max_steps):
                self._load_finished(str(resume_from_checkpoint), state)
                return TrainOutput(state.global_step, 0.0, {})
        try:
            output = super().train(resume_from_checkpoint=resume_from_checkpoint, **kwargs)
            self._saving.wait()
            return output
        except KeyboardInterrupt as interrupt:
            self._saving.wait()
            whole = newest_checkpoint(str(self.args.output_dir))
            resumed = f"goes on from {whole}" if whole else "begins anew: no checkpoint was saved yet (`save_steps`)"
            raise type(interrupt)(f"The same command {resumed}.") from None
        except Exception:
            with suppress(Exception):  # the first error is the one to tell
                self._saving.wait()
            raise

    def _load_finished(self, checkpoint: str, state: TrainerState):
        """Loads the checkpoint of a last step, or the best one where the run ended with that."""
        self._load_from_checkpoint(checkpoint)
        self.state = state
        if self.args.load_best_model_at_end and state.best_model_checkpoint:
            state.best_model_checkpoint = str(Path(checkpoint).parent / Path(state.best_model_checkpoint).name)
            self._load_best_model()

    def _save_checkpoint(self, model, trial):
        began = time.monotonic()
        self._saving.wait()  # for the checkpoint before
        run, name = Path(self._get_output_dir(trial)), f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        size = checkpoint_bytes(self.args, self.accelerator.unwrap_model(self.model))
        self._copies = self._writes_copies and fits_in_memory(size)
        with self._cleaned_up(name, run, size):
            self._write_aside(model, trial, run, name)
        best = self.state.best_model_checkpoint

        def finish():
            with self._cleaned_up(name, run, size):
                self._saving.write_deferred()
                if self.args.should_save:
                    self._commit(run, name, best)

        self._saving.start(finish, time.monotonic() - began)

    @contextmanager
    def _cleaned_up(self, name: str, run: Path, size: int) -> Iterator[None]:
        """After an error removes what is half-written, and says where the disk is full."""
        # Only one process removes: the others may still write there, and would fail for a folder that is gone.
        removed = _removed_after_an_error(run / WRITING_FOLDER) if self.args.should_save else nullcontext()
        with naming_a_full_disk(name, run, size), removed:
            try:
                yield
            except BaseException:
                self._saving.drop_deferred()
                raise

    def _write_aside(self, model, trial, run: Path, name: str):
        """Writes all of a checkpoint that all processes have to write, and copies the rest."""
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

    def _commit(self, run: Path, name: str, best: str | None):
        commit_checkpoint(run / WRITING_FOLDER / name, run / name)
        rotate(run / name, self.args.save_total_limit, best)
        shutil.rmtree(run / WRITING_FOLDER, ignore_errors=True)

    @property
    def _writes_copies(self) -> bool:
        """Whether this process alone has weights and optimizer to write: sharded ones are written by all together."""
        return not (self.is_fsdp_enabled or self.is_deepspeed_enabled)

    def _save_optimizer_and_scheduler(self, output_dir: str):
        if not (self._copies and self.args.should_save):
            super()._save_optimizer_and_scheduler(output_dir)
            return
        optimizer, scheduler, folder = cast(Optimizer, self.optimizer), cast(Any, self.lr_scheduler), Path(output_dir)
        state = copy_on_cpu(optimizer.state_dict())
        self._saving.defer(lambda: torch.save(state, folder / OPTIMIZER_NAME))
        torch.save(scheduler.state_dict(), folder / SCHEDULER_NAME)

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

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None):
        folder = Path(output_dir) if output_dir else self.output_folder
        model = self.accelerator.unwrap_model(self.model)
        if isinstance(model, PeftModel) and self.args.should_save:
            self._save_adapted(model, folder, state_dict)
        elif self._writing and self._copies and self.args.should_save:
            folder.mkdir(parents=True, exist_ok=True)
            self._saving.defer(partial(self._save_model, output_dir, copy_on_cpu(model.state_dict())))
        else:
            self._save_model(output_dir, state_dict)

    def _save_model(self, output_dir: str | None, state_dict: dict[str, Any] | None):
        with _class_of_ours(self.accelerator.unwrap_model(self.model)):
            super()._save(output_dir, state_dict)
        remove_pickled_arguments(Path(output_dir) if output_dir else self.output_folder)

    def _save_adapted(self, model: PeftModel, folder: Path, state_dict: dict[str, Any] | None):
        """A checkpoint holds the adapter alone; everywhere else, what is saved is a whole model."""
        save = save_adapter if self._writing else save_merged
        save(model, folder, state_dict)
        if isinstance(self.processing_class, PreTrainedTokenizerBase):
            self.processing_class.save_pretrained(folder)

    def init_hf_repo(self, token: str | None = None, private: bool | None = None):
        """
        Makes sure, when the trainer is made, that the repository exists and may be written to: hours of training later
        would be too late.

        Args:
            token (`str`, *optional*, defaults to `args.hub_token`): token with write permission.
            private (`bool`, *optional*, defaults to `args.hub_private_repo`): for a repository that is created here.

        Raises:
            OSError: if the Hub refuses or cannot be reached.
        """
        try:
            super().init_hf_repo(token, private)
            if self.is_world_process_zero():
                HfApi(token=token or self.args.hub_token).auth_check(str(self.hub_model_id), write=True)
        except Exception as error:
            raise OSError(
                f"Could not open {self.args.hub_model_id or self.args.output_dir} on the Hub: {error}\nCheck the "
                "token (`hf auth whoami`; it needs permission to write), the repository's name and the network."
            ) from error

    def _push_from_checkpoint(self, checkpoint_folder: str):
        if not self.is_world_process_zero() or self.args.hub_strategy == HubStrategy.END:
            return
        if self.push_in_progress is not None and not self.push_in_progress.is_done():
            if not self.args.hub_always_push:
                return
            self._finish_current_push()
        self._saving.write_deferred()
        staged = stage(Path(checkpoint_folder), self.output_folder / "push")
        message = f"Training in progress, step {self.state.global_step}"
        push = self._publish(staged, message, run_as_future=True)
        push.add_done_callback(_warn_of_failed_push)
        self.push_in_progress = PushInProgress([push])  # type: ignore[assignment, arg-type]

    def push_to_hub(  # type: ignore[override]
        self,
        commit_message: str | None = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
    ) -> CommitInfo | Future | None:
        """
        Publishes the model of this run with its code, tokenizer and card in one commit; see [`publish`].

        Args:
            commit_message (`str`, *optional*, defaults to `"End of training"`): message of the commit.
            blocking (`bool`, *optional*, defaults to `True`): wait for the upload.
            token (`str`, *optional*, defaults to `args.hub_token`): token with write permission.
            revision (`str`, *optional*, defaults to `args.hub_revision`): branch to commit to.
            private (`bool`, *optional*, defaults to `args.hub_private_repo`): for a repository that is created here.

        Returns:
            `CommitInfo`, or a `Future` of it; `None` on processes other than the first.
        """
        if self.hub_model_id is None:
            self.init_hf_repo(token, private)
        self.save_model(str(self.final_folder), _internal_call=True)
        if not self.is_world_process_zero():
            return None
        self._finish_current_push()
        message = commit_message or "End of training"
        return self._publish(self.final_folder, message, not blocking, token, revision)

    @property
    def output_folder(self) -> Path:
        """`Path`: where checkpoints and results go."""
        return Path(str(self.args.output_dir))

    @property
    def final_folder(self) -> Path:
        """`Path`: where the adapted model lies when the run is over."""
        return self.output_folder / "final"

    def _publish(self, folder: Path, message: str, run_as_future: bool, token=None, revision=None):
        return publish(
            folder,
            str(self.hub_model_id),
            commit_message=message,
            token=token or self.args.hub_token,
            revision=revision or self.args.hub_revision,
            run_as_future=run_as_future,
        )


@contextmanager
def _removed_after_an_error(folder: Path) -> Iterator[None]:
    """Removes a half-written folder after an error: on a full disk it would take the missing room."""
    try:
        yield
    except Exception:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _warn_of_failed_push(push: Future):
    if not push.cancelled() and (error := push.exception()):
        logger.warning(f"{error}\nTraining goes on; the next save is pushed again.")


@contextmanager
def _class_of_ours(model: nn.Module) -> Iterator[None]:
    """FSDP2 gives a model a class of its own, whose name and code would be saved in place of the model's."""
    given = type(model)
    if issubclass(given, FSDPModule):
        model.__class__ = given.__bases__[-1]
    try:
        yield
    finally:
        model.__class__ = given
