"""Short SENSIA runs on the embedded bitext, one after the other: alone, or on each of torchrun's ranks.

The argument is a JSON list of settings; see `run`. Each run leaves in its `output_dir` its losses and metrics
(history.json), what every rank saw at every step (trace_RANK.pt), and the model (final).
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from torch.distributed.tensor import DTensor
from transformers import TrainerCallback

from modeling_sensia import BackpackConfig, BackpackForCausalLM
from sensia.corpora import clean_pairs, encode_instructions, give_chat_template, read_pairs
from sensia.trainers import SensiaConfig, SensiaTrainer
from sensia.trainers.command_ends import exit_on_input_error
from sensia.trainers.lora import AdapterArguments, with_adapter
from sensia.trainers.pretraining import train_tokenizer
from sensia.trainers.run_arguments import AdaptArguments
from sensia.trainers.training_data import load_train_pairs
from sensia.trainers.word_alignment import AlignedWords

BITEXT = "examples/assets/bitext/en-id.dev-indomain.parquet"


class Trace(TrainerCallback):
    """Keeps the gradients that the optimizer got, and the parameters after each step, whole where they are sharded."""

    def __init__(self):
        self.gradients: list[dict[str, torch.Tensor]] = []
        self.parameters: list[dict[str, torch.Tensor]] = []

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.gradients.append({n: whole(p.grad) for n, p in model.named_parameters() if p.grad is not None})

    def on_step_end(self, args, state, control, model=None, **kwargs):
        self.parameters.append({name: whole(parameter) for name, parameter in model.named_parameters()})


class StopAt(TrainerCallback):
    """Ends training after so many steps of all, as an interruption does."""

    def __init__(self, step: int | None):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = control.should_training_stop or state.global_step == self.step


def whole(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.detach()
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).clone()


class ShardedTrainer(SensiaTrainer):
    """
    Shards on the CPU. accelerate takes `fsdp` up on accelerators only, and quietly falls back to DDP on gloo ranks;
    told that this is FSDP, it does here what it does there.
    """

    def create_accelerator_and_postprocess(self):
        super().create_accelerator_and_postprocess()
        state = AcceleratorState()
        # Every new AcceleratorState takes this over again.
        PartialState().distributed_type = state.distributed_type = DistributedType.FSDP
        state.fsdp_plugin = FullyShardedDataParallelPlugin(**self.args.fsdp_plugin_args)
        self.is_fsdp_enabled = True


def tiny_model(tokenizer, dropout=0.0, seed=0, num_senses=4):
    torch.manual_seed(seed)
    trunk = tiny_trunk(tokenizer, dropout)
    return BackpackForCausalLM(BackpackConfig(trunk_config=trunk, num_senses=num_senses, sense_dropout=dropout))


def tiny_trunk(tokenizer, dropout=0.0) -> dict[str, Any]:
    return {
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


def build(settings: dict[str, Any]) -> SensiaTrainer:
    bitext = read_pairs(BITEXT, source_language="en", target_language="id").select(range(200))
    tokenizer = train_tokenizer(bitext["source"], 400)
    pairs, _ = clean_pairs(bitext, tokenizer, max_length=64)
    model = tiny_model(tokenizer, settings.pop("dropout", 0.0))
    train = pairs.select(range(settings.pop("pairs", 64)))
    if settings.pop("streamed", False):
        train = stream(bitext.select(range(64)), tokenizer, Path(settings["output_dir"]).with_suffix(".jsonl"))
    model = with_adapter(model, AdapterArguments(use_peft=settings.pop("lora", False), lora_r=4), "org/base")
    texts = instructions(bitext.select(range(100, 120)), tokenizer) if settings.get("text_rate") else None
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
    make = ShardedTrainer if config.fsdp else SensiaTrainer
    held_out = pairs.select(range(64, 93))
    words = made_up_words(tokenizer) if config.word_alignment_weight else None
    data = {"train_dataset": train, "train_texts": texts, "aligned_words": words, "eval_dataset": held_out}
    return make(model, config, **data, processing_class=tokenizer)


def made_up_words(tokenizer, number=20):
    """Pairs of words of one to three tokens, drawn at random."""
    drawing = torch.Generator().manual_seed(0)
    ids = torch.randint(5, len(tokenizer), (2, number, 3), generator=drawing)
    lengths = torch.randint(1, 4, (2, number, 1), generator=drawing)
    ids = ids.masked_fill(torch.arange(3) >= lengths, -1)
    weights = 0.1 + 0.9 * torch.rand(number, generator=drawing)
    return AlignedWords(ids, weights, [(f"a{place}", f"b{place}") for place in range(number)])


def instructions(bitext, tokenizer):
    """Answers of five to some forty tokens, after prompts of as different lengths."""
    give_chat_template(tokenizer)
    sides = zip(bitext["source"], bitext["target"], strict=True)
    turns = ([{"role": "user", "content": en}, {"role": "assistant", "content": target}] for en, target in sides)
    return encode_instructions(list(turns), tokenizer, max_length=64)[0]


def stream(bitext, tokenizer, path: Path):
    """Pairs that are read from a file as they are needed, as `examples/adapt.py` does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bitext.to_json(path)
    columns = {"source_column": "source", "target_column": "target"}
    args = AdaptArguments("-", str(path), "id", streaming=True, shuffle_buffer=16, **columns)
    return load_train_pairs(args, tokenizer, max_length=64, seed=3).pairs


def run(settings: dict[str, Any], *callbacks: TrainerCallback):
    """
    Trains, evaluates and saves.

    Args:
        settings (`dict`): of [`SensiaConfig`], and `dropout` (of the model), `lora` (train an adapter), `pairs` (how
            many to train on), `streamed`, `resume` (go on from the newest checkpoint), `stop_at` (steps after which
            to stop).
        callbacks: of the trainer.
    """
    settings = dict(settings)
    resume, stop = settings.pop("resume", False), StopAt(settings.pop("stop_at", None))
    trainer, trace = build(settings), Trace()
    for callback in (trace, stop, *callbacks):
        trainer.add_callback(callback)
    before = trainer.evaluate()
    trainer.train(resume_from_checkpoint=resume)
    metrics = {"before": before, "after": trainer.evaluate()}
    output = Path(trainer.args.output_dir)
    trainer.save_model(str(output / "final"))
    torch.save({"gradients": trace.gradients, "parameters": trace.parameters}, trace_of(output, trainer))
    if trainer.is_world_process_zero():
        history = [entry for entry in trainer.state.log_history if "loss_ctx" in entry]
        (output / "history.json").write_text(json.dumps({"history": history, "metrics": metrics}))


def trace_of(output: Path, trainer: SensiaTrainer) -> Path:
    output.mkdir(parents=True, exist_ok=True)
    return output / f"trace_{trainer.args.process_index}.pt"


def main():
    for settings in json.loads(sys.argv[1]):
        run(settings)


if __name__ == "__main__":
    with exit_on_input_error(Path(__file__).name):
        main()
