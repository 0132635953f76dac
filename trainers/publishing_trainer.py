"""The stock Trainer with what is saved and published of ours: no pickles, and one commit of named files."""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import CommitInfo, HfApi
from peft import PeftModel
from sensia.trainers.checkpointing_trainer import CheckpointingTrainer
from sensia.trainers.lora import save_adapter, save_merged
from sensia.trainers.publishing import publish, remove_pickled_arguments, stage
from torch import nn
from torch.distributed.fsdp import FSDPModule
from transformers import PreTrainedTokenizerBase
from transformers.trainer_utils import HubStrategy
from transformers.utils import logging
from transformers.utils.hub import PushInProgress

logger = logging.get_logger(__name__)


class PublishingTrainer(CheckpointingTrainer):
    """`transformers.Trainer`, whose pushes are whole commits of a model with its code, tokenizer and card."""

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None):
        folder = Path(output_dir) if output_dir else self.output_folder
        model = self.accelerator.unwrap_model(self.model)
        if isinstance(model, PeftModel) and self.args.should_save:
            self._save_adapted(model, folder, state_dict)
        else:
            with _class_of_ours(model):
                super()._save(output_dir, state_dict)
            remove_pickled_arguments(folder)

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
