"""Pretrains a Backpack, or a dense model to compare with, on text: tokenizer, packed blocks, the stock Trainer.

    python examples/pretrain.py --config examples/configs/pretrain_en_mini.yaml --data DIR

DIR holds the texts that the configuration names. The command may be stopped and started again: it goes on from the
last checkpoint in `output_dir`. The model, its tokenizer and the figures of its card end up in `output_dir`/final.
"""

import json
import sys
from collections.abc import Iterator
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainingArguments,
    set_seed,
)

from modeling_sensia import BackpackConfig, BackpackForCausalLM
from modeling_sensia.model_sources import check_vocabulary, model_source
from sensia.corpora import DataPart, held_out_part, pack_texts, read_pairs, read_texts
from sensia.corpora.data_folder import locate
from sensia.evaluation import perplexity
from sensia.trainers import parse_arguments
from sensia.trainers.command_ends import exit_on_input_error
from sensia.trainers.disk_space import check_free_disk, naming_a_full_disk, weight_bytes
from sensia.trainers.output_folder import claim_output_folder
from sensia.trainers.pretraining import MixedBlocks, PretrainArguments, PretrainingTrainer, train_tokenizer
from sensia.trainers.rank_watch import watch_ranks
from sensia.whole_files import write_json_whole, write_whole

#: Settings that the tokenizer and the blocks in `output_dir`/data are made by.
_OF_DATA = ("texts", "pairs", "origins", "held_out", "num_positions", "vocabulary_size", "model", "trunk")


def read_sources(args: PretrainArguments) -> list[Iterator[str]]:
    """The training texts of each source, read while they are used: one for each of `texts`, one for all of `pairs`."""
    sources: list[Iterator[str]] = [
        (row["text"] for row in read_texts(locate(args.data, name), streaming=True)) for name in args.texts
    ]
    return [*sources, read_sentences(args)] if args.pairs else sources


def read_sentences(args: PretrainArguments) -> Iterator[str]:
    """English sentences of the bitext once each, without those that are held out."""
    held_out = {fingerprint(row["source"].casefold()) for name in args.held_out for row in read_held_out(args, name)}
    seen: set[bytes] = set()
    for name in args.pairs:
        for row in read_bitext(args, name):
            sentence, own = row["source"], fingerprint(row["source"])
            wanted = not args.origins or row["origin"] in args.origins
            if wanted and own not in seen and fingerprint(sentence.casefold()) not in held_out:
                seen.add(own)
                yield sentence


def fingerprint(text: str) -> bytes:
    """Eight bytes that stand for a text, where keeping the text itself would take too much memory."""
    return blake2b(text.encode(), digest_size=8).digest()


def read_bitext(args: PretrainArguments, name: str, split: str | None = None, config_name: str | None = None):
    """Pairs of a file named like `en-id.train.jsonl.gz`, English first."""
    source, _, target = Path(name).name.split(".")[0].partition("-")
    options: dict[str, Any] = {"split": split, "config_name": config_name}
    return read_pairs(locate(args.data, name), source_language=source, target_language=target, **options)


def read_held_out(args: PretrainArguments, name: str):
    """The same of data that is held out; of a Hub data set, of its held-out split."""
    part = held_out_part(locate(args.data, name))
    return read_bitext(args, part.source, **part.options())


def check_data_settings(args: PretrainArguments, folder: Path):
    """
    Writes the settings of the data in `folder` beside them. Later runs must have the same ones.

    Args:
        args ([`PretrainArguments`]): of this run.
        folder (`Path`): where tokenizer and blocks are kept.

    Raises:
        `ValueError`: if a setting was another when the data were made, with its name and both values.
    """
    path = folder / "settings.json"
    given = {name: getattr(args, name) for name in _OF_DATA}
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_json_whole(path, given)
    kept = json.loads(path.read_text(encoding="utf-8"))
    for name, value in given.items():
        if name in kept and kept[name] != value:
            raise ValueError(
                f"`{name}` is {value!r}, but was {kept[name]!r} when the data in {folder} were made: choose another "
                "`output_dir`, or delete this one to begin anew"
            )


