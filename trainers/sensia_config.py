"""Every knob of a SENSIA run."""

from dataclasses import dataclass, field

import torch
from transformers import TrainingArguments
from transformers.trainer_utils import HubStrategy

from .schedule import PhaseSchedule

POLISH_FREEZES = ("none", "sense_network", "sense_vectors")


@dataclass
class SensiaConfig(TrainingArguments):
    """
    Arguments of [`SensiaTrainer`]: those of `transformers.TrainingArguments`, with the recipe of SENSIA
    (arXiv 2601.10310) as defaults, and the ones below. See each field's help.

    Raises:
        ValueError: naming the setting that is out of range, or that this trainer cannot honour.
    """

    learning_rate: float = field(default=5e-5, metadata={"help": "Peak learning rate of AdamW."})
    warmup_steps: float = field(default=0.02, metadata={"help": "Warm-up: steps, or below 1 the share of all steps."})
    max_grad_norm: float = field(default=1.0, metadata={"help": "Clip the gradient to this norm; 0 for no clipping."})
    per_device_train_batch_size: int = field(default=64, metadata={"help": "Pairs per device and forward."})
    per_device_eval_batch_size: int = field(default=64, metadata={"help": "Pairs per device in evaluation."})
    label_smoothing_factor: float = field(
        default=0.05, metadata={"help": "Share of each target spread over the vocabulary in the language model loss."}
    )
    dataloader_drop_last: bool = field(
        default=True, metadata={"help": "Drop the last, smaller batch; every process needs equally many pairs."}
    )
    ddp_find_unused_parameters: bool | None = field(
        default=False, metadata={"help": "Not needed: every parameter gets a gradient."}
    )

    schedule: str = field(default="phased", metadata={"help": "Curriculum: phased (cosine ramps) or stepwise."})
    align_share: float = field(default=0.2, metadata={"help": "Share of the steps that the align phase takes."})
    joint_share: float = field(default=0.3, metadata={"help": "Share of the joint phase; polish has the rest."})
    align_weights: list[float] = field(
        default_factory=lambda: [0.45, 0.55, 0.02],
        metadata={"help": "Weights of context InfoNCE, sense InfoNCE and LM loss when align starts."},
    )
    joint_weights: list[float] = field(
        default_factory=lambda: [0.40, 0.40, 0.20], metadata={"help": "The same when joint starts."}
    )
    polish_weights: list[float] = field(
        default_factory=lambda: [0.15, 0.15, 0.70], metadata={"help": "The same in polish."}
    )
    tau_ctx: float = field(default=0.07, metadata={"help": "Temperature of the context InfoNCE."})
    tau_sns: float = field(default=0.05, metadata={"help": "Temperature of the sense InfoNCE."})
    tau_ctx_end: float | None = field(default=None, metadata={"help": "Where tau_ctx moves to during align."})
    tau_sns_end: float | None = field(default=None, metadata={"help": "Where tau_sns moves to during align."})
    tau_pool: float = field(default=0.7, metadata={"help": "Temperature of the mixture in the sense vector."})
    contrastive_batch_size: int | None = field(
        default=None,
        metadata={
            "help": "Pairs of one step, over all processes, that are each other's negatives (gradient caching): a "
            "multiple of per_device_train_batch_size x processes, in whose memory it runs. Sets "
            "gradient_accumulation_steps. Without it, negatives are the pairs of one micro-batch of all processes."
        },
    )
    share_rows: bool = field(
        default=True, metadata={"help": "Put short sentences side by side into one row, so that little is padded."}
    )
    one_way: bool = field(default=False, metadata={"help": "InfoNCE from source to target only, not both ways."})
    polish_freeze: str = field(
        default="sense_network",
        metadata={
            "help": "What polish freezes: sense_network (with the weight network, as the authors do), sense_vectors "
            "(sense network and word embeddings, so the senses really stay) or none."
        },
    )
    collapse_entropy: float = field(
        default=0.05, metadata={"help": "Warn when the mixture's entropy falls under this share of ln K."}
    )

    def __post_init__(self):
        # Each process reads its own part of a stream; dispatching from rank 0 would need equal lengths.
        if not isinstance(self.accelerator_config, str):
            self.accelerator_config = {"dispatch_batches": False, **(self.accelerator_config or {})}
        # The Trainer refuses bf16 on a machine without an accelerator unless the CPU is asked for by name.
        self.use_cpu = self.use_cpu or not torch.accelerator.is_available()
        super().__post_init__()
        self.phase_schedule()
        self._check()
        if self.contrastive_batch_size is not None:
            self.gradient_accumulation_steps = self._micro_batches()

    def phase_schedule(self) -> PhaseSchedule:
        """[`PhaseSchedule`]: the curriculum that these settings describe."""
        return PhaseSchedule(
            name=self.schedule,
            align_share=self.align_share,
            joint_share=self.joint_share,
            align_weights=tuple(self.align_weights),
            joint_weights=tuple(self.joint_weights),
            polish_weights=tuple(self.polish_weights),
            tau_ctx=self.tau_ctx,
            tau_sns=self.tau_sns,
            tau_ctx_end=self.tau_ctx_end,
            tau_sns_end=self.tau_sns_end,
        )

    def _micro_batches(self) -> int:
        """How many micro-batches make a contrastive batch."""
        at_once = self.per_device_train_batch_size * self.world_size
        micro_batches, rest = divmod(int(self.contrastive_batch_size or 0), at_once)
        if micro_batches < 1 or rest:
            raise ValueError(
                "`contrastive_batch_size` must be a multiple of `per_device_train_batch_size` x processes = "
                f"{at_once}, got {self.contrastive_batch_size}."
            )
        if self.gradient_accumulation_steps not in (1, micro_batches):
            raise ValueError(
                f"`contrastive_batch_size` {self.contrastive_batch_size} takes {micro_batches} micro-batches a step; "
                f"leave `gradient_accumulation_steps` out, got {self.gradient_accumulation_steps}."
            )
        return micro_batches

    def _check(self):
        if self.polish_freeze not in POLISH_FREEZES:
            raise ValueError(
                f"`polish_freeze` must be one of {', '.join(POLISH_FREEZES)}, got {self.polish_freeze!r}."
            )
        if self.tau_pool <= 0:
            raise ValueError(f"`tau_pool` must be a positive temperature, got {self.tau_pool}.")
        if not 0 <= self.label_smoothing_factor < 1:
            raise ValueError(f"`label_smoothing_factor` must lie in [0, 1), got {self.label_smoothing_factor}.")
        if not 0 <= self.collapse_entropy < 1:
            raise ValueError(f"`collapse_entropy` must lie in [0, 1), got {self.collapse_entropy}.")
        if not self.dataloader_drop_last:
            raise ValueError("`dataloader_drop_last` must stay true: InfoNCE needs equally many pairs everywhere.")
        if self.hub_strategy in (HubStrategy.CHECKPOINT, HubStrategy.ALL_CHECKPOINTS):
            given = HubStrategy(self.hub_strategy).value
            raise ValueError(f"`hub_strategy={given}` would publish optimizer pickles; use `every_save` or `end`.")
