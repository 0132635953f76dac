"""Measures the claims of the SENSIA paper: makes the runs that are missing, keeps what came out, judges, draws, tells.

    python examples/reproduce.py --scale mini --data DIR                     # every run of the plan, then the report
    python examples/reproduce.py --scale mini --data DIR --only sensia       # runs of these names, then the report
    python examples/reproduce.py --scale mini --data DIR --experiment curves # a first experiment, then the report
    python examples/reproduce.py --scale mini --report                       # the report of what is there
    python examples/reproduce.py --scale mini_long --data DIR --hours 16     # five times the length, in 16 hours
    python examples/reproduce.py --scale tokenizers --data DIR               # what new tokens for a language give
    python examples/reproduce.py --scale recipes --data DIR                  # what an alignment costs
    python examples/reproduce.py --scale full --data DIR --dry-run           # the commands, checked and not started

DIR holds parallel/, eval/ and, for models that the plan pretrains itself, english/. A run is examples/adapt.py (of a
dense model examples/align_dense.py) and examples/score.py with the settings of the plan
(examples/configs/reproduce_SCALE.yaml). A run may be stopped at any moment: the same command goes on from the last
checkpoint and skips what is done. Each run leaves one small file in docs/results/reproduction. All pages are made from
these files alone: docs/claims.md of all scales, docs/claims-SCALE.md of one, and docs/experiments.md. A plan with a
part `compare` has docs/comparison-SCALE.md.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

import yaml
from rich.console import Console
from transformers import TrainingArguments

from reproduction.comparison import write_comparison_report
from reproduction.experiments import EXPERIMENTS
from reproduction.plan import Base, Run, read_comparisons, read_plan, read_results, summarize_run
from reproduction.report import write_report
from sensia.evaluation.tasks.registry import make_tasks
from sensia.trainers import SensiaConfig
from sensia.trainers.arguments import parse_arguments as parse_settings
from sensia.trainers.arguments import read_config, read_yaml
from sensia.trainers.command_ends import exit_on_input_error
from sensia.trainers.dense_alignment import DenseAlignmentConfig
from sensia.trainers.pretraining import PretrainArguments
from sensia.trainers.run_arguments import AdaptArguments
from sensia.whole_files import write_whole

ROOT = Path(__file__).resolve().parents[1]
SCALES = ("mini", "mini_long", "full", "tokenizers", "recipes")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", choices=SCALES, default="mini", help="which plan (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="folder of parallel/ and eval/; not needed for --report")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="runs of these names alone")
    parser.add_argument("--experiment", choices=EXPERIMENTS, help="the runs of one of the first experiments alone")
    parser.add_argument("--runs", type=Path, default=Path("runs/reproduce"), help="where runs go (%(default)s)")
    parser.add_argument("--hours", type=float, help="begin no run after so many hours; what is missing is then said")
    parser.add_argument("--report", action="store_true", help="start nothing, tell what is there")
    parser.add_argument("--dry-run", action="store_true", help="print the commands and start nothing")
    args = parser.parse_args()
    if args.experiment is not None:
        if args.only is not None:
            parser.error("--experiment names its runs itself: leave --only out")
        args.only = list(EXPERIMENTS[args.experiment].kinds)
    if args.data is None and not args.report:
        parser.error("runs need --data")
    if args.hours is not None and not args.hours > 0:
        parser.error(f"--hours must be more than 0, got {args.hours}")
    return args


def commands(run: Run, folder: Path, args: argparse.Namespace) -> list[list[str]]:
    """Writes the settings of a run into its folder and checks them; what is typed then."""
    model = {} if run.base is None else {"model": str(base_folder(run.base, args) / "final")}
    for name, settings in (("adapt", run.settings | model), ("score", {"suite": run.suite})):
        write_settings(settings, folder / f"{name}.yaml")
    language = ["--data", str(args.data.resolve()), "--target_language", run.language]
    script = "examples/align_dense.py" if run.is_dense else "examples/adapt.py"
    adapt = [script, "--config", str(folder / "adapt.yaml"), *language, "--output_dir", str(folder)]
    score = ["examples/score.py", "--config", str(folder / "score.yaml"), *language]
    score += ["--model", str(folder / "final"), "--output", str(folder / "scores.json")]
    config_type = DenseAlignmentConfig if run.is_dense else SensiaConfig
    parse_settings(AdaptArguments, config_type, description="", arguments=adapt[1:])
    make_tasks([], run.suite, source_language="en", target_language=run.language)
    # What `accelerate config` says of GPUs holds at full scale; it would take a thread from a CPU.
    launch = ["-m", "accelerate.commands.launch", "--quiet"] if args.scale == "full" else []
    pretrain = [] if run.base is None else [pretraining_command(run.base, args)]
    return [*([sys.executable, *launch, *each] for each in (*pretrain, adapt)), [sys.executable, *score]]


def base_folder(base: Base, args: argparse.Namespace) -> Path:
    return args.runs.resolve() / args.scale / "bases" / base.name


def pretraining_command(base: Base, args: argparse.Namespace) -> list[str]:
    """Writes the settings of a base model into its folder and checks them; what is typed then."""
    folder = base_folder(base, args)
    settings = read_yaml(ROOT / base.config) | base.settings
    if (folder / "final/pretraining.json").exists() and read_yaml(folder / "pretrain.yaml") != settings:
        raise ValueError(f"{folder} was pretrained with other settings than the plan's {base.name}: move it away.")
    write_settings(settings, folder / "pretrain.yaml")
    command = ["examples/pretrain.py", "--config", str(folder / "pretrain.yaml"), "--data", str(args.data.resolve())]
    command += ["--output_dir", str(folder)]
    # Names only: the values of a GPU's settings cannot be checked where there is none.
    read_config(folder / "pretrain.yaml", (PretrainArguments, TrainingArguments))
    return command


def write_settings(settings: dict, path: Path):
    write_whole(path, yaml.safe_dump(settings, allow_unicode=True).encode())


def carry_out(run: Run, folder: Path, args: argparse.Namespace):
    """Runs the scripts one after another; a base model that is there already is not made again."""
    todo = commands(run, folder, args)
    if run.base is not None and (base_folder(run.base, args) / "final/pretraining.json").exists():
        todo = todo[1:]
    with open(folder / "log.txt", "a", encoding="utf-8") as log:
        for command in todo:
            done = subprocess.run(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, check=False)
            if done.returncode:
                raise ValueError(
                    f"{run.name} failed; {folder / 'log.txt'} says why. The command was:\n{shlex.join(command)}"
                )


def main():
    args = parse_arguments()
    path = ROOT / f"examples/configs/reproduce_{args.scale}.yaml"
    plan, begun = read_plan(path, args.only), time.monotonic()
    results = ROOT / "docs/results/reproduction" / args.scale
    console = Console()
    missing = [run for run in plan if not (results / f"{run.name}.json").exists()]
    if not missing:
        console.print(f"All {len(plan)} runs are done.", highlight=False)
    for number, run in enumerate([] if args.report else missing, 1):
        folder = args.runs.resolve() / args.scale / run.name
        if args.dry_run:
            for command in commands(run, folder, args):
                print(shlex.join(command[1:]))
            continue
        if args.hours is not None and time.monotonic() - begun > 3600 * args.hours:
            console.print(f"{args.hours:g} hours are over before {run.name}.", highlight=False)
            break
        console.print(f"{number} of {len(missing)}: {run.name}", highlight=False)
        carry_out(run, folder, args)
        found = summarize_run(run, folder, None if run.base is None else base_folder(run.base, args))
        write_whole(results / f"{run.name}.json", (json.dumps(found, indent=1) + "\n").encode())
    if not args.dry_run:
        report(args.scale, path, results, console)


def report(scale: str, path: Path, results: Path, console: Console):
    """Writes the pages: of a plan that compares kinds of runs their differences, of one that does not the claims."""
    comparisons = read_comparisons(path)
    if comparisons:
        not_run = [run.name for run in read_plan(path) if not (results / f"{run.name}.json").exists()]
        write_comparison_report(scale, comparisons, read_results(results), ROOT / "docs", not_run)
        return
    for claim in write_report(ROOT, scale):
        console.print(f"{claim.number}. {claim.statement}: [bold]{claim.verdict}[/bold]", highlight=False)


if __name__ == "__main__":
    with exit_on_input_error("reproduce.py"):
        main()
