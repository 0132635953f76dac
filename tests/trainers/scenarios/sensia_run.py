"""A short SENSIA run on the embedded bitext; alone, by torchrun, or resumed. Prints its losses as JSON lines."""

import json
import os
import signal
import sys
from pathlib import Path

import torch
from transformers import TrainerCallback

from corpora import clean_pairs, read_pairs
from modeling_sensia import BackpackConfig, BackpackForCausalLM
from trainers import SensiaConfig, SensiaTrainer
from trainers.pretraining import train_tokenizer

BITEXT = "examples/assets/bitext/en-id.dev-indomain.parquet"


class KillAfter(TrainerCallback):
    """Ends the process as a power cut would, when a step is done."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def tiny_model(tokenizer, dropout=0.0, seed=0, num_senses=4):
    torch.manual_seed(seed)
    trunk = {
        "model_type": "gpt2",
        "vocab_size": len(tokenizer),
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 2,
        "n_positions": 64,
        "bos_token_id": tokenizer.eos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), dropout),
    }
    return BackpackForCausalLM(BackpackConfig(trunk_config=trunk, num_senses=num_senses, sense_dropout=dropout))


def build(settings):
    bitext = read_pairs(BITEXT, source_language="en", target_language="id").select(range(200))
    tokenizer = train_tokenizer(bitext["source"], 400)
    pairs, _ = clean_pairs(bitext, tokenizer, max_length=64)
    model = tiny_model(tokenizer, settings.pop("dropout", 0.0))
    config = SensiaConfig(
        **{
            "learning_rate": 1e-2,
            "logging_steps": 1,
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            "use_cpu": True,
            **settings,
        }
    )
    train, held_out = pairs.select(range(64)), pairs.select(range(64, 93))
    return SensiaTrainer(model, config, train_dataset=train, eval_dataset=held_out, processing_class=tokenizer)


def main():
    settings = json.loads(sys.argv[1])
    kill_after, resume = settings.pop("kill_after", None), settings.pop("resume", None)
    trainer = build(settings)
    if kill_after:
        trainer.add_callback(KillAfter(kill_after))
    trainer.train(resume_from_checkpoint=resume)
    metrics = trainer.evaluate()
    trainer.save_model(str(Path(trainer.args.output_dir, "final")))
    if trainer.is_world_process_zero():
        history = [entry for entry in trainer.state.log_history if "loss_ctx" in entry]
        Path(trainer.args.output_dir, "history.json").write_text(json.dumps({"history": history, "metrics": metrics}))


if __name__ == "__main__":
    main()
