"""The model card: a run's results told to the people who find the model on the Hub."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard

from sensia.model_cards.comparison import (
    comparison_metrics,
    comparison_rows,
    format_change,
    format_value,
    metric_label,
    metric_notes,
)
from sensia.model_cards.curriculum import PHASE_HEADERS, curriculum_sentence, phase_rows
from sensia.model_cards.limits import limit_sentences
from sensia.model_cards.markdown import code, fence, list_names, one_line, words
from sensia.model_cards.metadata import card_metadata, eval_results_yaml
from sensia.model_cards.plots import CAPTIONS, draw_plots
from sensia.model_cards.results import check_results, targets_of
from sensia.whole_files import write_whole

TEMPLATE = Path(__file__).with_name("template.md")

# One file, so that a later run replaces or removes exactly what an earlier one wrote.
EVAL_RESULTS = Path(".eval_results", "sensia.yaml")

_ABSOLUTE = re.compile(
    r"""(?<![\w./~\\])/(?!/)(?:[^\s/'"]+/)*(?=[^\s/])|(?<!\w)[A-Za-z]:\\(?:[^\s\\'"]+\\)*(?=[^\s\\])"""
)

_ARROWS = {"higher": " ↑", "lower": " ↓", None: ""}


def strip_folders(text: str) -> str:
    """
    Cut the folders off every absolute path in a text: they mean nothing on another machine.

    Args:
        text (`str`): a command line or a setting.

    Returns:
        `str`: the text, `--data /home/me/pairs.jsonl` as `--data pairs.jsonl`; addresses and relative paths stay.
    """
    return _ABSOLUTE.sub("", text)


def _setting(value: Any) -> str:
    if value is None:
        return "not set"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return code(strip_folders(text)) if text.strip() else "empty"


def _settings(knobs: Mapping[str, Any]) -> list[list[str]]:
    return [[f"`{name}`", _setting(knobs[name])] for name in sorted(knobs)]


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def _with_licence(text: str, license_id: str | None) -> str:
    return f"{text}, licence {words(license_id)}" if license_id else text


def _comparison(entry: Mapping[str, Any]) -> dict[str, Any]:
    languages = " and ".join(map(words, entry.get("languages") or ()))
    described = f"{entry['rows']:,} rows of {code(entry['file'])}{_trained_on(entry)}{_by_chance(entry)}"
    described = f"{languages}: {described}" if languages else described
    rows = [
        [
            f"{label}{_ARROWS[better]}",
            format_value(label, before),
            format_value(label, after) + _interval(entry, metric),
            format_change(label, before, after),
        ]
        for metric, (label, before, after, better) in zip(
            comparison_metrics(entry), comparison_rows(entry), strict=True
        )
    ]
    return {
        "title": words(entry["dataset"]),
        "hub_id": entry.get("hub_id"),
        "about": _with_licence(described, entry.get("license")),
        "rows": rows,
    }


def _trained_on(entry: Mapping[str, Any]) -> str:
    count = entry.get("rows_trained_on")
    return f", of which {count:,} are also training rows" if count else ""


def _interval(entry: Mapping[str, Any], metric: str) -> str:
    interval = (entry.get("intervals") or {}).get(metric)
    return "" if interval is None else f" ({interval[0]:.4f} to {interval[1]:.4f})"


def _by_chance(entry: Mapping[str, Any]) -> str:
    """One level where all metrics share it, as the scores of multiple choice do; else that of each."""
    levels: dict[float, list[str]] = {}
    for metric, value in (entry.get("chance") or {}).items():
        levels.setdefault(value, []).append(metric_label(metric).lower())
    shown = [f"{value:.4f} ({', '.join(labels)})" for value, labels in levels.items()]
    return f", by chance {', '.join(shown) if len(shown) > 1 else f'{next(iter(levels)):.4f}'}" if levels else ""


def _sample(sample: Mapping[str, str]) -> dict[str, str]:
    return {**sample, "fence": fence(sample["prompt"], sample["continuation"])}


def _dropped(dropped: Mapping[str, int]) -> str:
    counts = [f"{reason.replace('_', ' ')} {dropped[reason]:,}" for reason in sorted(dropped) if dropped[reason]]
    return ", ".join(counts) or "none"


def _dataset(data: Mapping[str, Any]) -> list[str]:
    hub_id = data.get("hub_id")
    return [
        f"[{hub_id}](https://huggingface.co/datasets/{hub_id}), {code(data['name'])}"
        if hub_id
        else code(data["name"]),
        data["role"],
        words(data.get("license") or "not stated"),
        f"{data['rows_read']:,}",
        f"{data['rows_kept']:,}",
        _dropped(data["dropped"]),
    ]


def _sources(data: Mapping[str, Any]) -> list[list[str]]:
    return [
        [words(part["name"]), words(part.get("license") or "not stated"), f"{part['rows']:,}"]
        for part in data["sources"]
    ]


def _hashes(results: Mapping[str, Any]) -> list[str]:
    files = {data["name"]: data.get("sha256") for data in results["datasets"]}
    files |= {entry["file"]: entry.get("sha256") for entry in results["evaluation"]}
    return [f"{digest}  {one_line(name)}" for name, digest in files.items() if digest]


def _architecture(model: Mapping[str, Any]) -> list[list[str]]:
    counts = {
        "Parameters": "parameters",
        "Senses per token": "num_senses",
        "Hidden size": "hidden_size",
        "Layers of the trunk": "layers",
        "Vocabulary": "vocab_size",
        "Positions": "max_positions",
    }
    shown = {label: key for label, key in counts.items() if model[key] or key != "num_senses"}
    return [["Trunk", words(model["trunk"])], *([label, f"{model[key]:,}"] for label, key in shown.items())]


def _tokenizer(results: Mapping[str, Any]) -> dict[str, Any] | None:
    """A sentence on the change of the tokenizer, and how it cuts each language before and after."""
    change = results.get("tokenizer")
    if not change:
        return None
    labels = {
        "tokens_per_sentence": "Tokens a sentence",
        "tokens_per_word": "Tokens a word",
        "characters_per_token": "Characters a token",
    }
    languages = [results["languages"]["source"], *targets_of(results)]
    before, after = (
        [use["source"], use["target"], *use.get("other_targets", ())] for use in (change["before"], change["after"])
    )
    rows = [
        [f"{label}, {language['name']}", f"{was[key]:.2f}", f"{now[key]:.2f}"]
        for language, was, now in zip(languages, before, after, strict=True)
        for key, label in labels.items()
        if key in was and key in now
    ]
    did = "were added to" if change["kind"] == "extend" else "are not of"
    text = (
        f"{change['new_tokens']:,} tokens {did} the base model's tokenizer. Their embeddings began as "
        f"{code(change['initialization'])} says (docs/tokenizers.md of the project)."
    )
    return {"text": text, "rows": rows}


def _prompt(results: Mapping[str, Any]) -> str:
    """A Python literal for the examples: the first prompt that was tried, else a place to fill."""
    prompts = [sample["prompt"] for sample in results["samples"] if sample["prompt"].strip()]
    return repr(prompts[0] if prompts else f"<{results['languages']['target']['name']} text>")


def _sentence(text: str) -> str:
    """Keeps Markdown of a run's own sentences, but stops names in them from beginning a tag or a new line."""
    return one_line(text).replace("<", "&lt;")


def _base(base: Mapping[str, Any]) -> str:
    hub_id = base.get("hub_id")
    return f"[{hub_id}](https://huggingface.co/{hub_id})" if hub_id else code(base["name"])


def _licence(results: Mapping[str, Any]) -> str:
    """The paragraph on licences; what a run says in `license_reason` tells of the base model's too."""
    name, link = results.get("license_name") or results["license"], results.get("license_link")
    said = [f"This model is under the licence {code(name)}{f' ([text](<{link}>))' if link else ''}."]
    if results["license"] == "unknown":
        said = ["No licence of this model is stated."]
    if results["license_reason"]:
        said.append(_sentence(results["license_reason"]))
    elif results["base_model"].get("license"):
        said.append(f"The base model is under {code(results['base_model']['license'])}.")
    return " ".join(said)


def _objective(results: Mapping[str, Any]) -> str:
    """The loss of a step as a formula, by the settings of the run."""
    knobs = results["training"]["hyperparameters"]
    source = results["languages"]["source"]["name"]
    targets = [each["name"] for each in targets_of(results)]
    written = [*targets, source] if knobs.get("source_lm_weight") else targets
    terms = f"w_ctx * InfoNCE(context vectors) + w_sns * InfoNCE(sense vectors) + w_lm * LM({', '.join(written)})"
    if weight := knobs.get("source_kl_weight"):
        terms += f" + {weight:g} * KL({source})"
    return terms


def _context(results: Mapping[str, Any], plots: Mapping[str, str]) -> dict[str, Any]:
    training = results["training"]
    return {
        "results": results,
        "name": words(results["model_name"]),
        "model_id": results.get("repo_id") or code(results["model_name"]),
        # JSON's strings are Python's too.
        "model_literal": json.dumps(results.get("repo_id") or results["model_name"], ensure_ascii=False),
        "base": _base(results["base_model"]),
        "license": _licence(results),
        "targets": list_names([each["name"] for each in targets_of(results)]),
        "objective": _objective(results),
        "prompt": _prompt(results),
        "tokenizer": _tokenizer(results),
        "architecture": _architecture(results["model"]),
        "comparisons": [_comparison(entry) for entry in results["evaluation"]],
        "notes": metric_notes(results["evaluation"], has_senses=results["model"]["num_senses"] > 0),
        # Of a dense model: where its sentence vectors come from.
        "representation": training["hyperparameters"].get("representation"),
        "middle_layer": training["hyperparameters"].get("middle_layer"),
        "samples": [_sample(sample) for sample in results["samples"]],
        "duration": _duration(training["seconds"]),
        "curriculum": curriculum_sentence(training),
        "phase_headers": PHASE_HEADERS,
        "phases": phase_rows(training),
        "schedule": _settings({name: knob for name, knob in training["schedule"].items() if name != "name"}),
        "hyperparameters": _settings(training["hyperparameters"]),
        "data_rows": [_dataset(data) for data in results["datasets"]],
        "sources": {words(data["name"]): _sources(data) for data in results["datasets"] if data["sources"]},
        "hashes": _hashes(results),
        "limit_sentences": [_sentence(each) for each in limit_sentences(results)],
        "plots": plots,
        "command": strip_folders(results["command"]),
        "command_fence": fence(results["command"]),
        "versions": [(words(name), words(version)) for name, version in sorted(results["versions"].items())],
    }


def render_card(results: Mapping[str, Any], plots: Mapping[str, str] | None = None) -> str:
    """
    The text of the card: a function of the results alone.

    Args:
        results (`Mapping[str, Any]`): the results of a run.
        plots (`Mapping[str, str]`, *optional*, defaults to none): relative path of each plot -> its caption.

    Returns:
        `str`: the whole README.md, metadata first.

    Raises:
        `ValueError`: if a field of the results is missing or wrong.
    """
    check_results(results)
    context = _context(results, plots or {})
    card = ModelCard.from_template(card_metadata(results), template_path=str(TEMPLATE), **context)
    # A surrogate without its partner, as a command line of other bytes than UTF-8 has them, cannot be written.
    return str(card).encode(errors="replace").decode().rstrip("\n") + "\n"


def _write_eval_results(results: Mapping[str, Any], path: Path) -> list[Path]:
    text = eval_results_yaml(results)
    if text is None:
        path.unlink(missing_ok=True)
        return []
    write_whole(path, text.encode(errors="replace"))
    return [path]


def write_card(results: Mapping[str, Any], folder: str | Path) -> list[Path]:
    """
    Write the model card, its plots and the Hub's evaluation file into the folder of a model.

    Each file appears whole, the card last. A plot or evaluation file of an earlier run that these results have no data
    for is removed, so that the folder never tells of two runs.

    Args:
        results (`Mapping[str, Any]`): the results of a run, in the form that `sensia.model_cards.results.RESULTS`
            describes.
        folder (`str` or `Path`): where to write; made where it does not exist.

    Returns:
        `list[Path]`: the files written: `plots/*.png`, `.eval_results/sensia.yaml` (where an evaluation set has a Hub
        id) and `README.md`.

    Raises:
        `ValueError`: if a field of the results is missing or wrong; nothing is written then.
    """
    check_results(results)
    folder = Path(folder)
    drawn = draw_plots(results, folder / "plots")
    written = [folder / "plots" / name for name in drawn]
    written += _write_eval_results(results, folder / EVAL_RESULTS)
    readme = folder / "README.md"
    write_whole(readme, render_card(results, {f"plots/{name}": CAPTIONS[name] for name in drawn}).encode())
    return [*written, readme]
