"""Licences of a run's parts: their demands, compared with those of the licence chosen for the result."""

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import HfApi
from huggingface_hub.repocard import metadata_load

from sensia.corpora.licences import COPYLEFT, NO_DERIVATIVES, SHARE_ALIKE, demands_of, licences_in, told
from sensia.trainers.pair_sets import PairSet
from sensia.trainers.run_arguments import AdaptArguments

#: Lies beside data files and says of each what its licence and sources are.
SOURCES_FILE = "sources.json"
_SECONDS_TO_ASK = 10
# Both demand that what is made from a work stays under its licence: neither is laxer, but they may not go together.
_RECIPROCAL = frozenset({SHARE_ALIKE, COPYLEFT})


@dataclass(frozen=True)
class LicensedPart:
    """
    Something that the adapted model is made from.

    Args:
        what (`str`): what it is and its name, as in `bitext train.jsonl`.
        licence (`str`, *optional*): its licence; `None` where it is not stated.
    """

    what: str
    licence: str | None

    @property
    def demands(self) -> frozenset[str] | None:
        """`frozenset` of `str`, *optional*: what its licence demands, where that is known."""
        return demands_of(self.licence) if self.licence else None


def stated_about(path: Path) -> dict[str, Any]:
    """
    Reads what the sources file beside a data file says of it.

    Args:
        path (`Path`): the data file.

    Raises:
        ValueError: if the sources file cannot be read, or is not an object by file names.
    """
    listing = path.parent / SOURCES_FILE
    if not listing.is_file():
        return {}
    try:
        told_of_all = json.loads(listing.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{listing} is not JSON: {error}") from error
    of_file = told_of_all.get(path.name, {}) if isinstance(told_of_all, dict) else None
    if not isinstance(of_file, dict):
        raise ValueError(f"{listing}: expected an object of file names, and for {path.name} an object in it")
    return of_file


def data_licence(pairs: PairSet, args: AdaptArguments) -> str | None:
    """
    The licence of training or evaluation data: of its own entry in the settings, of its sources file, of the setting
    for all bitext, of its Hub card.

    Args:
        pairs ([`PairSet`]): the data.
        args ([`AdaptArguments`]): the settings.
    """
    stated = pairs.licence or stated_about(Path(pairs.path)).get("license")
    stated = stated or (args.data_license if pairs.role == "bitext" else None)
    return stated or (hub_licence(pairs.path, "dataset") if pairs.part else None)


def base_licence(name: str) -> str | None:
    """
    The licence that the card of a base model states.

    Args:
        name (`str`): Hub id or folder.
    """
    if not Path(name).exists():
        return hub_licence(name, "model")
    card = Path(name) / "README.md"
    try:
        return _licence_of_card(metadata_load(card) or {}) if card.is_file() else None
    except (ValueError, yaml.YAMLError):  # a card whose metadata cannot be read states nothing
        return None


@functools.cache
def hub_licence(repo_id: str, repo_type: str) -> str | None:
    """
    The licence that the card of a Hub repository states; `None` too where the Hub cannot be asked.

    Args:
        repo_id (`str`), repo_type (`str`): the repository.
    """
    try:
        ask = HfApi().dataset_info if repo_type == "dataset" else HfApi().model_info
        card = ask(repo_id, timeout=_SECONDS_TO_ASK).card_data
    except Exception:  # whatever the reason, no run may end because a licence is not known
        return None
    return _licence_of_card(card.to_dict() if card else {})


def _licence_of_card(metadata: dict[str, Any]) -> str | None:
    stated = metadata.get("license")
    if stated == "other":
        stated = metadata.get("license_name") or stated
    names = [str(name) for name in (stated if isinstance(stated, list) else [stated]) if name not in (None, "unknown")]
    return " AND ".join(names) or None


def licensed_parts(args: AdaptArguments, train: list[PairSet]) -> list[LicensedPart]:
    """
    The base model and the training data, with their licences.

    Args:
        args ([`AdaptArguments`]): the settings.
        train (`list` of [`PairSet`]): the training data.
    """
    # Of a base model that is forgotten, only the architecture is used.
    base = [] if args.from_scratch else [LicensedPart(f"base model {Path(args.model).name}", base_licence(args.model))]
    return base + [
        LicensedPart(f"{each.role} {each.part or Path(each.path).name}", data_licence(each, args)) for each in train
    ]


def licence_warnings(chosen: str | None, parts: list[LicensedPart]) -> list[str]:
    """
    Names, in sentences, each part whose licence demands more than the licence chosen for the result.

    Args:
        chosen (`str`, *optional*): licence of the result, as an identifier of the Hub.
        parts (`list` of [`LicensedPart`]): what the result is made from.
    """
    forbidding = [part for part in parts if NO_DERIVATIVES in (part.demands or ())]
    warnings = [
        f"The licence of {part.what}, {part.licence}, does not allow that adapted versions are passed on."
        for part in forbidding
    ]
    kept = demands_of(chosen) if chosen else None
    if kept is None:
        return warnings
    for part in parts:
        lost = (part.demands or frozenset()) - kept - {NO_DERIVATIVES} - (_RECIPROCAL if kept & _RECIPROCAL else set())
        if lost:
            warnings.append(
                f"The chosen licence, {chosen}, is laxer than that of {part.what}, {part.licence}: it does not demand "
                f"{told(lost)}. Whoever publishes the model has to be sure that they may."
            )
    return warnings


def licence_reason(chosen: str | None, parts: list[LicensedPart]) -> str:
    """
    Writes the card's paragraph on licences: those of the parts, their demands, and how the chosen one compares.

    Args:
        chosen (`str`, *optional*), parts (`list` of [`LicensedPart`]): as in [`licence_warnings`].
    """
    demanded = "; ".join(f"{part.what}: {_told_demands(part)}" for part in parts)
    sentences = [_told_licences(parts), f"What these licences demand: {demanded}."]
    if chosen is None:
        sentences.append("No licence was chosen for the adapted model; who publishes it has to.")
    warnings = licence_warnings(chosen, parts)
    return " ".join([*sentences, *warnings, *(_comparison(chosen, parts, bool(warnings)) if chosen else [])])


def _told_licences(parts: list[LicensedPart]) -> str:
    base = [part.licence or "a licence that is not stated" for part in parts if part.what.startswith("base model ")]
    data = dict.fromkeys(
        part.licence or "licences that were not stated" for part in parts if not part.what.startswith("base model ")
    )
    begin = f"The base model is under {base[0]}, the" if base else "The"
    return f"{begin} training bitext under {', '.join(data)}."


def _told_demands(part: LicensedPart) -> str:
    if part.licence is None:
        return "not stated"
    return "not known here" if part.demands is None else told(part.demands)


def _comparison(chosen: str, parts: list[LicensedPart], warned: bool) -> list[str]:
    kept = demands_of(chosen)
    if kept is None:
        return [f"What the chosen licence, {chosen}, demands is not known here, so it was not compared with theirs."]
    unknown = [part.what for part in parts if part.demands is None]
    reciprocal = dict.fromkeys(
        name
        for part in parts
        for name in licences_in(part.licence or "")
        if name != chosen and kept & _RECIPROCAL and (demands_of(name) or frozenset()) & _RECIPROCAL
    )
    if unknown:
        return [f"The chosen licence, {chosen}, was not compared with that of {', '.join(unknown)}."]
    if reciprocal:
        return [f"Whether the chosen licence, {chosen}, is compatible with {', '.join(reciprocal)} was not checked."]
    return [] if warned else [f"The chosen licence, {chosen}, has demands of all these kinds."]
