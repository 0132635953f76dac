"""Ranges of settings: checks by name for dataclasses, and what `transformers.TrainingArguments` leaves unchecked."""

import math
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from transformers.debug_utils import DebugOption
from transformers.integrations import get_available_reporting_integrations
from transformers.trainer_pt_utils import AcceleratorConfig

from sensia.corpora import find_language
from sensia.trainers.setting_types import read_value, show_value

_MOST_SEED = 2**32 - 1


def check_range(settings: Any, expected: str, fits: Callable[[Any], object], *names: str):
    """
    Checks that settings lie in a range; what is not set (`None`) does.

    Args:
        settings: a mapping or a dataclass with the settings.
        expected (`str`): the range, to stand after "must".
        fits (`Callable`): whether a value, or of a list each value, lies in it.
        names (`str`): the settings to check; of a mapping, those that it has.

    Raises:
        ValueError: naming the first setting that does not.
    """
    given = settings if isinstance(settings, Mapping) else vars(settings)
    for name in names:
        value = given.get(name)
        if value is not None and not all(map(fits, value if isinstance(value, list) else [value])):
            raise ValueError(f"`{name}` must {expected}, got {show_value(value)}.")


def check_counts(settings: Any, *names: str, least: int = 1):
    """Checks that settings are at least 1, or another least count; see [`check_range`]."""
    check_range(settings, f"be at least {least}", lambda value: least <= value < math.inf, *names)


def check_positive(settings: Any, *names: str):
    """Checks that settings are positive and finite; see [`check_range`]."""
    check_range(settings, "be a positive number", lambda value: 0 < value < math.inf, *names)


def check_shares(settings: Any, *names: str):
    """Checks that settings lie in [0, 1); see [`check_range`]."""
    check_range(settings, "lie in [0, 1)", lambda value: 0 <= value < 1, *names)


def check_not_negative(settings: Any, *names: str):
    """Checks that settings are finite and not negative; see [`check_range`]."""
    check_range(settings, "be 0 or more", lambda value: 0 <= value < math.inf, *names)


def check_seeds(settings: Any, *names: str):
    """Checks that settings are seeds that NumPy takes; see [`check_range`]."""
    check_range(settings, f"lie between 0 and {_MOST_SEED}", lambda value: 0 <= value <= _MOST_SEED, *names)


def check_names(settings: Any, *names: str):
    """Checks that settings, which name files or data sets, are not empty; see [`check_range`]."""
    check_range(settings, "name something, not an empty text", lambda name: bool(name.strip()), *names)


def check_line_names(settings: Any, *names: str):
    """Checks that settings are names as people read them, one line of text; see [`check_range`]."""
    check_range(settings, "be a name, one line of text", _is_line, *names)


def _is_line(text: str) -> bool:
    """Control characters, line separators and halves of characters are in no name."""
    return bool(text.strip()) and not any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in text)


def check_languages(settings: Any, *names: str):
    """
    Checks that settings are codes of languages that are known.

    Args:
        settings: a dataclass with the settings.
        names (`str`): the settings to check; one may be `None`, or a list of codes.

    Raises:
        ValueError: naming the setting, with the nearest known codes.
    """
    for name in names:
        given = getattr(settings, name)
        for code in given if isinstance(given, list) else [given] if given is not None else []:
            try:
                find_language(code)
            except ValueError as error:
                raise ValueError(f"`{name}`: {error}") from error


def check_two_languages(settings: Any):
    """
    Checks that `source_language` and `target_language`, two codes that are known, are of different languages.

    Args:
        settings: a dataclass with the settings.

    Raises:
        ValueError: naming both settings.
    """
    given = settings.source_language, settings.target_language
    if find_language(given[0]) == find_language(given[1]):
        raise ValueError(
            f"`source_language` and `target_language` must differ, got {given[0]!r} and {given[1]!r}, both "
            f"{find_language(given[0]).name}."
        )


