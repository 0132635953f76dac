"""The end of a run in miniature: its record from made-up numbers, so that a fault shows itself before training."""

import math
from typing import Any

from transformers import TrainerState

from sensia.trainers.pair_sets import PairSet, TrainingData
from sensia.trainers.run_arguments import AdaptArguments
from sensia.trainers.run_record import describe_run
from sensia.trainers.sensia_config import SensiaConfig
from sensia.trainers.sensia_trainer import SensiaTrainer

_STEPS = 2
#: What [`sensia.evaluation.evaluate_bitext`] gives, with values that any model may reach.
MADE_UP_METRICS = {
    "perplexity": 50.0,
    "bits_per_byte": 2.0,
    "source_bits_per_byte": 2.0,
    **{
        f"{kind}_recall@1{direction}": 0.5
        for kind in ("context", "sense")
        for direction in ("", "_source_to_target", "_target_to_source")
    },
    "entropy_source": 1.0,
    "entropy_target": 1.0,
}


def made_up_record(
    args: AdaptArguments,
    config: SensiaConfig,
    trainer: SensiaTrainer,
    train: TrainingData,
    evals: list[PairSet],
    command: str,
    tokenizer_change: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """
    Makes the record that [`describe_run`] would give of this run after two steps, with made-up metrics. The
    trainer stays as it is.

    Args:
        args ([`AdaptArguments`]), config ([`SensiaConfig`]): the settings.
        trainer ([`SensiaTrainer`]): before training.
        train ([`TrainingData`]), evals (`list` of [`PairSet`]): the data.
        command (`str`): what was typed.
        tokenizer_change (`dict`, *optional*): of [`Retokenized`].
    """
    with_senses = hasattr(trainer.accelerator.unwrap_model(trainer.model).config, "num_senses")
    made_up = {name: value for name, value in MADE_UP_METRICS.items() if with_senses or "entropy" not in name}
    metrics = {each.name: made_up for each in evals}
    samples = [{"prompt": prompt, "continuation": "..."} for prompt in args.prompts]
    state = trainer.state
    trainer.state = TrainerState(global_step=_STEPS, max_steps=_STEPS, log_history=_made_up_log(evals, made_up))
    if config.count_flops:
        trainer.state.log_history[0]["step_tflop"] = 1.0
    try:
        told = (metrics, metrics, samples, command, tokenizer_change)
        return describe_run(args, config, trainer, train, evals, *told)
    finally:
        trainer.state = state


def _made_up_log(evals: list[PairSet], metrics: dict[str, float]) -> list[dict[str, Any]]:
    losses = {"loss": 3.0, "loss_ctx": 3.0, "loss_sns": 3.0, "loss_lm": 3.0, "grad_norm": math.nan}
    entropies = {name: value for name, value in metrics.items() if name.startswith("entropy")}
    watched = {f"eval_{each.name}_{name}": value for each in evals for name, value in metrics.items()}
    steps = [{**losses, **entropies, "phase": 0, "step": step} for step in range(1, _STEPS + 1)]
    return [*steps, *({**watched, "step": step} for step in range(_STEPS + 1) if watched)]
