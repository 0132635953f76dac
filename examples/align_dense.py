"""Aligns a dense model, such as a GPT-2, in the way that SENSIA aligns senses: the baseline that it is compared with.

    accelerate launch examples/align_dense.py --config my.yaml --model gpt2 --representation mean

The settings are those of examples/adapt.py, but those of adapters, evaluation and publishing. InfoNCE aligns the
hidden states of the last and of the middle layer, at the last token or as their mean, with the weights of the context
and sense vectors. The language model loss is the same. An interrupted run goes on when the same command is given
again. The model, its tokenizer and results.json end up in `output_dir`/final; examples/score.py measures it.
"""

import os
import sys

from accelerate.state import PartialState
from transformers import AutoModelForCausalLM, set_seed

from modeling_sensia.loading import load_base
from sensia.trainers import parse_arguments
from sensia.trainers.checkpoints import find_checkpoint
from sensia.trainers.command_ends import exit_on_input_error
from sensia.trainers.dense_alignment import DenseAlignmentConfig, DenseAlignmentTrainer
from sensia.trainers.disk_space import check_free_disk, naming_a_full_disk, weight_bytes
from sensia.trainers.licence_notes import licence_warnings, licensed_parts
from sensia.trainers.output_folder import claim_output_folder
from sensia.trainers.run_arguments import AdaptArguments
from sensia.trainers.run_record import describe_run
from sensia.trainers.training_data import load_train_pairs
from sensia.whole_files import write_json_whole

# Settings that examples/adapt.py honours and this script does not.
_NOT_HERE = ("use_peft", "eval_data", "prompts", "push_to_hub", "dropout")


def check_settings(args: AdaptArguments, config: DenseAlignmentConfig):
    for name in _NOT_HERE:
        if value := getattr(args, name, None) or getattr(config, name, None):
            raise ValueError(f"`{name}` means nothing to dense alignment: leave it out, got {value}.")


def main():
    args, config = parse_arguments(AdaptArguments, DenseAlignmentConfig, description=__doc__)
    check_settings(args, config)
    with claim_output_folder(config):
        align(args, config)


def align(args: AdaptArguments, config: DenseAlignmentConfig):
    set_seed(config.seed)
    checkpoint = find_checkpoint(config, args)
    model, tokenizer = load_base(
        args.model,
        tokenizer_name=args.tokenizer,
        attn_implementation=args.attn_implementation,
        dropout=args.dropout,
        from_scratch=args.from_scratch,
        model_class=AutoModelForCausalLM,
    )
    with PartialState().main_process_first():
        positions = min(args.max_length, model.config.max_position_embeddings)
        train = load_train_pairs(args, tokenizer, positions, config.seed)
    for warning in licence_warnings(args.model_license, licensed_parts(args, train.parts)):
        say(f"Warning: {warning}")
    trainer = DenseAlignmentTrainer(
        model, config, train_dataset=train.pairs, train_texts=train.texts, processing_class=tokenizer
    )
    if trainer.is_world_process_zero():
        check_free_disk(config, trainer.model)
    trainer.train(resume_from_checkpoint=checkpoint)
    with naming_a_full_disk("The aligned model", trainer.output_folder, weight_bytes(trainer.model)):
        trainer.save_model(str(trainer.final_folder), _internal_call=True)
    if trainer.is_world_process_zero():
        results = describe_run(args, config, trainer, train, [], {}, {}, [], os.path.basename(sys.argv[0]))
        write_json_whole(trainer.final_folder / "results.json", results)
    say(f"The model is in {os.path.relpath(trainer.final_folder)}; `sensia score` measures it.")


def say(message: str):
    if PartialState().is_main_process:
        print(message, flush=True)


if __name__ == "__main__":
    with exit_on_input_error("align_dense.py"):
        main()
