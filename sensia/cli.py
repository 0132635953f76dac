"""The command `sensia`: one front door to everything that the project can do."""

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple


class Command(NamedTuple):
    """
    One word after `sensia`.

    Args:
        module (`str`): module whose `main` carries it out.
        summary (`str`): what it does, in a line.
        launches (`bool`): whether it trains, and may be started on several processes.
    """

    module: str
    summary: str
    launches: bool = False


COMMANDS = {
    "adapt": Command("sensia.commands.adapt", "adapt an English Backpack to another language", True),
    "pretrain": Command("sensia.commands.pretrain", "pretrain a Backpack on text, or go on with one", True),
    "score": Command("sensia.commands.score", "score a model: perplexity, retrieval, word translation, choices"),
    "inspect": Command("sensia.commands.inspect_senses", "look into the senses of words and sentences"),
    "study": Command("sensia.commands.study_senses", "compare the senses of two languages, with intervals"),
    "steer": Command("sensia.commands.steer", "measure what steering by senses does"),
    "mine": Command("sensia.commands.mine", "find translations in two texts, by an adapted model"),
    "tokenizer": Command("sensia.commands.tokenizer", "give a model tokens for another language, or prune it"),
    "bitext": Command("sensia.commands.bitext", "build one clean bitext from downloads"),
    "serve": Command("sensia.commands.serve", "serve a model over HTTP, as `transformers serve` does"),
    "space": Command("sensia.commands.space", "serve a page to play with a model, or push it as a Space"),
    "reproduce": Command("sensia.commands.reproduce", "measure the claims of the paper (in a checkout)"),
}
#: What `accelerate launch` is told; everything else is a setting of the command.
LAUNCH_OPTIONS = (
    "num_processes",
    "num_machines",
    "machine_rank",
    "main_process_ip",
    "main_process_port",
    "gpu_ids",
    "num_cpu_threads_per_process",
)
#: Set by every launcher for the processes that it starts.
_LAUNCHED = ("LOCAL_RANK", "ACCELERATE_MIXED_PRECISION")
ACCELERATE_CONFIGS = Path(__file__).parent / "accelerate"


def main(arguments: Sequence[str] | None = None):
    """
    Carries out `sensia COMMAND ...`.

    Args:
        arguments (`Sequence[str]`, *optional*, defaults to the process's own): the command line after `sensia`.

    Raises:
        SystemExit: with code 1 and one line for a command that there is not.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return
    name, *rest = words
    if name in ("--version", "version"):
        from importlib.metadata import version

        print(f"sensia {version('sensia')}")
        return
    if name not in COMMANDS:
        from sensia.trainers.suggestions import did_you_mean

        raise SystemExit(f"sensia: there is no command `{name}`.{did_you_mean(name, COMMANDS)} See `sensia --help`.")
    command = COMMANDS[name]
    launch, settings = take_launch_options(rest) if command.launches else ([], rest)
    if launch and not is_launched():
        _launch(command, launch, settings)
        return
    sys.argv = [f"sensia {name}", *settings]
    import_module(command.module).run()


def usage() -> str:
    """Returns the text of `sensia --help`: one screen."""
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items())
    return f"""usage: sensia COMMAND --config FILE.yaml [--setting value ...]

Adapts an English Backpack to another language by aligning meanings (arXiv 2601.10310).

{commands}

Each command explains its settings:     sensia adapt --help
A settings file to start from:          sensia adapt --print_config > my.yaml
Settings on the command line win:       sensia adapt --config my.yaml --max_steps 1000
Several GPUs or machines:               sensia adapt --config my.yaml --accelerate_config fsdp2
                                        (ddp, fsdp2, zero2 or a file; also --num_processes 8)"""


def take_launch_options(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """
    Divides a command line into what `accelerate launch` is told and the settings of the command.

    Args:
        words (`Sequence[str]`): the command line after the command's name.

    Returns:
        `tuple` of two `list[str]`: options of the launcher, `--accelerate_config` as its `--config_file`; the rest.

    Raises:
        SystemExit: with one line, for an option without a value or a configuration that there is not.
    """
    launch: list[str] = []
    settings: list[str] = []
    rest = iter(words)
    for word in rest:
        option, equals, value = word.partition("=")
        name = option.removeprefix("--").replace("-", "_")
        if not option.startswith("--") or name not in (*LAUNCH_OPTIONS, "accelerate_config"):
            settings.append(word)
            continue
        value = value if equals else next(rest, "")
        if not value:
            raise SystemExit(f"sensia: `{option}` needs a value.")
        launch += ["--config_file", _configuration(value)] if name == "accelerate_config" else [f"--{name}", value]
    return launch, settings


def is_launched() -> bool:
    """`bool`: whether this process was started by a launcher."""
    import os

    return any(name in os.environ for name in _LAUNCHED)


def _configuration(name: str) -> str:
    ours = ACCELERATE_CONFIGS / f"{name}.yaml"
    if ours.is_file():
        return str(ours)
    if Path(name).is_file():
        return name
    there = ", ".join(sorted(path.stem for path in ACCELERATE_CONFIGS.glob("*.yaml")))
    raise SystemExit(f"sensia: `--accelerate_config` must be one of {there} or a file, got {name!r}.")


def _launch(command: Command, launch: list[str], settings: list[str]):
    from accelerate.commands.launch import launch_command, launch_command_parser

    launch_command(launch_command_parser().parse_args([*launch, "--module", command.module, *settings]))


if __name__ == "__main__":
    main()
