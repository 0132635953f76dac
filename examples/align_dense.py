"""Aligns a dense model, such as a GPT-2, in the way that SENSIA aligns senses: the baseline that it is compared with.

    accelerate launch examples/align_dense.py --config my.yaml --model gpt2 --representation mean

The settings are those of examples/adapt.py, but those of adapters and publishing. InfoNCE aligns the hidden states of
the last and of another layer, at the last token or as their mean, with the weights of the context and sense vectors.
The language model loss is the same. An interrupted run goes on when the same command is given again. The model, its
tokenizer and its card end up in `output_dir`/final; examples/score.py measures it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from transformers import AutoModelForCausalLM

from sensia.commands.adapt import adapt
from sensia.trainers import parse_arguments
from sensia.trainers.command_ends import exit_on_input_error
from sensia.trainers.dense_alignment import DenseAlignmentConfig, DenseAlignmentTrainer
from sensia.trainers.output_folder import claim_output_folder
from sensia.trainers.rank_watch import watch_ranks
from sensia.trainers.run_arguments import AdaptArguments

# Settings that examples/adapt.py honours and this script does not.
_NOT_HERE = ("use_peft", "push_to_hub", "dropout")


def check_settings(args: AdaptArguments, config: DenseAlignmentConfig):
    for name in _NOT_HERE:
        if value := getattr(args, name, None) or getattr(config, name, None):
            raise ValueError(f"`{name}` means nothing to dense alignment: leave it out, got {value}.")


def main():
    args, config = parse_arguments(AdaptArguments, DenseAlignmentConfig, description=__doc__)
    check_settings(args, config)
    with watch_ranks(config), claim_output_folder(config):
        adapt(args, config, trainer_type=DenseAlignmentTrainer, model_class=AutoModelForCausalLM)


if __name__ == "__main__":
    with exit_on_input_error("align_dense.py"):
        main()
