"""Adapts an English Backpack to another language with SENSIA, measures it before and after, and writes its card.

    accelerate launch examples/adapt.py --config examples/configs/quickstart.yaml
    accelerate launch examples/adapt.py --config my.yaml --learning_rate 1e-4 --push_to_hub --hub_model_id org/name

Every setting of the YAML file can be overridden on the command line; `--help` explains them all. A run that was
interrupted goes on from its last checkpoint when the same command is given again. The adapted model, its tokenizer and
its card end up in `output_dir`/final.
"""

import json
import os
import re
import shlex
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO

from accelerate.state import PartialState
from rich.console import Console
from rich.table import Table
from rich.text import Text
from transformers import set_seed

from modeling_sensia import BackpackForCausalLM
from modeling_sensia.loading import load_base
from sensia.corpora import give_chat_template
from sensia.model_cards import comparison_rows, format_value, write_card
from sensia.model_cards.card import strip_folders
from sensia.model_cards.markdown import list_names
from sensia.trainers import SensiaConfig, SensiaTrainer, parse_arguments
from sensia.trainers.base_model import load_start, read_sides
from sensia.trainers.checkpoints import find_checkpoint
from sensia.trainers.command_ends import exit_on_input_error
from sensia.trainers.disk_space import check_free_disk, naming_a_full_disk, weight_bytes
from sensia.trainers.licence_notes import licence_warnings, licensed_parts
from sensia.trainers.output_folder import claim_output_folder
from sensia.trainers.prompts import check_prompts, continue_prompts
from sensia.trainers.rank_watch import watch_ranks
from sensia.trainers.run_arguments import AdaptArguments
from sensia.trainers.run_record import describe_run
from sensia.trainers.run_rehearsal import made_up_record
from sensia.trainers.tokenizer_lines import hard_to_write, told_change
from sensia.trainers.training_data import (
    PairSet,
    find_trained_on,
    load_eval_pairs,
    load_train_pairs,
    pair_targets,
)
from sensia.trainers.word_alignment import align_words
from sensia.whole_files import write_whole


def main():
    args, config = parse_arguments(AdaptArguments, SensiaConfig, description=__doc__)
    with watch_ranks(config), claim_output_folder(config):
        adapt(args, config)


def adapt(
    args: AdaptArguments,
    config: SensiaConfig,
    *,
    trainer_type: type[SensiaTrainer] = SensiaTrainer,
    model_class: type = BackpackForCausalLM,
):
    """
    Adapts a model, measures it before and after, and writes its card.

    Args:
        args ([`AdaptArguments`]), config ([`SensiaConfig`]): the settings.
        trainer_type (`type`, *optional*, defaults to [`SensiaTrainer`]): its class or a subclass.
        model_class (`type`, *optional*, defaults to [`BackpackForCausalLM`]): class that loads the model.

    Raises:
        ValueError: for input that cannot be used, in one line.
    """
    set_seed(config.seed)
    checkpoint = find_checkpoint(config, args)
    start = load_start(args, config, model_class)
    model, tokenizer = start.model, start.tokenizer
    if args.instruction_data:
        give_chat_template(tokenizer)
    positions = model.config.max_position_embeddings
    check_prompts(args.prompts, tokenizer, positions)
    with PartialState().main_process_first():
        train = load_train_pairs(args, tokenizer, min(args.max_length, positions), config.seed)
        evals = load_eval_pairs(args, tokenizer, positions)
        find_trained_on(evals, train, args.eval_overlap)
    targets = list_names([each.name for each in args.targets])
    say(f"{args.model_name}: {model.num_parameters():,} parameters, {args.source.name} to {targets}")
    for pairs in (*train.parts, *evals):
        say(f"  {pairs}")
    for line in tokens_of_words(evals):
        say(f"  {line}")
    if start.change:
        say(f"  tokenizer: {told_change(start.change, args.targets)}")
    for line in hard_to_write(args, train.parts):
        say(f"Warning: {line}")
    for warning in licence_warnings(args.model_license, licensed_parts(args, train.parts)):
        say(f"Warning: {warning}")
    watched = {each.name: each.pairs.select(range(min(args.eval_pairs, len(each.pairs)))) for each in evals}
    evals += pair_targets(evals)  # measured before and after only
    trainer = trainer_type(
        args.with_adapter(model),
        config,
        train_dataset=train.pairs,
        train_texts=train.texts,
        aligned_words=align_words(*read_sides(args), tokenizer) if config.word_alignment_weight else None,
        new_token_ids=start.new_ids,
        eval_dataset=watched or None,
        processing_class=tokenizer,
    )
    if trainer.is_world_process_zero():
        check_free_disk(config, trainer.model)
        record = made_up_record(args, config, trainer, train, evals, typed_command(), start.change)
        rehearse(record, trainer.output_folder)
    before = measure_base(args, trainer) if start.change else measure(trainer, evals)
    if checkpoint:
        say(f"Resuming from {checkpoint}")
    trainer.train(resume_from_checkpoint=checkpoint)
    after = measure(trainer, evals)
    final = trainer.final_folder
    with naming_a_full_disk("The adapted model", trainer.output_folder, weight_bytes(trainer.model)):
        trainer.save_model(str(final), _internal_call=True)  # published below, with its card
    # On every process: a sharded model writes only where all take part.
    samples = continue_prompts(trainer.accelerator.unwrap_model(trainer.model), tokenizer, args.prompts)
    if trainer.is_world_process_zero():
        told = (before, after, samples, typed_command(), start.change)
        results = describe_run(args, config, trainer, train, evals, *told)
        with naming_a_full_disk("The card", trainer.output_folder):
            write_record(results, final)
        show(results, final, sys.stdout)
    if config.push_to_hub:
        trainer.push_to_hub()
        say(f"Published as {trainer.hub_model_id}")


