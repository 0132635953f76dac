"""Scoring of a model on tasks: reuses earlier scores, and reports tasks whose data cannot be read."""

import functools
import hashlib
import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

import modeling_sensia  # noqa: F401 (the Auto classes know Backpacks once it is imported)
from modeling_sensia.model_sources import check_model_folder, check_tokenizer_folder, check_vocabulary, model_source
from sensia.evaluation.sentence_vectors import is_backpack
from sensia.evaluation.tasks.registry import NotOfferedError, Task
from sensia.evaluation.tasks.versions import library_versions

_LIBRARIES = ("sensia", "torch", "transformers", "datasets", "tokenizers", "numpy", "scipy", "scikit-learn")
# Fields of a configuration about the model's location or how it is run; they are not part of its identity.
_PASSING = ("_name_or_path", "transformers_version", "architectures", "auto_map", "dtype", "torch_dtype", "use_cache")


def load_scored_model(
    name: str, *, tokenizer_name: str | None = None, revision: str | None = None, device: str | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """
    Loads a causal language model, Backpack or dense, in float32.

    Args:
        name (`str`): Hub id or folder.
        tokenizer_name (`str`, *optional*, defaults to `name`): Hub id or folder of the tokenizer.
        revision (`str`, *optional*): branch, tag or commit of a Hub model.
        device (`str`, *optional*): device of the model; by default a GPU if there is one.

    Raises:
        OSError: if it is missing, gated or cannot be reached.
        ValueError: if it needs code of its repository, which is neither run nor asked about, or the tokenizer has more
            tokens than the model.
    """
    name = model_source(name)
    tokenizer_name = model_source(tokenizer_name) if tokenizer_name else None
    check_model_folder(name)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    model: Any = AutoModelForCausalLM.from_pretrained(
        name, revision=revision, dtype=torch.float32, trust_remote_code=False
    )
    check_tokenizer_folder(tokenizer_name or name)
    tokenizer = AutoTokenizer.from_pretrained(
        tokenizer_name or name, revision=revision if tokenizer_name is None else None, trust_remote_code=False
    )
    check_vocabulary(model, tokenizer, name, tokenizer_name or name)
    return model.to(device).eval(), tokenizer


def describe_model(name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """
    Describes a model by its contents, independent of its location.

    Args:
        name (`str`): Hub id or folder that it was loaded from; for a folder only the base name is used.
        model (`PreTrainedModel`), tokenizer (`PreTrainedTokenizerBase`): the two.

    Returns:
        `dict`: `name`, `hub_id`, `sha256` (of weights, configuration and tokenizer), `type`, `has_senses`,
        `parameters`, `dtype`.
    """
    path = Path(name).expanduser()
    parts = [part for part in path.resolve().parts if part != "final"]
    return {
        "name": parts[-1] if path.exists() else name,
        "hub_id": None if path.exists() else name,
        "sha256": fingerprint_model(model, tokenizer),
        "type": model.config.model_type,
        "has_senses": is_backpack(model),
        "parameters": model.num_parameters(),
        "dtype": str(model.dtype).removeprefix("torch."),
    }


def fingerprint_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> str:
    """
    Computes SHA-256 of a model's weights, configuration and tokenizer; it is the same for a Hub id and a local copy.

    Args:
        model (`PreTrainedModel`), tokenizer (`PreTrainedTokenizerBase`): the two.
    """
    digest = hashlib.sha256()
    config = {name: value for name, value in model.config.to_dict().items() if name not in _PASSING}
    digest.update(_canonical(config))
    digest.update(_canonical([sorted(tokenizer.get_vocab().items()), tokenizer.all_special_tokens]))
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str).encode()


def score_tasks(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    tasks: Sequence[Task],
    *,
    model_name: str,
    folder: str | Path = ".",
    done: Mapping[str, Any] | None = None,
    save: Callable[[dict[str, Any]], None] = lambda scores: None,
    say: Callable[[str], None] = lambda line: None,
    progress: bool = False,
) -> dict[str, Any]:
    """
    Measures a model on each task.

    The scores of a task are taken from `done` if its settings and the hashes of data, model and versions are
    unchanged. A task whose data are missing, gated, damaged or of another format is reported under `missing`. One
    whose data set has nothing in the language is reported under `not_offered`.

    Args:
        model (`PreTrainedModel`), tokenizer (`PreTrainedTokenizerBase`): the two.
        tasks (`Sequence[Task]`): tasks with distinct names.
        model_name (`str`): where the model was loaded from.
        folder (`str` or `Path`, *optional*): folder to which paths of data files are relative.
        done (`Mapping`, *optional*): scores of an earlier call. Its scores of other tasks of the same model are kept.
        save (`Callable`, *optional*): called with the scores after every task.
        say (`Callable`, *optional*): called with one line of text for every task.
        progress (`bool`, *optional*, defaults to `False`): show progress bars.

    Returns:
        `dict`: `model` (of [`describe_model`]), `versions`, `device`, `tasks` (by name: `kind`, `settings`, `data`,
        `metrics`, `intervals`, `chance`, `seconds`, `key` and what else a task keeps), `missing` and `not_offered` (by
        name: why).
    """
    names = [task.name for task in tasks]
    if len(set(names)) != len(names):
        raise ValueError(f"Two tasks of one name: {', '.join(names)}.")
    described = describe_model(model_name, model, tokenizer)
    same = done is not None and done["model"]["sha256"] == described["sha256"]
    if done is not None and not same and done["model"]["name"] != described["name"]:
        raise ValueError(
            f"The earlier scores are of another model, {done['model']['name']}: write those of {model_name} to a file "
            "of their own."
        )
    kept = dict(done["tasks"]) if done is not None and same else {}
    missing, not_offered = (
        {name: why for name, why in done.get(field, {}).items() if name not in names} if done and same else {}
        for field in ("missing", "not_offered")
    )
    versions = {"python": platform.python_version(), **library_versions(_LIBRARIES)}
    scores = {"model": described, "versions": versions, "device": model.device.type, "tasks": kept}
    scores |= {"missing": missing, "not_offered": not_offered}
    for task in tasks:
        try:
            loaded = task.load(folder)
            key = hashlib.sha256(_canonical([task.describe(), loaded.data, described["sha256"], versions])).hexdigest()
            if kept.get(task.name, {}).get("key") == key:
                say(f"{task.name}: measured before")
                continue
            kept[task.name] = _measure(task, loaded, model, tokenizer, progress) | {"key": key}
            say(f"{task.name}: {kept[task.name]['seconds']:.1f} s")
        except (OSError, ValueError) as error:
            kept.pop(task.name, None)
            places = [folder, *([Path(task.source).parent] if Path(task.source).is_absolute() else [])]
            why = missing if not isinstance(error, NotOfferedError) else not_offered
            why[task.name] = functools.reduce(without_folder, places, str(error))
            say(f"{task.name}: {'not measured' if why is missing else 'not offered'}. {error}")
        save(scores)
    return scores


def without_folder(text: str, folder: str | Path) -> str:
    """
    Removes the data folder from a message, because results must not contain local paths.

    Args:
        text (`str`): the message.
        folder (`str` or `Path`): the folder.
    """
    for place in (Path(folder).expanduser(), Path(folder).expanduser().resolve()):
        text = text.replace(f"{place}/", "") if str(place) != "." else text
    return text


def _measure(task: Task, loaded, model, tokenizer, progress: bool) -> dict[str, Any]:
    start = time.perf_counter()
    found = loaded.measure(model, tokenizer, progress)
    return {**task.describe(), "data": loaded.data, **found, "seconds": round(time.perf_counter() - start, 2)}
