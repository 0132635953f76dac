"""Scores a model, Backpack or dense, on tasks, and writes what came out with what it was measured on.

    python examples/score.py --model runs/sensia-id-mini/final --config examples/configs/score.yaml --data DIR \\
        --output scores-id.json
    python examples/score.py --model gpt2 --tasks xcopa=val.id.jsonl wordsim=en-rg-65.tsv --output scores.json
    python examples/score.py --model gpt2 --suite paper --target_language sw --output scores-sw.json

`--tasks` takes names of the suite, or KIND=SOURCE; all of the suite where it is left out. Tasks that the output file
has of the same model, data, settings and versions are not measured again. A task whose data are missing or gated is
named, the others go on, and the exit code is 1. What a data set does not offer in the language is named too, and is no
error. `--card` puts the scores into the card beside the model.
"""

import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from sensia.bundled import bundled
from sensia.evaluation.tasks.registry import make_tasks
from sensia.evaluation.tasks.score_tables import scores_table
from sensia.evaluation.tasks.scoring import load_scored_model, score_tasks
from sensia.model_cards import with_scores, write_card
from sensia.trainers import parse_arguments
from sensia.trainers.command_ends import exit_on_input_error
from sensia.trainers.setting_ranges import check_languages, check_names, check_range
from sensia.trainers.yaml_settings import read_yaml
from sensia.whole_files import write_whole

# How the files of suites that come with the project begin.
_SUITE = "score_"


@dataclass
class ScoreArguments:
    """Settings of `sensia score`: the model and the tasks; see each field's help."""

    model: str = field(metadata={"help": "Causal language model: Hub id or folder."})
    output: str = field(
        metadata={"help": "JSON file of the scores. Scores that it already has are not measured again."}
    )
    tasks: list[str] = field(
        default_factory=list, metadata={"help": "Tasks to measure: names of the suite, or KIND=SOURCE."}
    )
    suite: dict | str = field(
        default_factory=dict,
        metadata={
            "help": "Tasks by name, in the settings file. Or paper: the benchmarks of the paper in any language."
        },
    )
    data: str = field(default=".", metadata={"help": "Folder that data files are relative to."})
    source_language: str = field(default="en", metadata={"help": "Language of the base model, any code."})
    target_language: str = field(default="id", metadata={"help": "Language adapted to, any code."})
    tokenizer: str | None = field(
        default=None, metadata={"help": "Tokenizer, if it is not in the folder of the model."}
    )
    revision: str | None = field(default=None, metadata={"help": "Branch, tag or commit of a Hub model."})
    device: str | None = field(default=None, metadata={"help": "cpu or cuda. If not given, a GPU if there is one."})
    base_scores: str | None = field(
        default=None, metadata={"help": "JSON file of the scores of the base model. The card shows them as before."}
    )
    card: bool = field(default=False, metadata={"help": "Put the scores into the card in the model's folder."})

    def __post_init__(self):
        check_names(self, "tasks")
        check_languages(self, "source_language", "target_language")
        check_range(self, "be cpu, cuda or cuda:NUMBER", re.compile(r"cpu|cuda(:\d+)?").fullmatch, "device")


def bundled_suite(name: str) -> dict[str, Any]:
    """
    The tasks of a suite that comes with the project.

    Args:
        name (`str`): `paper` is the suite in `examples/configs/score_paper.yaml`.

    Raises:
        ValueError: if there is none of this name; the message lists those that there are.
    """
    known = sorted(path.stem.removeprefix(_SUITE) for path in bundled("configs").glob(f"{_SUITE}*.yaml"))
    if name not in known:
        raise ValueError(f"`suite` must be {' or '.join(known)}, or tasks by name in a config, got {name!r}.")
    return read_yaml(bundled("configs") / f"{_SUITE}{name}.yaml")["suite"]


def read_scores(path: str | Path) -> dict[str, Any]:
    """Scores of an earlier run."""
    try:
        scores = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not a file of scores: {error}.") from error
    if not isinstance(scores, dict) or not {"model", "tasks", "missing"} <= scores.keys():
        raise ValueError(f"{path} is not a file of scores: it has no model, tasks and missing.")
    return scores


def write_scores(path: str, scores: dict[str, Any]):
    write_whole(Path(path), (json.dumps(scores, ensure_ascii=False, indent=1) + "\n").encode())


def update_card(folder: Path, scores: dict[str, Any], base: dict[str, Any] | None):
    """Writes the card anew, from the run's results and the scores."""
    results = folder / "results.json"
    if not results.is_file():
        raise ValueError(f"{folder} has no results.json to write a card from: `--card` is for adapted models.")
    updated = with_scores(json.loads(results.read_text(encoding="utf-8")), scores, base)
    write_card(updated, folder)
    write_whole(results, (json.dumps(updated, indent=1) + "\n").encode())


def main() -> int:
    (args,) = parse_arguments(ScoreArguments, description=__doc__)
    languages = {"source_language": args.source_language, "target_language": args.target_language}
    suite = bundled_suite(args.suite) if isinstance(args.suite, str) else args.suite
    tasks = make_tasks(args.tasks, suite, **languages)
    if not tasks:
        raise ValueError("There is nothing to score: name `--tasks`, or give a `--config` with a suite.")
    done = read_scores(args.output) if Path(args.output).exists() else None
    base = read_scores(args.base_scores) if args.base_scores is not None else None
    model, tokenizer = load_scored_model(
        args.model, tokenizer_name=args.tokenizer, revision=args.revision, device=args.device
    )
    console = Console()
    scores = score_tasks(
        model,
        tokenizer,
        tasks,
        model_name=args.model,
        folder=args.data,
        done=done,
        save=lambda found: write_scores(args.output, {**found, "languages": languages}),
        say=lambda line: console.print(line, highlight=False, markup=False),
        progress=sys.stderr.isatty(),
    )
    write_scores(args.output, {**scores, "languages": languages})
    console.print(scores_table(scores))
    for name, why in scores["missing"].items():
        console.print(f"{name} was not measured: {why}", highlight=False, markup=False, soft_wrap=True)
    for name, why in scores["not_offered"].items():
        console.print(f"{name} is not offered: {why}", highlight=False, markup=False, soft_wrap=True)
    if args.card:
        update_card(Path(args.model), scores, base)
    return 1 if scores["missing"].keys() & {task.name for task in tasks} else 0


def run():
    """Carries out the command; wrong input ends it with one line."""
    with exit_on_input_error(Path(sys.argv[0]).name):
        sys.exit(main())


if __name__ == "__main__":
    run()