def check_training_arguments(given: Mapping[str, Any]):
    """
    Checks settings of `transformers.TrainingArguments` that it takes as they are and that fail later, or silently.

    Args:
        given (`Mapping`): settings by name, of the right types.

    Raises:
        ValueError: in one line that names the setting, what is expected and what was given.
    """
    check_counts(given, "per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps")
    check_counts(given, "eval_accumulation_steps", "save_total_limit", "torch_empty_cache_steps")
    check_counts(given, "dataloader_prefetch_factor", "ddp_timeout", "ddp_bucket_cap_mb")
    check_range(
        given, "be at least 1, or -1 for num_train_epochs", lambda steps: steps == -1 or steps > 0, "max_steps"
    )
    check_positive(given, "num_train_epochs", "adam_epsilon", "save_steps", "logging_steps")
    check_not_negative(given, "learning_rate", "weight_decay", "warmup_steps", "eval_steps", "eval_delay")
    check_not_negative(given, "dataloader_num_workers")
    if given.get("neftune_noise_alpha") is not None:
        raise ValueError(
            "`neftune_noise_alpha` cannot be used: a Backpack embeds each different token once, so a token would "
            f"have the same noise at every place. Leave it out, got {given['neftune_noise_alpha']!r}."
        )
    check_range(given, "be 0 or more", lambda norm: norm >= 0, "max_grad_norm")
    check_shares(given, "adam_beta1", "adam_beta2", "label_smoothing_factor")
    check_seeds(given, "seed", "data_seed")
    counted = ("all", "non_padding", "no", True, False)
    check_range(given, "be all, non_padding or no", counted.__contains__, "include_num_input_tokens_seen")
    check_line_names(given, "run_name")
    _check_repository(given)
    _check_intervals(given)
    _check_words(given)
    _check_mappings(given)
    _check_reports(given)


def _check_repository(given: Mapping[str, Any]):
    if (repository := given.get("hub_model_id")) is not None:
        try:
            validate_repo_id(repository)
        except HFValidationError as error:
            shown = show_value(repository)
            raise ValueError(f"`hub_model_id` must be a name as org/name, got {shown}: {error}") from error


def _check_intervals(given: Mapping[str, Any]):
    """Steps, or below 1 the share of all steps."""
    names = ("logging_steps", "save_steps", "eval_steps", "warmup_steps")
    check_range(given, "be a whole number, or below 1", lambda value: value < 1 or value == int(value), *names)


def _check_words(given: Mapping[str, Any]):
    known = [each.value for each in DebugOption]
    words = given.get("debug", "")
    for word in words.split() if isinstance(words, str) else ():
        if word not in known:
            raise ValueError(f"`debug` must be of {', '.join(known)}, got {word!r}.")
    for pair in (given.get("optim_args") or "").replace(" ", "").split(","):
        if given.get("optim_args") and pair.count("=") != 1:
            raise ValueError(f"`optim_args` must be name=value pairs with commas between, got {pair!r}.")


def _check_mappings(given: Mapping[str, Any]):
    """Mappings that are given as text must lie in a file, and only some may."""
    for name in ("lr_scheduler_kwargs", "activation_checkpointing_kwargs", "gradient_checkpointing_kwargs"):
        if isinstance(given.get(name), str):
            raise ValueError(f"`{name}` must be a mapping of names to values, got {given[name]!r}.")
    for name in ("accelerator_config", "fsdp_config", "deepspeed"):
        if isinstance(path := given.get(name), str) and not Path(path).is_file():
            raise ValueError(f"`{name}` must be a mapping of names to values, or a JSON file of it, got {path!r}.")
    if isinstance(config := given.get("accelerator_config"), Mapping):
        kinds = get_type_hints(AcceleratorConfig)
        for key, value in config.items():
            if key not in {each.name for each in fields(AcceleratorConfig)}:
                raise ValueError(f"`accelerator_config` holds {', '.join(kinds)}, not {key!r}.")
            read_value(f"accelerator_config: {key}", kinds[key], value)


def _check_reports(given: Mapping[str, Any]):
    reports = given.get("report_to", "none")
    if reports is None:
        raise ValueError("`report_to` must not be empty: write none to report nowhere.")
    reports = [reports] if isinstance(reports, str) else reports
    if reports in (["none"], ["all"]):
        return
    installed = get_available_reporting_integrations()
    for report in reports:
        if report not in installed:
            raise ValueError(
                f"`report_to` must be none, all or of what is installed here ({', '.join(installed) or 'nothing'}), "
                f"got {report!r}."
            )
