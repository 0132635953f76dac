"""The record of a run and its results, as plain values that a model card is written from."""

import datetime
import platform
from collections.abc import Sequence
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import PreTrainedModel, TrainingArguments

from sensia.corpora import Language, describe_file
from sensia.trainers.alignment import limits_of_run
from sensia.trainers.licence_notes import base_licence, data_licence, licence_reason, licensed_parts, stated_about
from sensia.trainers.lora import base_parameters, describe_adapter
from sensia.trainers.pair_sets import PairSet, TrainingData
from sensia.trainers.run_arguments import AdaptArguments
from sensia.trainers.sensia_config import SensiaConfig
from sensia.trainers.sensia_trainer import SensiaTrainer
from sensia.trainers.step_flops import flops_of_run

_LIBRARIES = ("torch", "transformers", "accelerate", "datasets", "tokenizers", "safetensors", "huggingface-hub")
#: Of the Trainer's own settings, those that shape what is learned; all of SENSIA's are listed.
_TRAINER_KNOBS = (
    "learning_rate",
    "lr_scheduler_type",
    "warmup_steps",
    "optim",
    "weight_decay",
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "max_grad_norm",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "num_train_epochs",
    "max_steps",
    "label_smoothing_factor",
    "bf16",
    "fp16",
    "gradient_checkpointing",
    "seed",
)


