"""A short run of dense alignment on the embedded bitext: alone, or on each of torchrun's ranks.

Arguments: a folder, and the pairs of a process's batch. Each rank leaves its losses and what every step did to its
parameters (RANK.pt).
"""

import sys
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from sensia.corpora import clean_pairs, read_pairs
from sensia.trainers.command_ends import exit_on_input_error
from sensia.trainers.dense_alignment import DenseAlignmentConfig, DenseAlignmentTrainer
from sensia.trainers.pretraining import train_tokenizer
from tests.trainers.scenarios.sensia_run import BITEXT, Trace, tiny_trunk


def run(folder: Path, batch: int):
    bitext = read_pairs(BITEXT, source_language="en", target_language="id").select(range(64))
    tokenizer = train_tokenizer(bitext["source"], 400)
    pairs, _ = clean_pairs(bitext, tokenizer, max_length=64)
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(**tiny_trunk(tokenizer)))
    config = DenseAlignmentConfig(
        output_dir=str(folder / "run"),
        per_device_train_batch_size=batch,
        max_steps=4,
        learning_rate=1e-2,
        adam_epsilon=1e-2,
        warmup_steps=0,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
    )
    trainer, trace = DenseAlignmentTrainer(model, config, train_dataset=pairs, processing_class=tokenizer), Trace()
    trainer.add_callback(trace)
    trainer.train()
    history = [entry for entry in trainer.state.log_history if "loss_ctx" in entry]
    found = {"history": history, "parameters": trace.parameters}
    torch.save(found, folder / f"{trainer.args.process_index}.pt")


def main():
    run(Path(sys.argv[1]), int(sys.argv[2]))


if __name__ == "__main__":
    with exit_on_input_error(Path(__file__).name):
        main()
