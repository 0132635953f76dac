"""Writes docs/settings.md: every setting of every command, from the dataclasses that define them.

python docs/settings_page.py
"""

from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from transformers import TrainingArguments

import sensia  # noqa: F401 (in a checkout, finds the packages)
from sensia.commands.bitext import BitextArguments
from sensia.commands.inspect_senses import InspectArguments
from sensia.commands.mine import MineArguments
from sensia.commands.score import ScoreArguments
from sensia.commands.steer import SteerArguments
from sensia.commands.study_senses import StudyArguments
from sensia.commands.tokenizer import TokenizerArguments
from sensia.space.settings import SpaceArguments
from sensia.trainers import SensiaConfig
from sensia.trainers.dense_alignment import DenseAlignmentConfig
from sensia.trainers.pretraining import PretrainArguments
from sensia.trainers.run_arguments import AdaptArguments

PAGE = Path(__file__).with_name("settings.md")
INTRODUCTION = """# Settings

Every command takes its settings from `--config FILE.yaml`, from the command line as `--name value`, or from both: the
command line wins. `sensia COMMAND --print_config` prints a file with all of them to start from. `adapt` and `pretrain`
also take every field of `transformers.TrainingArguments`; only those with another default are listed here.

This page is written by `python docs/settings_page.py`.
"""
SECTIONS: dict[str, tuple[str, tuple[type, ...]]] = {
    "adapt": ("sensia adapt", (AdaptArguments, SensiaConfig)),
    "dense": ("examples/align_dense.py, beside those of `sensia adapt`", (DenseAlignmentConfig,)),
    "pretrain": ("sensia pretrain", (PretrainArguments,)),
    "score": ("sensia score", (ScoreArguments,)),
    "tokenizer": ("sensia tokenizer", (TokenizerArguments,)),
    "bitext": ("sensia bitext", (BitextArguments,)),
    "mine": ("sensia mine", (MineArguments,)),
    "space": ("sensia space", (SpaceArguments,)),
    "inspect": ("sensia inspect", (InspectArguments,)),
    "study": ("sensia study", (StudyArguments,)),
    "steer": ("sensia steer", (SteerArguments,)),
}


def settings_page() -> str:
    """The page, in Markdown."""
    return "\n".join([INTRODUCTION, *(_section(*section) for section in SECTIONS.values())])


def own_settings(settings_class: type) -> Iterator[Field]:
    """Settings that a class adds to its base class, or whose default it changes."""
    base = settings_class.__mro__[1]
    inherited = {each.name: each for each in fields(base)} if issubclass(base, TrainingArguments) else {}
    for each in fields(settings_class):
        if each.init and (each.name not in inherited or each.default != inherited[each.name].default):
            yield each


def _section(title: str, classes: tuple[type, ...]) -> str:
    settings = [each for settings_class in classes for each in own_settings(settings_class)]
    rows = [_row(each) for each in sorted(settings, key=lambda each: not _is_required(each))]
    return "\n".join([f"## {title}", "", "| setting | default | meaning |", "|---|---|---|", *rows, ""])


def _row(each: Field) -> str:
    meaning = " ".join(str(each.metadata.get("help", "")).split()).replace("|", "\\|")
    return f"| `{each.name}` | {_shown(each)} | {meaning} |"


def _is_required(each: Field) -> bool:
    return each.default is MISSING and each.default_factory is MISSING


def _shown(each: Field) -> str:
    if _is_required(each):
        return "required"
    default: Any = each.default if each.default_factory is MISSING else each.default_factory()  # type: ignore[misc]
    return "" if default in (None, [], "") else f"`{str(default).lower() if isinstance(default, bool) else default}`"


if __name__ == "__main__":
    PAGE.write_text(settings_page(), encoding="utf-8")