def describe_run(
    args: AdaptArguments,
    config: SensiaConfig,
    trainer: SensiaTrainer,
    train: TrainingData,
    evals: list[PairSet],
    before: dict[str, dict[str, float]],
    after: dict[str, dict[str, float]],
    samples: list[dict[str, str]],
    command: str,
    tokenizer_change: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """
    Gathers the results of an adaptation in the form that [`sensia.model_cards.check_results`] defines.

    Args:
        args ([`AdaptArguments`]), config ([`SensiaConfig`]): the settings.
        trainer ([`SensiaTrainer`]): after training.
        train ([`TrainingData`]), evals (`list` of [`PairSet`]): the data.
        before, after (`dict`): metrics of [`sensia.evaluation.evaluate_bitext`] by the name of each evaluation set.
        samples (`list` of `dict`): of [`prompts.continue_prompts`].
        command (`str`): what was typed.
        tokenizer_change (`dict`, *optional*): of [`Retokenized`].

    Returns:
        `dict`: JSON values only; files by base name and hash.
    """
    base = _base_model(args.model)
    trained_on = [_describe_data(each, "train", args) for each in train.parts]
    held_out = [_describe_data(each, "dev", args) for each in evals]
    parts = licensed_parts(args, train.parts)
    return {
        "model_name": args.model_name,
        "repo_id": trainer.hub_model_id if config.push_to_hub else None,
        "base_model": base,
        "languages": {
            "source": _describe_language(args.source),
            "target": _describe_language(args.targets[0]),
            "other_targets": [_describe_language(each, evals) for each in args.targets[1:]],
        },
        "license": args.model_license or "unknown",
        "license_name": args.model_license_name,
        "license_link": args.model_license_link,
        "license_reason": licence_reason(args.model_license, parts),
        "datasets": [*trained_on, *held_out],
        "model": _describe_model(trainer.accelerator.unwrap_model(trainer.model)),
        "training": describe_training(config, trainer),
        "evaluation": [
            _describe_evaluation(each, described, before[each.name], after[each.name])
            for each, described in zip(evals, held_out, strict=True)
        ],
        "samples": samples,
        "fertility": _fertility_in(evals, args.targets[0]),
        "tokenizer": tokenizer_change,
        "limits": _limits(args, evals, trainer),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
        "command": command,
        "seed": config.seed,
        "date": datetime.date.today().isoformat(),
    }


def _limits(args: AdaptArguments, evals: list[PairSet], trainer: SensiaTrainer) -> list[str]:
    config = trainer.accelerator.unwrap_model(trainer.model).config
    went_wrong = list(limits_of_run(trainer.state.log_history, trainer.args, getattr(config, "num_senses", 0)))
    if args.from_scratch:
        went_wrong.append(f"Of {Path(args.model).name} it has the architecture alone: it began with random weights.")
    if args.target_tokenizer != "none" and evals:
        went_wrong.append(
            "Before is the base model with its own tokenizer; sentences that it writes in more tokens than it has "
            "positions for are left out there."
        )
    if args.streaming and evals:
        went_wrong.append(
            "The training data was streamed: of each data set, the evaluation sets were compared with the first "
            f"{args.shuffle_buffer:,} rows alone, to find rows that are in both."
        )
    if not any(len(each.pairs) > args.eval_pairs for each in evals):
        return went_wrong
    return [
        *went_wrong,
        f"The curves while training are over the first {args.eval_pairs} pairs of each set, among which a translation "
        "is easier to find than among all; the tables are over the whole sets.",
    ]


def _base_model(name: str) -> dict[str, Any]:
    path = Path(name)
    named = {"name": path.resolve().name, "hub_id": None} if path.exists() else {"name": path.name, "hub_id": name}
    return {**named, "license": base_licence(name)}


def _describe_language(language: Language, evals: Sequence[PairSet] = ()) -> dict[str, Any]:
    """A language, with its fertility where evaluation sets are given that are of it."""
    described = {name: getattr(language, name) for name in ("iso1", "iso3", "tag", "name")}
    return {**described, "fertility": fertility} if (fertility := _fertility_in(evals, language)) else described


def _fertility_in(evals: Sequence[PairSet], language: Language) -> dict[str, float] | None:
    """Tokens a word of each side of the first evaluation set whose target side is of a language."""
    return next((each.fertility for each in evals if each.languages and each.languages[1] == language), None)


def _describe_data(pairs: PairSet, role: str, args: AdaptArguments) -> dict[str, Any]:
    path = Path(pairs.path)
    local = path.is_file()
    stated = stated_about(path)
    return {
        "name": _file_of(pairs),
        "hub_id": pairs.path if pairs.part else stated.get("hub_id"),
        "role": role,
        "sha256": describe_file(path)["sha256"] if local and pairs.joined_with is None else None,
        "rows_read": pairs.report.total,
        "rows_kept": pairs.report.kept,
        "dropped": pairs.report.dropped,
        "license": data_licence(pairs, args),
        "instructions": pairs.role == "instructions",
        "sources": stated.get("sources") or _count_origins(pairs),
    }


def _file_of(pairs: PairSet) -> str:
    """The Hub tells what was read of one data set apart by this: the file, or configuration and split."""
    name = f"{pairs.part.config_name or 'default'}/{pairs.part.split}" if pairs.part else Path(pairs.path).name
    return name if pairs.joined_with is None else f"{name} with {_file_of(pairs.joined_with)}"


def _count_origins(pairs: PairSet) -> list[dict[str, Any]]:
    if not isinstance(pairs.pairs, Dataset) or "origin" not in pairs.pairs.column_names:
        return []
    counts: dict[str, int] = {}
    for origin in pairs.pairs["origin"]:
        counts[origin or "unnamed"] = counts.get(origin or "unnamed", 0) + 1
    return [{"name": name, "rows": rows} for name, rows in sorted(counts.items(), key=lambda item: -item[1])]


def _describe_model(model: PreTrainedModel) -> dict[str, Any]:
    config = model.config
    trunk = getattr(config, "trunk_config", config)  # a dense model is a trunk without senses
    return {
        "parameters": base_parameters(model),
        "num_senses": getattr(config, "num_senses", 0),
        "hidden_size": config.hidden_size,
        "layers": trunk.num_hidden_layers,
        "vocab_size": config.vocab_size,
        "max_positions": config.max_position_embeddings,
        "trunk": trunk.model_type,
    }


def describe_training(config: SensiaConfig, trainer: SensiaTrainer) -> dict[str, Any]:
    """
    The part of [`describe_run`] that tells of the training itself.

    Args:
        config ([`SensiaConfig`]), trainer ([`SensiaTrainer`]): as there.

    Returns:
        `dict`: JSON values only; settings that mean nothing to the curriculum are left out.
    """
    schedule = config.phase_schedule()
    unused = {*_inherited(), *config.unused_settings()}
    knobs = [field.name for field in fields(config) if field.name not in unused]
    logs: list[dict[str, Any]] = [
        {**entry, "phase": schedule.phase_names[int(entry["phase"])]} if "phase" in entry else dict(entry)
        for entry in trainer.state.log_history
    ]
    return {
        "steps": trainer.state.global_step,
        "pairs_per_step": config.train_batch_size * config.gradient_accumulation_steps * config.world_size,
        "processes": config.world_size,
        # Of all sessions of an interrupted run.
        "seconds": max((entry.get("seconds", entry.get("train_runtime", 0.0)) for entry in logs), default=0.0),
        **flops_of_run(logs, trainer.state.global_step),
        "device": config.device.type,
        "precision": "bf16" if config.bf16 else "fp16" if config.fp16 else "float32",
        "adapter": describe_adapter(trainer.accelerator.unwrap_model(trainer.model)),
        "schedule": {
            field.name: _plain(getattr(schedule, field.name))
            for field in fields(schedule)
            if field.name != "phases" and field.name not in unused
        },
        "phases": _describe_phases(config, trainer),
        "hyperparameters": {name: _plain(getattr(config, name)) for name in (*_TRAINER_KNOBS, *knobs)},
        "history": [entry for entry in logs if "loss_lm" in entry],
        "evaluations": [entry for entry in logs if any(name.startswith("eval_") for name in entry)],
    }


def _describe_phases(config: SensiaConfig, trainer: SensiaTrainer) -> list[dict[str, Any]]:
    schedule, steps, ended = trainer.phase_schedule, trainer.state.max_steps, trainer.phase_ends
    phases = []
    for name, first, last in schedule.spans(steps, ended):
        last = min(last, trainer.state.global_step - 1)  # training may have stopped before
        if first <= last:
            start, end = schedule.at(first, steps, ended), schedule.at(last, steps, ended)
            phases.append(
                {
                    "name": name,
                    "first_step": first + 1,
                    "last_step": last + 1,
                    "weights": [start.w_ctx, start.w_sns, start.w_lm],
                    "end_weights": [end.w_ctx, end.w_sns, end.w_lm],
                    "frozen": config.polish_freeze if start.freeze and config.polish_freeze != "none" else None,
                }
            )
    return phases


def _inherited() -> set[str]:
    return {field.name for field in fields(TrainingArguments)}


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    return value if value is None or isinstance(value, bool | int | float) else str(getattr(value, "value", value))


def _describe_evaluation(pairs: PairSet, data: dict[str, Any], before, after) -> dict[str, Any]:
    return {
        "dataset": pairs.name,
        "hub_id": data["hub_id"],
        "file": data["name"],
        "sha256": data["sha256"],
        "rows": data["rows_kept"],
        "languages": [each.name for each in pairs.languages] if pairs.languages else None,
        "rows_trained_on": None if pairs.trained_on is None else len(pairs.trained_on),
        "license": data["license"],
        "before": before,
        "after": after,
    }
