"""Tasks on which a model is scored: each reads its data, describes them, and measures the model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sensia.corpora import find_language, held_out_part, read_instructions, read_pairs, read_texts
from sensia.corpora.configurations import check_pair_offered
from sensia.corpora.data_folder import locate
from sensia.corpora.data_sets import is_clone
from sensia.corpora.held_out import configurations_of, name_part
from sensia.corpora.languages import NoLanguageError
from sensia.corpora.locations import is_local
from sensia.corpora.rows import describe_rows, read_rows
from sensia.evaluation.bitext import measure_bitext
from sensia.evaluation.perplexity import measure_perplexity
from sensia.evaluation.tasks.choice_readers import CHOICE_FORMS, read_choices
from sensia.evaluation.tasks.choices import measure_choices
from sensia.evaluation.tasks.instructions import measure_instructions
from sensia.evaluation.tasks.loaded import Loaded, NotOfferedError
from sensia.evaluation.tasks.mixture_ablation import measure_mixture_ablation
from sensia.evaluation.tasks.topic_rows import read_topics
from sensia.evaluation.tasks.topics import measure_topics
from sensia.evaluation.tasks.word_lists import (
    load_lexicon,
    load_procrustes,
    load_similarity,
    load_topology,
    refuse_without_senses,
)

# Settings with which a Hub data set is loaded.
_HUB_OPTIONS = {"config_name": None, "split": None, "revision": None}


@dataclass(frozen=True)
class Task:
    """
    A task on which to score a model.

    Args:
        name (`str`): name in tables.
        kind (`str`): one of [`TASK_KINDS`].
        source (`str`): local file, or Hub id if the kind can be read from the Hub.
        settings (`dict`, *optional*): settings of the kind in [`TASK_KINDS`] that differ from the defaults.
    """

    name: str
    kind: str
    source: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        if self.kind not in TASK_KINDS:
            raise ValueError(f"Task {self.name}: the kind must be one of {', '.join(TASK_KINDS)}, got {self.kind!r}.")
        unknown = set(self.settings) - set(TASK_KINDS[self.kind].defaults)
        if unknown:
            known = ", ".join(TASK_KINDS[self.kind].defaults)
            raise ValueError(f"Task {self.name}: a task of kind {self.kind} has {known}, not {sorted(unknown)[0]!r}.")

    def all_settings(self) -> dict[str, Any]:
        """All settings, with defaults filled in."""
        return {**TASK_KINDS[self.kind].defaults, **self.settings}

    def load(self, folder: str | Path = ".") -> Loaded:
        """
        Reads the data.

        Args:
            folder (`str` or `Path`, *optional*): what local files are relative to.

        Raises:
            NotOfferedError: if a data set has nothing in the language.
            OSError: if the data are missing, gated or cannot be reached.
            ValueError: if the data are damaged or of another format.
        """
        settings = self.all_settings()
        if settings.get("test"):
            settings["test"] = locate(folder, settings["test"])
        source = locate(folder, self.source)
        try:
            return TASK_KINDS[self.kind].load(*_held_out(source, settings))
        except NoLanguageError as error:
            if not _is_data_set(source):
                raise
            raise NotOfferedError(str(error)) from None

    def describe(self) -> dict[str, Any]:
        """Settings on which the scores depend, besides data and model."""
        # The location of a file is left out, because the data are identified by their hash. Columns that are found by
        # their language are left out too, and a language that only chooses a configuration, which the data say.
        given = self.all_settings().items()
        passing = {"test", *([] if self.kind == "xcopa" else ["language"])}
        settings = {name: value for name, value in given if name not in passing and (name not in _COLUMNS or value)}
        return {"kind": self.kind, "settings": settings}


def _is_data_set(source: str) -> bool:
    """Tells a data set of the Hub, or a clone of one, from files of the user's own."""
    name = name_part(source).source
    return not is_local(name) or is_clone(name)


