"""
The form of a run's results, and the check that a dictionary has this form.

`RESULTS` is the contract between whoever runs an adaptation and the card: nested dictionaries mirror nested objects,
`[spec]` is a list of such things, and a name that ends in `?` may be missing or null. Further fields are ignored.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any


@dataclass(frozen=True)
class Field:
    """
    One value of the results.

    Args:
        expected (`str`): what the value has to be, in the words of the error message.
        accepts (`Callable`): whether a given value is that.
    """

    expected: str
    accepts: Callable[[Any], bool]


def is_absolute(text: str) -> bool:
    """
    Tells if a text is a path that only makes sense on one machine.

    Args:
        text (`str`): a file name or path of any system.

    Returns:
        `bool`: True for `/home/me/x` and `C:\\x`, False for `x`, `org/x` and `data/x`.
    """
    return PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute()


def is_number(value: object) -> bool:
    """
    Tells if a value is a finite number; True and False are none.

    Args:
        value (`object`): anything.

    Returns:
        `bool`: True for whole numbers and finite floats.
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def targets_of(results: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """
    The target languages of a model.

    Args:
        results (`Mapping[str, Any]`): results of a run.

    Returns:
        `list` of `Mapping`: one or several.
    """
    languages = results["languages"]
    return [languages["target"], *(languages.get("other_targets") or [])]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_date(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


def _is_plain(value: object) -> bool:
    """JSON values all the way down; NaN and infinity are not JSON."""
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return value is None or isinstance(value, str | bool) or is_number(value)


def _matches(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _mapping_of(accepts: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, Mapping) and all(isinstance(key, str) and accepts(item) for key, item in value.items())
    )


TEXT = Field("a string that is not empty", _is_text)
STRING = Field("a string", lambda value: isinstance(value, str))
NAME = Field("a name or base name, not an absolute path", lambda value: _is_text(value) and not is_absolute(value))
COUNT = Field("a whole number, 0 or more", _is_count)
WHOLE = Field("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool))
NUMBER = Field("a finite number", is_number)
HUB_ID = Field("a Hub id such as 'org/name'", _matches(r"[\w.-]+(/[\w.-]+)?"))
LICENSE = Field("a licence identifier of the Hub, such as 'mpl-2.0'", _matches(r"[a-z0-9][a-z0-9.+-]*"))
SHA256 = Field("64 hexadecimal digits", _matches(r"[0-9a-f]{64}"))
ROLE = Field("'train' or 'dev'", lambda value: value in ("train", "dev"))
DATE = Field("an ISO date such as '2026-01-31'", _is_date)
COUNTS = Field("an object of whole numbers", _mapping_of(_is_count))
METRICS = Field("an object of finite numbers", _mapping_of(is_number))
INTERVALS = Field(
    "an object of pairs of finite numbers",
    _mapping_of(lambda value: isinstance(value, list) and len(value) == 2 and all(map(is_number, value))),
)
WEIGHTS = Field(
    "three finite numbers", lambda value: isinstance(value, list) and len(value) == 3 and all(map(is_number, value))
)
KNOBS = Field("an object of JSON values without NaN or infinity", _mapping_of(_is_plain))
TEXTS = Field("an object of strings", _mapping_of(_is_text))
# A training log holds what its trainer logs, NaN included: only what the plots can show is taken from it.
STEP = {"step": COUNT}

LANGUAGE = {
    "iso1?": Field("an ISO 639-1 code such as 'id'", _matches("[a-z]{2}")),
    "iso3": Field("an ISO 639-3 code such as 'ind'", _matches("[a-z]{3}")),
    "tag?": Field("a code with its script such as 'ind_Latn'", _matches("[a-z]{3}_[A-Z][a-z]{3}")),
    "name": TEXT,
}

FERTILITY = {"source?": NUMBER, "target?": NUMBER}
TOKENIZER_USE = {"tokens_per_sentence": NUMBER, "characters_per_token": NUMBER, "tokens_per_word?": NUMBER}
TOKENIZER_USES = {"source": TOKENIZER_USE, "target": TOKENIZER_USE, "other_targets?": [TOKENIZER_USE]}

DATASET = {
    "name": NAME,
    "hub_id?": HUB_ID,
    "role": ROLE,
    # Data of the Hub is no single file.
    "sha256?": SHA256,
    "rows_read": COUNT,
    "rows_kept": COUNT,
    "dropped": COUNTS,
    "license?": TEXT,
    # Whether it is instruction pairs; only what was trained on.
    "instructions?": Field("true or false", lambda value: isinstance(value, bool)),
    # `domain` says what the rows are, in the words of those who gave the data, as in "software manuals".
    "sources": [{"name": TEXT, "rows": COUNT, "license?": TEXT, "domain?": TEXT}],
}

EVALUATION = {
    "dataset": NAME,
    "hub_id?": HUB_ID,
    "file": NAME,
    "sha256?": SHA256,
    "rows": COUNT,
    # Names of the languages of the two sides of bitext.
    "languages?": [TEXT],
    # Of these, how many are training rows too; missing where nobody looked.
    "rows_trained_on?": COUNT,
    "license?": TEXT,
    "before": METRICS,
    "after": METRICS,
    # Of a task that examples/score.py measured: its kind, what guessing gives, and intervals of `after`.
    "task?": TEXT,
    "chance?": METRICS,
    "intervals?": INTERVALS,
}

TRAINING = {
    "steps": COUNT,
    # Over all processes together.
    "pairs_per_step": COUNT,
    "processes": COUNT,
    "seconds": NUMBER,
    # Floating-point operations of forward and backward, of all steps, and how many steps were counted.
    "flops?": NUMBER,
    "steps_counted?": COUNT,
    "device": TEXT,
    "precision": TEXT,
    # Where an adapter was trained instead of the whole model, into which it is merged.
    "adapter?": {
        "method": TEXT,
        "rank": COUNT,
        "alpha": NUMBER,
        "dropout": NUMBER,
        "targets": [TEXT],
        "trained_parameters": COUNT,
        "share": NUMBER,
    },
    "schedule": KNOBS,
    # The phases that came, in order, with their steps counted from 1; a curriculum without phases is a single one.
    "phases?": [
        {
            "name": TEXT,
            "first_step": COUNT,
            "last_step": COUNT,
            "weights": WEIGHTS,
            "end_weights": WEIGHTS,
            "frozen?": TEXT,
        }
    ],
    "hyperparameters": KNOBS,
    "history": [STEP],
    "evaluations": [STEP],
}

RESULTS = {
    "model_name": NAME,
    "repo_id?": HUB_ID,
    "base_model": {"name": NAME, "hub_id?": HUB_ID, "license?": TEXT},
    "languages": {
        "source": LANGUAGE,
        "target": LANGUAGE,
        # Of a model of several target languages: those after the first.
        "other_targets?": [{**LANGUAGE, "fertility?": FERTILITY}],
    },
    "license": LICENSE,
    # Of a licence that is `other` to the Hub.
    "license_name?": TEXT,
    "license_link?": TEXT,
    "license_reason": STRING,
    "datasets": [DATASET],
    "model": {
        "parameters": COUNT,
        "num_senses": COUNT,
        "hidden_size": COUNT,
        "layers": COUNT,
        "vocab_size": COUNT,
        "max_positions": COUNT,
        "trunk": TEXT,
    },
    "training": TRAINING,
    "evaluation": [EVALUATION],
    "samples": [{"prompt": STRING, "continuation": STRING}],
    # Tokens a word, of the first target language; a language without spaces between its words has none.
    "fertility?": FERTILITY,
    # Where the tokenizer is not the base model's: what was changed, and how it cuts the training data.
    "tokenizer?": {
        "kind": TEXT,
        "initialization": TEXT,
        "new_tokens": COUNT,
        "refused": COUNT,
        "before": TOKENIZER_USES,
        "after": TOKENIZER_USES,
    },
    "limits": [TEXT],
    "versions": TEXTS,
    "command": STRING,
    "seed": WHOLE,
    "date": DATE,
}


def _refuse(path: str, expected: str, value: object) -> None:
    shown = repr(value)
    shown = shown if len(shown) <= 80 else f"{shown[:80]}... ({type(value).__name__})"
    raise ValueError(f"{path}: expected {expected}, got {shown}")


def _check_object(spec: Mapping[str, Any], value: Any, path: str) -> None:
    if not isinstance(value, Mapping):
        _refuse(path, "an object", value)
    for name, field in spec.items():
        key = name.removesuffix("?")
        if name.endswith("?") and value.get(key) is None:
            continue
        if key not in value:
            expected = f", expected {field.expected}" if isinstance(field, Field) else ""
            raise ValueError(f"{path}.{key}: missing{expected}")
        _check(field, value[key], f"{path}.{key}")


def _check(spec: Any, value: Any, path: str) -> None:
    if isinstance(spec, Field):
        if not spec.accepts(value):
            _refuse(path, spec.expected, value)
    elif isinstance(spec, list):
        if not isinstance(value, list):
            _refuse(path, "a list", value)
        for index, item in enumerate(value):
            _check(spec[0], item, f"{path}[{index}]")
    else:
        _check_object(spec, value, path)


def _check_evaluations_differ(evaluation: list[Mapping[str, Any]]) -> None:
    """The Hub files results by dataset and configuration: two entries with both alike would become one."""
    seen: dict[tuple[str, str], int] = {}
    for index, entry in enumerate(evaluation):
        key = (entry.get("hub_id") or entry["dataset"], entry["file"])
        if key in seen:
            raise ValueError(
                f"results.evaluation[{index}]: same dataset {key[0]!r} and file {key[1]!r} as "
                f"results.evaluation[{seen[key]}], expected one entry for each"
            )
        seen[key] = index


def check_results(results: Mapping[str, Any]) -> None:
    """
    Check that a dictionary has the form that the card, the plots and the evaluation files are written from.

    Args:
        results (`Mapping[str, Any]`): the results of a run, as the JSON values that `RESULTS` describes.

    Raises:
        `ValueError`: names the first field that is missing or wrong, as in `results.training.steps: missing`, what
            was expected there and what was given.
    """
    _check(RESULTS, results, "results")
    _check_evaluations_differ(results["evaluation"])