def write_record(results: dict, folder: Path):
    """The card with its plots, and the figures it is written from."""
    write_card(results, folder)
    write_whole(folder / "results.json", (json.dumps(results, indent=1) + "\n").encode())


def rehearse(results: dict, output: Path):
    """Writes and shows all that the end of the run will: what fails there fails now, before training."""
    with TemporaryDirectory(prefix=".rehearsal-", dir=output) as folder:
        write_record(results, Path(folder))
        show(results, Path(folder), StringIO())


def measure(trainer: SensiaTrainer, evals: list[PairSet]) -> dict[str, dict[str, float]]:
    """Metrics of the whole evaluation sets, by name."""
    # Training leaves an autocast around `forward`; before and after are both measured in the precision of the weights.
    vars(trainer.model).pop("forward", None)
    # FSDP and DeepSpeed leave a model where it was until training starts.
    if trainer.model.device.type != trainer.args.device.type:
        trainer.model.to(trainer.args.device)  # type: ignore[arg-type]
    return {each.name: trainer.measure(each.pairs) for each in evals}


def measure_base(args: AdaptArguments, trainer: SensiaTrainer) -> dict[str, dict[str, float]]:
    """Metrics of the base model with its own tokenizer, for a run that changes it."""
    model, tokenizer = load_base(
        args.model, tokenizer_name=args.tokenizer, attn_implementation=args.attn_implementation
    )
    with PartialState().main_process_first():
        evals = load_eval_pairs(args, tokenizer, model.config.max_position_embeddings)
    evals += pair_targets(evals)
    base: Any = model.to(trainer.args.device)  # type: ignore[arg-type]
    return {each.name: trainer.measure(each.pairs, (base, tokenizer)) for each in evals}


def tokens_of_words(evals: list[PairSet]) -> Iterator[str]:
    """Tokens a word of each language of each set; more than in the source language makes it harder."""
    for each in evals:
        told = [
            f"{each.fertility[side]:.2f} a word of {language.name}"
            for side, language in zip(("source", "target"), each.languages or (), strict=False)
            if side in each.fertility
        ]
        if told:
            yield f"{each.name}: tokens, {list_names(told)}"


def typed_command() -> str:
    """Returns the command line for the card, without a token and without folders of this machine."""
    script = Path(sys.argv[0])
    by_name = sys.argv[0] == "sensia adapt" or script.parent.name == "commands"
    program = ["sensia", "adapt"] if by_name else [os.path.relpath(script)]
    command = shlex.join([*program, *sys.argv[1:]])
    return strip_folders(re.sub(r" --hub[_-]token[ =]\S+", "", command))


def show(results: dict, folder: Path, where: TextIO):
    """Prints what the card says: the numbers before and after, the samples, and how to load the model."""
    # What users and models write may look like markup.
    console = Console(file=where, markup=False, highlight=False)
    for entry in results["evaluation"]:
        table = Table(title=Text(f"{entry['dataset']} ({entry['rows']:,} pairs)"), title_justify="left")
        for heading in ("metric", "before", "after"):
            table.add_column(heading, justify="left" if heading == "metric" else "right")
        for label, old, new, _ in comparison_rows(entry):
            table.add_row(Text(label), format_value(label, old), format_value(label, new))
        console.print(table)
    for sample in results["samples"]:
        console.print(Text.assemble("\n> ", (sample["prompt"], "bold"), sample["continuation"]))
    shown = str(folder.relative_to(Path.cwd())) if folder.is_relative_to(Path.cwd()) else str(folder)
    console.print(f"\nThe model and its card (README.md) are in {shown}. To load it:\n")
    console.print(f"    import {'modeling_sensia, ' if results['model']['num_senses'] else ''}transformers")
    console.print(
        f"    model = transformers.AutoModelForCausalLM.from_pretrained({json.dumps(shown)})", soft_wrap=True
    )


def say(message: str):
    if PartialState().is_main_process:
        print(message, flush=True)


def run():
    """Carries out the command; wrong input ends it with one line."""
    with exit_on_input_error(Path(sys.argv[0]).name):
        main()


if __name__ == "__main__":
    run()