def prepare_blocks(args: PretrainArguments, tokenizer: PreTrainedTokenizerBase, folder: Path) -> MixedBlocks:
    """The packed blocks of each source, made once and kept in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    blocks = []
    for number, texts in enumerate(read_sources(args)):
        path = folder / f"blocks-{number}.npy"
        blocks.append(
            np.load(path, mmap_mode="r") if path.exists() else pack_texts(texts, tokenizer, args.num_positions, path)
        )
    return MixedBlocks(blocks, args.text_weights)


def prepare_tokenizer(args: PretrainArguments, folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of the model that is gone on from, or one trained on the text and kept in `folder`."""
    if args.model or args.trunk:
        return AutoTokenizer.from_pretrained(model_source(str(args.model or args.trunk)), trust_remote_code=False)
    if not (folder / "tokenizer.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        train_tokenizer(chain.from_iterable(read_sources(args)), args.vocabulary_size).save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def build_model(args: PretrainArguments, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    if args.model:
        return BackpackForCausalLM.from_pretrained(model_source(args.model), dtype=torch.float32)
    if args.trunk:
        return BackpackForCausalLM.from_trunk(
            model_source(args.trunk), num_senses=args.num_senses, sense_dropout=args.dropout, dtype=torch.float32
        )
    trunk = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=args.num_positions,
        n_embd=args.hidden_size,
        n_layer=args.num_layers,
        n_head=args.num_heads,
        activation_function="gelu_pytorch_tanh",
        resid_pdrop=args.dropout,
        embd_pdrop=args.dropout,
        attn_pdrop=args.dropout,
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    if args.num_senses == 0:
        return GPT2LMHeadModel(trunk)
    return BackpackForCausalLM(
        BackpackConfig(
            trunk_config=trunk,
            num_senses=args.num_senses,
            sense_intermediate_scale=args.sense_intermediate_scale,
            sense_dropout=args.dropout,
        )
    )


def main():
    args, training_args = parse_arguments(PretrainArguments, TrainingArguments, description=__doc__)
    with watch_ranks(training_args), claim_output_folder(training_args):
        pretrain(args, training_args)


def pretrain(args: PretrainArguments, training_args: TrainingArguments):
    set_seed(training_args.seed)
    output = Path(str(training_args.output_dir))
    # Before training: a data set that has no such split is refused now.
    dev = [held_out_part(locate(args.data, name)) for name in args.dev_texts]
    with training_args.main_process_first():
        check_data_settings(args, output / "data")
        tokenizer = prepare_tokenizer(args, output / "data")
    model = build_model(args, tokenizer)
    if begun_from := args.model or args.trunk:
        check_vocabulary(model, tokenizer, begun_from, begun_from)
    with training_args.main_process_first():
        blocks = prepare_blocks(args, tokenizer, output / "data")
    print(
        f"{model.num_parameters():,} parameters, {blocks.num_tokens:,} tokens of text, {len(blocks):,} blocks an epoch"
    )
    trainer = PretrainingTrainer(
        model,
        training_args,
        train_dataset=blocks,
        processing_class=tokenizer,
        muon=args.muon,
        decay_share=args.decay_share,
    )
    checkpoint = trainer.newest_checkpoint()
    if trainer.is_world_process_zero():
        check_free_disk(training_args, model)
    trainer.train(resume_from_checkpoint=checkpoint)
    if trainer.is_world_process_zero():
        with naming_a_full_disk("The pretrained model", output, weight_bytes(model)):
            model.bfloat16().save_pretrained(output / "final")
            tokenizer.save_pretrained(output / "final")
        results = {
            "parameters": model.num_parameters(),
            "tokens_of_text": blocks.num_tokens,
            "tokens_seen": trainer.tokens_seen(args.num_positions),
            "steps": trainer.state.global_step,
            "dev": [measure(model.float(), tokenizer, part) for part in dev],
        }
        write_whole(output / "final/pretraining.json", (json.dumps(results, indent=2) + "\n").encode())
        print(json.dumps(results, indent=2))


def measure(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, part: DataPart) -> dict:
    """Perplexity and bits per byte of one dev text."""
    texts = [row["text"] for row in read_texts(part.source, split=part.split, config_name=part.config_name)]
    return {"file": Path(part.source).name, **perplexity(model, tokenizer, texts, progress=True)}


def run():
    """Carries out the command; wrong input ends it with one line."""
    with exit_on_input_error(Path(sys.argv[0]).name):
        main()


if __name__ == "__main__":
    run()
