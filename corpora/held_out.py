"""The part of a Hub data set that evaluation reads: a split that is held out by its name, or the one asked for."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import datasets

from sensia.corpora.configurations import JOINED, Languages, configuration_in, configuration_of, same_configuration
from sensia.corpora.data_sets import hub_errors, is_clone
from sensia.corpora.languages import Language
from sensia.corpora.locations import file_kind, is_local, is_there

#: Names of splits that nobody trains on, best first.
HELD_OUT_SPLITS = (
    "test",
    "validation",
    "valid",
    "val",
    "dev",
    "devtest",
    "heldout",
    "held_out",
    "eval",
    "evaluation",
)
_LISTED = 20
# A colon within brackets belongs to a slice, as in `test[:100]`.
_COLON = re.compile(r":(?![^\[]*\])")


@dataclass(frozen=True)
class DataPart:
    """
    A part of a source: its configuration and split.

    Args:
        source (`str`): local path or Hub id.
        config_name (`str`, *optional*): configuration of a Hub data set; two with `+` between them are joined by `id`.
        split (`str`, *optional*): split of a Hub data set, or word in the file names of a folder.
        by_name (`bool`, *optional*, defaults to `False`): whether the split was not asked for but found by its name.
    """

    source: str
    config_name: str | None = None
    split: str | None = None
    by_name: bool = False

    def options(self) -> dict[str, str | None]:
        """`dict`: configuration and split, as the readers take them."""
        return {"config_name": self.config_name, "split": self.split}

    def __str__(self) -> str:
        said = [self.source]
        said += [f"configuration {self.config_name}"] if self.config_name else []
        said += [f"split {self.split}" + (" (found by its name)" if self.by_name else "")] if self.split else []
        return ", ".join(said)


def name_part(text: str) -> DataPart:
    """
    Takes apart what a user wrote: `SOURCE`, `SOURCE:SPLIT`, `SOURCE:CONFIGURATION` or `SOURCE:CONFIGURATION:SPLIT`.

    Args:
        text (`str`): the source with what follows it; a path that exists is a source whatever is in it.

    Returns:
        [`DataPart`]: with two parts, the second is in `split` until the Hub says what it is.

    Raises:
        ValueError: for more than three parts.
    """
    source, *more = _COLON.split(text)
    is_file = is_there(text) or file_kind(Path(text)) is not None
    if not more or is_file or (is_local(source) and not Path(source).expanduser().is_dir()):
        return DataPart(text)
    if len(more) > 2 or not source:
        raise ValueError(f"{text!r}: expected SOURCE, SOURCE:SPLIT or SOURCE:CONFIGURATION:SPLIT")
    return DataPart(source, (more[0] or None) if len(more) == 2 else None, more[-1] or None)


def held_out_part(
    text: str,
    *,
    config_name: str | None = None,
    split: str | None = None,
    revision: str | None = None,
    preferred: str | None = None,
    languages: Languages | None = None,
    language: Language | None = None,
) -> DataPart:
    """
    The part of a source that evaluation may read. The split `train` of a Hub data set is read only if asked for.

    Args:
        text (`str`): local path or Hub id, with a configuration and split where needed, as in [`name_part`].
        config_name (`str`, *optional*): configuration, where the text names none; taken if the data set has it.
        split (`str`, *optional*): split, where the text names none.
        revision (`str`, *optional*): branch, tag or commit of a Hub data set.
        preferred (`str`, *optional*): split to take before others that are held out too.
        languages (`tuple` of two `Language`, *optional*): those of a bitext, which its configuration is named after.
        language (`Language`, *optional*): that of texts in one language, after which their configuration is named; a
            clone of a Hub data set is then treated as the data set is.

    Returns:
        [`DataPart`]: other local paths as they are.

    Raises:
        NoLanguageError: if the configurations are named after languages, none of them after this one.
        ValueError: if there is no such configuration or split, if several configurations could be meant, or if no
            split is held out by its name; the message lists what there is.
        OSError: if the data set does not exist, is gated or private, or the Hub cannot be reached.
    """
    part = name_part(text)
    split = part.split or split
    if is_local(part.source) and not (language is not None and is_clone(part.source)):
        return DataPart(part.source, None, split)
    configurations = configurations_of(part.source, revision)
    named = part.config_name
    if named is None and part.split and same_configuration(part.split, configurations, languages, part.source):
        named, split = part.split, None
    elif named is None and config_name in configurations:
        named = config_name
    if language is not None and named is None and config_name is None:
        named = configuration_in(configurations, language, part.source)
    chosen = choose_configuration(part.source, named or config_name, configurations, languages)
    splits = splits_of(part.source, chosen, revision)
    shown = chosen if len(configurations) > 1 else None
    if split is None:
        return DataPart(part.source, shown, _choose_split(part.source, chosen, splits, preferred), by_name=True)
    for name in split.split("+"):
        if name.partition("[")[0] not in splits:
            raise ValueError(no_such(part.source, "split", name, splits, configurations if not named else []))
    return DataPart(part.source, shown, split)


def configurations_of(source: str, revision: str | None = None) -> list[str]:
    """
    The configurations of a Hub data set.

    Args:
        source (`str`): Hub id, or a folder that is a clone of the data set.
        revision (`str`, *optional*): branch, tag or commit.

    Raises:
        `ValueError`, `OSError`: as [`data_sets.load_hub`] does.
    """
    with hub_errors(source, revision=revision):
        return datasets.get_dataset_config_names(source, revision=revision)


def splits_of(source: str, configuration: str, revision: str | None = None) -> list[str]:
    """
    The splits of a configuration; of two that are joined, those that both have.

    Args:
        source (`str`): Hub id, or a folder that is a clone of the data set.
        configuration (`str`): the configuration.
        revision (`str`, *optional*): branch, tag or commit.

    Raises:
        `ValueError`, `OSError`: as [`data_sets.load_hub`] does.
    """
    with hub_errors(source, revision=revision):
        first, *more = (
            datasets.get_dataset_split_names(source, name, revision=revision) for name in configuration.split(JOINED)
        )
    return [name for name in first if all(name in splits for splits in more)]


def choose_configuration(
    source: str, named: str | None, configurations: Sequence[str], languages: Languages | None = None
) -> str:
    """
    The configuration of a Hub data set that is asked for, or that holds a pair of languages.

    Args:
        source (`str`): Hub id, for messages.
        named (`str`, *optional*): what the user named.
        configurations (`Sequence[str]`): those that there are.
        languages (`tuple` of two `Language`, *optional*): of the source and of the target side.

    Returns:
        `str`: the one named, the only one, that of the languages, or `default`; see [`configuration_of`].

    Raises:
        `ValueError`: if it is not there, or several could be meant.
    """
    if named is not None:
        found = same_configuration(named, configurations, languages, source)
        if found is None:
            raise ValueError(no_such(source, "configuration", named, configurations, []))
        return found
    if len(configurations) == 1:
        return configurations[0]
    found = configuration_of(configurations, languages, source) if languages else None
    if found is None and "default" in configurations:
        return "default"
    if found is None:
        raise ValueError(
            f"data set {source!r} has several configurations: {listed(configurations)}. Name one, as in "
            f"{source}:{configurations[0]}, or {source}:{configurations[0]}:SPLIT with a split."
        )
    return found


def is_held_out(split: str) -> bool:
    """Tells if the name of a split says that nobody trains on it."""
    return bool(_words(split) & set(HELD_OUT_SPLITS)) and not _trains(split)


def _choose_split(source: str, configuration: str, splits: Sequence[str], preferred: str | None) -> str:
    held_out = [name for name in splits if is_held_out(name)]
    if preferred in splits and not _trains(str(preferred)):
        return str(preferred)
    for name in HELD_OUT_SPLITS:
        if name in held_out:
            return name
    if len(held_out) == 1:
        return held_out[0]
    what = "several splits that could be held out" if held_out else "no split whose name says that it is held out"
    raise ValueError(
        f"data set {source!r} has {what}: there is {listed(splits)}. Evaluation on training rows says little. Name "
        f"the split to measure on, as in {source}:{configuration}:{(held_out or splits)[0]}."
    )


def _words(split: str) -> set[str]:
    words = re.split(r"[^a-z]+", split.lower())
    return {split.lower(), *words}


def _trains(split: str) -> bool:
    return bool(_words(split) & {"train", "training"})


def no_such(source: str, kind: str, given: str, there: Sequence[str], configurations: Sequence[str]) -> str:
    near = difflib.get_close_matches(given, there, n=1)
    also = f"; configurations are {listed(configurations)}" if len(configurations) > 1 else ""
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"data set {source!r} has no {kind} {given!r}; there is {listed(there)}{also}{hint}"


def listed(names: Sequence[str]) -> str:
    rest = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")