def _held_out(source: str, settings: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Chooses the part of a Hub data set: that of the language, and the split asked for or one that is held out."""
    if not _HUB_OPTIONS.keys() <= settings.keys() or "test" in settings:
        return source, settings
    codes = [settings[name] for name in _LANGUAGES if name in settings]
    languages = (find_language(codes[0]), find_language(codes[1])) if codes else None
    named = settings.get("language")
    if languages and _is_data_set(source) and settings["config_name"] is None and name_part(source).split is None:
        check_pair_offered(configurations_of(source, settings["revision"]), languages, source)
    language = find_language(named) if named and _is_data_set(source) else None
    part = held_out_part(source, **_hub(settings), languages=languages, language=language)
    # A configuration or revision given with a local path is left for the reader to refuse.
    given = {"split": part.split} if is_local(part.source) and language is None else part.options()
    return part.source, {**settings, **given}


@dataclass(frozen=True)
class _Kind:
    load: Callable[[str, dict[str, Any]], Loaded]
    defaults: dict[str, Any]


def _first(rows: Sequence[Any], limit: int | None) -> list[Any]:
    return list(rows[:limit])


def _hub(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: settings[name] for name in _HUB_OPTIONS}


def _load_texts(source: str, settings: dict[str, Any]) -> Loaded:
    table = read_texts(source, column=settings["column"], **_hub(settings))
    texts = _first(table["text"], settings["limit"])

    def measure(model, tokenizer, progress: bool) -> dict[str, Any]:
        return measure_perplexity(model, tokenizer, texts, progress=progress) | {"chance": {}}

    return Loaded(measure, [describe_rows(source, ({"text": text} for text in texts), **_hub(settings))])


def _load_instructions(source: str, settings: dict[str, Any]) -> Loaded:
    conversations = _first(read_instructions(source, **_hub(settings)), settings["limit"])

    def measure(model, tokenizer, progress: bool) -> dict[str, Any]:
        return measure_instructions(model, tokenizer, conversations, progress=progress)

    described = ({"messages": turns} for turns in conversations)
    return Loaded(measure, [describe_rows(source, described, **_hub(settings))])


def _load_bitext(source: str, settings: dict[str, Any]) -> Loaded:
    sources, targets, data = _read_sides(source, settings)

    def measure(model, tokenizer, progress: bool) -> dict[str, Any]:
        options = _vector_options(settings)
        return measure_bitext(model, tokenizer, sources, targets, progress=progress, **options)

    return Loaded(measure, [data])


def _load_mixture(source: str, settings: dict[str, Any]) -> Loaded:
    _, targets, data = _read_sides(source, settings)

    def measure(model, tokenizer, progress: bool) -> dict[str, Any]:
        refuse_without_senses(model)
        return measure_mixture_ablation(model, tokenizer, targets)

    return Loaded(measure, [data])


def _read_sides(source: str, settings: Mapping[str, Any]) -> tuple[list[str], list[str], dict[str, Any]]:
    """Both sides of a bitext, and its description."""
    languages = {name: settings[name] for name in ("source_language", "target_language")}
    columns = {name: settings[name] for name in _COLUMNS}
    pairs = read_pairs(source, **languages, **columns, **_hub(settings))
    rows = [row for row in zip(pairs["source"], pairs["target"], strict=True) if row[0] and row[1]]
    rows = _first(rows, settings["limit"])
    described = ({"source": left, "target": right} for left, right in rows)
    sources, targets = [row[0] for row in rows], [row[1] for row in rows]
    return sources, targets, describe_rows(source, described, **_hub(settings))


def _vector_options(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: settings[name] for name in ("layer", "pooling_temperature")}


def _choice_loader(form: str) -> Callable[[str, dict[str, Any]], Loaded]:
    def load(source: str, settings: dict[str, Any]) -> Loaded:
        rows = _first(read_rows(source, **_hub(settings)), settings["limit"])
        items = read_choices(rows, form, settings.get("language"))

        def measure(model, tokenizer, progress: bool) -> dict[str, Any]:
            return measure_choices(model, tokenizer, items, progress=progress)

        return Loaded(measure, [describe_rows(source, rows, **_hub(settings))])

    return load


def _load_topics(source: str, settings: dict[str, Any]) -> Loaded:
    train, test = read_topics(source, settings["test"], settings)

    def measure(model, tokenizer, progress: bool) -> dict[str, Any]:
        options = {**_vector_options(settings), "progress": progress}
        return measure_topics(model, tokenizer, train.texts, train.topics, test.texts, test.topics, **options)

    return Loaded(measure, [train.data, test.data])


_COLUMNS = {"source_column": None, "target_column": None}
_LANGUAGES = {"source_language": "en", "target_language": "id"}
_VECTORS = {"layer": -1, "pooling_temperature": None}  # the model's own temperature
# The configuration of a data set of the Hub is that of the language, unless one is named.
_ONE_LANGUAGE = {"language": None, **_HUB_OPTIONS, "limit": None}
_SHUFFLES = {"shuffles": 200, "seed": 0}
_TOPICS = {"topic": "category", "id": "index_id", "column": "text", "test": ""}

#: Kinds of tasks, with the settings of each kind and their defaults.
TASK_KINDS = {
    "perplexity": _Kind(_load_texts, {"column": "text", **_ONE_LANGUAGE}),
    "bitext": _Kind(_load_bitext, {**_LANGUAGES, **_COLUMNS, **_VECTORS, **_HUB_OPTIONS, "limit": None}),
    "instructions": _Kind(_load_instructions, {**_HUB_OPTIONS, "limit": None}),
    **{form: _Kind(_choice_loader(form), _ONE_LANGUAGE) for form in CHOICE_FORMS},
    "lexicon": _Kind(load_lexicon, {"max_words": 3000, "shared_tokens": False, "seed": 0}),
    "wordsim": _Kind(load_similarity, {}),
    "topology": _Kind(load_topology, _SHUFFLES),
    "procrustes": _Kind(load_procrustes, {"folds": 5, **_SHUFFLES}),
    "mixture": _Kind(_load_mixture, {**_LANGUAGES, **_COLUMNS, **_HUB_OPTIONS, "limit": None}),
    "topics": _Kind(_load_topics, {**_LANGUAGES, **_VECTORS, **_HUB_OPTIONS, **_TOPICS}),
}


def make_tasks(
    wanted: Sequence[str], suite: Mapping[str, Mapping[str, Any]], *, source_language: str, target_language: str
) -> list[Task]:
    """
    Makes tasks from the names that a user gives and a suite of settings.

    Args:
        wanted (`Sequence[str]`): names of the suite, or `KIND=SOURCE` for a task that is not in it; all of the suite
            where nothing is named. The latter is called by its kind, and by its file too where a kind has several.
        suite (`Mapping`): `kind`, `source` and settings by name. `{source}` and `{target}` in a text stand for the
            two-letter codes of the languages (three letters where there are none).
        source_language (`str`), target_language (`str`): language codes for tasks that do not state their languages.

    Returns:
        `list[Task]`

    Raises:
        ValueError: for a name that is not in the suite, an unknown kind or setting, or two tasks of the same name.
    """
    languages = [find_language(code) for code in (source_language, target_language)]
    source, target = (language.iso1 or language.iso3 for language in languages)
    codes = {"source_language": source, "target_language": target, "language": target}
    given = _names_of_files([entry for entry in wanted if entry.partition("=")[2]])
    tasks = []
    for name in wanted or suite:
        kind, _, path = name.partition("=")
        if path:
            spec: Mapping[str, Any] = {"kind": kind, "source": path}
            name = given[name]
        elif name in suite:
            spec = suite[name]
        else:
            raise ValueError(f"No task {name!r}: name one of {', '.join(suite) or 'a suite'}, or give KIND=SOURCE.")
        tasks.append(_task(name, spec, codes))
    names = [task.name for task in tasks]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"Task {twice} is named twice: name each task once, or give each its own name in a suite.")
    return tasks


def _names_of_files(entries: Sequence[str]) -> dict[str, str]:
    """Names for `KIND=SOURCE`: the kind, and where a kind has several files, as much of their paths as differs."""
    names = {}
    for entry in entries:
        kind, _, source = entry.partition("=")
        others = [other.partition("=")[2] for other in entries if other != entry and other.startswith(f"{kind}=")]
        parts = [part for part in Path(source).parts if part != Path(source).anchor]
        tails = ("/".join(parts[-length:]) for length in range(1, len(parts) + 1))
        tail = next(
            (tail for tail in tails if not any(f"/{other}".endswith(f"/{tail}") for other in others)), "/".join(parts)
        )
        names[entry] = f"{kind} {tail}" if others else kind
    return names


def _task(name: str, given: Any, codes: Mapping[str, str]) -> Task:
    if not isinstance(given, Mapping):
        raise ValueError(f"Task {name} needs `kind` and `source`, got {given!r}.")
    source_code, target_code = codes["source_language"], codes["target_language"]
    spec = {
        key: value.replace("{source}", source_code).replace("{target}", target_code)
        if isinstance(value, str)
        else value
        for key, value in given.items()
    }
    if not {"kind", "source"} <= spec.keys():
        raise ValueError(f"Task {name} needs `kind` and `source`, got {', '.join(spec) or 'nothing'}.")
    kind, source = spec.pop("kind"), spec.pop("source")
    known = TASK_KINDS[kind].defaults if kind in TASK_KINDS else {}
    return Task(name, kind, source, {**{key: code for key, code in codes.items() if key in known}, **spec})
