"""Pretrains a Backpack, or a dense model to compare with, on text: tokenizer, packed blocks, the stock Trainer.

    python examples/pretrain.py --config examples/configs/pretrain_en_mini.yaml --data DIR

DIR holds the texts that the configuration names. The command may be stopped and started again: it goes on from the
last checkpoint in `output_dir`. The model, its tokenizer and the figures of its card end up in `output_dir`/final.
"""

import json
import random
from pathlib import Path

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

from corpora import DataPart, held_out_part, pack_texts, read_pairs, read_texts
from evaluation import perplexity
from model_cards.files import write_whole
from modeling_sensia import BackpackConfig, BackpackForCausalLM
from trainers import parse_arguments
from trainers.arguments import end_with_the_message
from trainers.checkpointing_trainer import CheckpointingTrainer
from trainers.pretraining import PackedBlocks, PretrainArguments, train_tokenizer


def gather_texts(args: PretrainArguments) -> list[str]:
    """The training texts in a fixed random order: documents as they are, sentences of bitext once each."""
    texts = [row["text"] for name in args.texts for row in read_texts(str(Path(args.data, name)))]
    held_out = {
        row["source"].casefold() for name in args.held_out for row in read_held_out(str(Path(args.data, name)))
    }
    sentences = {
        row["source"]: None
        for name in args.pairs
        for row in read_bitext(str(Path(args.data, name)))
        if row["source"].casefold() not in held_out and (not args.origins or row["origin"] in args.origins)
    }
    texts += sentences
    random.Random(0).shuffle(texts)
    return texts


def read_bitext(path: str, split: str | None = None, config_name: str | None = None):
    """Pairs of a file named like `en-id.train.jsonl.gz`, English first."""
    source, _, target = Path(path).name.split(".")[0].partition("-")
    return read_pairs(path, source_language=source, target_language=target, split=split, config_name=config_name)


def read_held_out(path: str):
    """The same of data that is held out; of a Hub data set, of its held-out split."""
    part = held_out_part(path)
    return read_bitext(part.source, **part.options())


def prepare(args: PretrainArguments, folder: Path) -> tuple[PreTrainedTokenizerBase, PackedBlocks]:
    """The tokenizer and the packed blocks, made once and kept in `folder`."""
    if not (folder / "blocks.npy").exists():
        texts = gather_texts(args)
        tokenizer = AutoTokenizer.from_pretrained(args.trunk, trust_remote_code=False) if args.trunk else None
        tokenizer = tokenizer or train_tokenizer(texts, args.vocabulary_size)
        blocks = pack_texts(texts, tokenizer, args.num_positions)
        tokenizer.save_pretrained(folder)
        np.save(folder / "blocks.partial.npy", blocks)
        (folder / "blocks.partial.npy").replace(folder / "blocks.npy")
    return AutoTokenizer.from_pretrained(folder), PackedBlocks(np.load(folder / "blocks.npy", mmap_mode="r"))


def build_model(args: PretrainArguments, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    if args.trunk:
        return BackpackForCausalLM.from_trunk(
            args.trunk, num_senses=args.num_senses, sense_dropout=args.dropout, dtype=torch.float32
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
        BackpackConfig(trunk_config=trunk, num_senses=args.num_senses, sense_dropout=args.dropout)
    )


def main():
    args, training_args = parse_arguments(PretrainArguments, TrainingArguments, description=__doc__)
    set_seed(training_args.seed)
    output = Path(training_args.output_dir)
    # Before training: a data set that has no such split is refused now.
    dev = held_out_part(str(Path(args.data, args.dev_texts))) if args.dev_texts else None
    with training_args.main_process_first():
        tokenizer, blocks = prepare(args, output / "data")
    model = build_model(args, tokenizer)
    print(f"{model.num_parameters():,} parameters, {blocks.blocks.size:,} tokens of text")
    trainer = CheckpointingTrainer(model, training_args, train_dataset=blocks, processing_class=tokenizer)
    trainer.train(resume_from_checkpoint=trainer.newest_checkpoint())
    if trainer.is_world_process_zero():
        model.bfloat16().save_pretrained(output / "final")
        tokenizer.save_pretrained(output / "final")
        report(args, training_args, model, tokenizer, blocks, dev, output / "final")


def report(args, training_args, model, tokenizer, blocks, dev: DataPart | None, folder: Path):
    """Measures the saved model on the dev text and writes what was done as `pretraining.json`."""
    seen = training_args.max_steps * training_args.train_batch_size * training_args.world_size * args.num_positions
    results = {
        "parameters": model.num_parameters(),
        "tokens_of_text": int(blocks.blocks.size),
        "tokens_seen": seen,
        "steps": training_args.max_steps,
    }
    if dev is not None:
        texts = [row["text"] for row in read_texts(dev.source, split=dev.split, config_name=dev.config_name)]
        results["dev"] = {
            "file": Path(dev.source).name,
            **perplexity(model.float(), tokenizer, texts, progress=True),
        }
    write_whole(folder / "pretraining.json", (json.dumps(results, indent=2) + "\n").encode())
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    with end_with_the_message("pretrain.py"):
        main()
