"""Every knob of a SENSIA run."""

import json
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

import torch
from accelerate.utils import parse_flag_from_env
from transformers import TrainingArguments
from transformers.trainer_utils import HubStrategy, IntervalStrategy, SchedulerType
from transformers.utils import logging

from sensia.trainers.renamed_settings import accepts_old_names
from sensia.trainers.run_log import LOG_FORMATS
from sensia.trainers.schedule import SCHEDULES, Phase, PhaseSchedule
from sensia.trainers.setting_ranges import check_counts, check_not_negative, check_positive, check_shares

logger = logging.get_logger(__name__)

_ADAPTIVE = ("adaptive_patience", "adaptive_min_delta", "adaptive_bounds")
_TAU_END = (
    "Value to which {} moves during the first phase. Cosine: over the whole run. Adaptive: at once, when align ends."
)

_DECAY_SHARE = 0.2

POLISH_FREEZES = ("none", "sense_network", "sense_vectors")
ON_NONFINITE = ("stop", "skip")
SOURCE_ENCODERS = ("model", "base")


@accepts_old_names
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

    schedule: str = field(
        default="phased",
        metadata={
            "help": "Curriculum. phased: cosine ramps from phase to phase. stepwise: each phase holds its weights. "
            "cosine: one ramp from align_weights to polish_weights, without phases or freezing. adaptive: as "
            "stepwise, but align and joint end when held-out recall stops rising. fade: a tenth of the run to align, "
            "then towards the language model loss alone; more fluent than phased, with less recall. constant: "
            "joint_weights for the whole run, not divided by their sum; nothing freezes. custom: see phases."
        },
    )
    phases: list[dict[str, Any]] | str | None = field(
        default=None,
        metadata={
            "help": "Phases of schedule custom. Each has name, share of all steps and weights. It may have "
            "end_weights, to which the weights move by half-cosine, and freeze; true freezes what polish_freeze "
            "says. On the command line they are written in JSON."
        },
    )
    adaptive_patience: int = field(
        default=2,
        metadata={"help": "Schedule adaptive: evaluations in a row without a rise of recall that end a phase."},
    )
    adaptive_min_delta: float = field(
        default=0.005, metadata={"help": "Schedule adaptive: a rise of recall counts only if it is larger than this."}
    )
    adaptive_bounds: list[float] = field(
        default_factory=lambda: [0.05, 0.4],
        metadata={"help": "Schedule adaptive: shortest and longest share of all steps, of align and of joint each."},
    )
    align_share: float = field(default=0.2, metadata={"help": "Share of the steps that the align phase takes."})
    joint_share: float = field(default=0.3, metadata={"help": "Share of the joint phase; polish has the rest."})
    align_weights: list[float] = field(
        default_factory=lambda: [0.45, 0.55, 0.02],
        metadata={"help": "Weights of context InfoNCE, sense InfoNCE and LM loss when align starts."},
    )
    joint_weights: list[float] = field(
        default_factory=lambda: [0.40, 0.40, 0.20],
        metadata={"help": "The same when joint starts. Schedule constant: for the whole run."},
    )
    polish_weights: list[float] = field(
        default_factory=lambda: [0.15, 0.15, 0.70], metadata={"help": "The same in polish."}
    )
    tau_ctx: float = field(default=0.07, metadata={"help": "Temperature of the context InfoNCE."})
    tau_sns: float = field(default=0.05, metadata={"help": "Temperature of the sense InfoNCE."})
    tau_ctx_end: float | None = field(default=None, metadata={"help": _TAU_END.format("tau_ctx")})
    tau_sns_end: float | None = field(default=None, metadata={"help": _TAU_END.format("tau_sns")})
    tau_pool: float = field(default=0.7, metadata={"help": "Temperature of the mixture in the sense vector."})
    contrastive_batch_size: int | None = field(
        default=None,
        metadata={
            "help": "Number of pairs of one step, over all processes, that are each other's negatives (gradient "
            "caching). A multiple of per_device_train_batch_size x processes; it needs no more memory than that. It "
            "sets gradient_accumulation_steps. If not given, negatives are the pairs of one micro-batch of all "
            "processes."
        },
    )
    packing: bool = field(
        default=True, metadata={"help": "Put several short sentences into one row, so that there is little padding."}
    )
    batches_per_window: int = field(
        default=50,
        metadata={
            "help": "So many steps are sorted by length together, so that there is little padding. 1 does not sort."
        },
    )
    text_rate: float = field(
        default=0.0,
        metadata={
            "help": "Texts and instruction pairs (see text_data, instruction_data) that the language model loss gets "
            "for each pair; 0 for none."
        },
    )
    source_lm_weight: float = field(
        default=0.0,
        metadata={
            "help": "How much a token of the source language counts in the language model loss, where a target token "
            "counts 1; 0 for not at all. 1 keeps the source language, at little cost for the target."
        },
    )
    source_kl_weight: float = field(
        default=0.0,
        metadata={
            "help": "Weight of a loss that keeps the source language: the KL divergence of the model from the model "
            "before training, on tokens of the source language; 0 for none. 1 keeps it better than source_lm_weight "
            "does, but a second copy of the model is held in memory."
        },
    )
    source_encoder: str = field(
        default="model",
        metadata={
            "help": "Whose vectors the source sentences have in both InfoNCE terms. model: those of the model that "
            "learns, so that both languages move towards each other. base: those of the model before training, which "
            "do not move, so that only the target language moves. base holds a second copy of the model in memory; "
            "source_kl_weight uses the same copy.",
            "choices": SOURCE_ENCODERS,
        },
    )
    project_conflicts: bool = field(
        default=False,
        metadata={
            "help": "Where the gradient of the InfoNCE terms of sentences conflicts with that of the language model "
            "loss (and of source_kl_weight), leave the conflicting component out of it (PCGrad). It is done token by "
            "token, at the contributions of the senses."
        },
    )
    word_alignment_weight: float = field(
        default=0.0,
        metadata={
            "help": "Weight of an InfoNCE term, with temperature tau_sns, on the sense vectors of words that a "
            "statistical aligner links in the bitext; 0 for none. It finds translations of single words; see "
            "docs/senses.md. Needs the extra `align`."
        },
    )
    decay_share: float = field(
        default=_DECAY_SHARE,
        metadata={
            "help": "Last share of the steps, in which the rate of lr_scheduler_type warmup_stable_decay falls."
        },
    )
    log_format: str = field(
        default="text",
        metadata={
            "help": "What is printed while training: text for people, or json with one object a line for programs.",
            "choices": LOG_FORMATS,
        },
    )
    keep_freed_memory: bool = field(
        default=True,
        metadata={
            "help": "On a CPU with glibc: keep up to 1 GiB of freed memory for the next step. This takes less "
            "processor time than giving it back to the system."
        },
    )
    one_way: bool = field(default=False, metadata={"help": "InfoNCE from source to target only, not both ways."})
    polish_freeze: str = field(
        default="sense_network",
        metadata={
            "help": "What polish freezes. sense_network: the sense and the weight network, as the authors do. "
            "sense_vectors: the sense network and the word embeddings, so that the senses really stay. none: nothing."
        },
    )
    collapse_entropy: float = field(
        default=0.05, metadata={"help": "Warn when the mixture's entropy falls under this share of ln K."}
    )
    count_flops: bool = field(
        default=True,
        metadata={
            "help": "Count the floating-point operations of the first step of each log. With them, runs on different "
            "machines can be compared at equal compute."
        },
    )
    expected_entropy: list[float] | None = field(
        default=None,
        metadata={
            "help": "Lowest and highest entropy of the sense mixture, in nats, that is expected of held-out pairs "
            "once the languages are aligned. Outside of it, the run warns and the card says so. The paper has 1.4 to "
            "1.5 of ln 16 = 2.77."
        },
    )
    alignment_floor: float = field(
        default=0.15,
        metadata={
            "help": "Warn when the languages are not aligned: when held-out recall@1 over chance is under this after "
            "the phase that aligns, or in the second half of a run with one phase. It is the mean over sets, context "
            "and sense. 1 is perfect, 0 is guessing one of n pairs, and less than 0 is worse than guessing."
        },
    )
    on_nonfinite: str = field(
        default="stop",
        metadata={
            "help": "What to do at a loss or gradient that is not finite. stop: end the run and write which rows the "
            "step saw. skip: leave weights and optimizer as they are, count the step and go on."
        },
    )
    logging_nan_inf_filter: bool = field(
        default=False,
        metadata={
            "help": "Not needed, because on_nonfinite decides. The filter would read each loss from the device."
        },
    )
    sense_learning_rate: float | None = field(
        default=None,
        metadata={"help": "Peak learning rate of the sense and the weight network. If not given, learning_rate."},
    )
    trunk_learning_rate: float | None = field(
        default=None,
        metadata={"help": "Peak learning rate of the trunk without its word embeddings. If not given, learning_rate."},
    )
    new_token_learning_rate: float | None = field(
        default=None,
        metadata={
            "help": "Peak learning rate of the embeddings of new tokens (see target_tokenizer). If not given, "
            "learning_rate."
        },
    )
    new_tokens_alone: float = field(
        default=0.0,
        metadata={"help": "In this first share of the steps, only the embeddings of new tokens learn."},
    )

    def __post_init__(self):
        # Each process reads its own part of a stream; dispatching from rank 0 would need equal lengths.
        if not isinstance(self.accelerator_config, str):
            self.accelerator_config = {"dispatch_batches": False, **(self.accelerator_config or {})}
        # The Trainer refuses bf16 on a machine without an accelerator unless the CPU is asked for by name.
        self.use_cpu = self.use_cpu or not torch.accelerator.is_available()
        by_deepspeed = bool(self.deepspeed) or parse_flag_from_env("ACCELERATE_USE_DEEPSPEED")
        if self.on_nonfinite == "skip" and by_deepspeed:
            raise ValueError(
                "DeepSpeed steps within the backward pass, too early to skip: set `on_nonfinite` to stop."
            )
        if by_deepspeed and self.polish_freeze != "none" and self.phase_schedule().freezes:
            raise ValueError(
                "DeepSpeed keeps the gradients to itself, so that polish cannot freeze anything: set `polish_freeze` "
                f"to none, got {self.polish_freeze!r}, or shard by FSDP2."
            )
        if self.bf16 and self.use_cpu and not _multiplies_bf16():
            logger.warning("`bf16` is off: this processor has no instructions for it, and is 70 times slower in it.")
            self.bf16 = False
        super().__post_init__()
        self.phases = _read_phases(self.phases)
        self.phase_schedule()
        self._check_curriculum()
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
            phases=tuple(Phase.from_settings(settings) for settings in _read_phases(self.phases) or ()),
        )

    def unused_settings(self) -> tuple[str, ...]:
        """`tuple` of `str`: settings of other curricula than the one chosen, which mean nothing to it."""
        adaptive = () if self.schedule == "adaptive" else _ADAPTIVE
        return SCHEDULES[self.schedule] + adaptive

    def new_token_settings(self) -> list[str]:
        """`list` of `str`: those of the settings for new tokens that are set."""
        names = ("new_token_learning_rate", "new_tokens_alone")
        return [name for name in names if getattr(self, name)]

    def _check_curriculum(self):
        for each in fields(self):
            default = each.default if each.default_factory is MISSING else each.default_factory()
            if each.name in self.unused_settings() and getattr(self, each.name) != default:
                raise ValueError(
                    f"`{each.name}` means nothing to `schedule` {self.schedule}: leave it out, got "
                    f"{getattr(self, each.name)}."
                )
        check_counts(self, "adaptive_patience")
        check_shares(self, "adaptive_min_delta")
        bounds = self.adaptive_bounds
        if len(bounds) != 2 or not 0 <= bounds[0] <= bounds[1] < 0.5 or bounds[1] == 0:
            raise ValueError(
                "`adaptive_bounds` must be the shortest and longest share of align and of joint, 0 <= shortest <= "
                f"longest < 0.5 with longest above 0, so that polish has some; got {bounds}."
            )
        if self.schedule == "adaptive" and self.eval_strategy == IntervalStrategy.NO:
            raise ValueError(
                "`schedule` adaptive ends phases by held-out recall: `eval_strategy` no never measures it."
            )

    def _micro_batches(self) -> int:
        """Counts the micro-batches of a contrastive batch."""
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
        if self.auto_find_batch_size:
            raise ValueError(
                "`auto_find_batch_size` cannot be used: InfoNCE compares the pairs of a batch, so another size is "
                "another loss. Lower `per_device_train_batch_size`, or set `contrastive_batch_size`, which needs less "
                "memory."
            )
        if self.polish_freeze not in POLISH_FREEZES:
            raise ValueError(
                f"`polish_freeze` must be one of {', '.join(POLISH_FREEZES)}, got {self.polish_freeze!r}."
            )
        if self.source_encoder not in SOURCE_ENCODERS:
            raise ValueError(
                f"`source_encoder` must be one of {', '.join(SOURCE_ENCODERS)}, got {self.source_encoder!r}."
            )
        if not self.phase_schedule().contrasts:
            unused = {"contrastive_batch_size": None, "source_encoder": "model", "project_conflicts": False}
            for name, value in unused.items():
                if (given := getattr(self, name)) != value:
                    raise ValueError(
                        f"`{name}` means nothing where no phase weighs an InfoNCE term: leave it out, got {given}."
                    )
        check_counts(self, "batches_per_window")
        not_negative = ("text_rate", "source_lm_weight", "source_kl_weight", "word_alignment_weight")
        check_not_negative(self, *not_negative, "sense_learning_rate", "trunk_learning_rate")
        check_positive(self, "new_token_learning_rate")
        if self.source_lm_weight and self.source_kl_weight:
            raise ValueError(
                "`source_lm_weight` and `source_kl_weight` are two ways to keep the source language: set one of them, "
                f"got {self.source_lm_weight} and {self.source_kl_weight}."
            )
        check_positive(self, "tau_pool")
        check_shares(self, "label_smoothing_factor", "collapse_entropy", "alignment_floor", "new_tokens_alone")
        entropy = self.expected_entropy
        if entropy is not None and (len(entropy) != 2 or not 0 <= entropy[0] < entropy[1]):
            raise ValueError(
                f"`expected_entropy` must be lowest and highest nats, 0 <= lowest < highest; got {entropy}."
            )
        if not 0 < self.decay_share <= 1:
            raise ValueError(f"`decay_share` must lie in (0, 1], got {self.decay_share}.")
        if self.decay_share != _DECAY_SHARE and self.lr_scheduler_type != SchedulerType.WARMUP_STABLE_DECAY:
            raise ValueError(
                f"`decay_share` means nothing to `lr_scheduler_type` {SchedulerType(self.lr_scheduler_type).value}: "
                f"leave it out or set that to warmup_stable_decay, got {self.decay_share}."
            )
        if self.on_nonfinite not in ON_NONFINITE:
            raise ValueError(f"`on_nonfinite` must be one of {', '.join(ON_NONFINITE)}, got {self.on_nonfinite!r}.")
        if self.log_format not in LOG_FORMATS:
            raise ValueError(f"`log_format` must be one of {', '.join(LOG_FORMATS)}, got {self.log_format!r}.")
        if not self.dataloader_drop_last:
            raise ValueError("`dataloader_drop_last` must stay true: InfoNCE needs equally many pairs everywhere.")
        if self.hub_strategy in (HubStrategy.CHECKPOINT, HubStrategy.ALL_CHECKPOINTS):
            given = HubStrategy(self.hub_strategy).value
            raise ValueError(f"`hub_strategy={given}` would publish optimizer pickles; use `every_save` or `end`.")


def _multiplies_bf16() -> bool:
    """Tells if this processor has instructions for matrix products in bfloat16."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def _read_phases(phases: Any) -> list[dict[str, Any]] | None:
    """Phases as a settings file gives them, or as the command line does: in JSON."""
    if isinstance(phases, str):
        try:
            phases = json.loads(phases)
        except json.JSONDecodeError as error:
            raise ValueError(f"`phases` must be a list in JSON, got {phases!r}: {error}.") from error
    if phases is not None and not isinstance(phases, list):
        raise ValueError(f"`phases` must be a list of phases, got {phases!r}.")
    return phases
