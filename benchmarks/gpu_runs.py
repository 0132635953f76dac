"""Whole runs of the trainer on the device: going on from a checkpoint, and a step that is not finite."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from gpu_report import Found
from gpu_setup import TINY, Setup
from torch import Tensor
from transformers import PrinterCallback


def make_trainer(setup: Setup, folder: Path, **settings):
    """A trainer of a small Backpack on a few pairs; needs `datasets`."""
    from datasets import Dataset

    from sensia.trainers import SensiaConfig, SensiaTrainer

    small = replace(setup, sizes=TINY)
    config = SensiaConfig(
        output_dir=str(folder),
        per_device_train_batch_size=4,
        learning_rate=1e-3,
        bf16=setup.device.type == "cuda" and setup.half == torch.bfloat16,
        use_cpu=setup.device.type == "cpu",
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        **settings,
    )
    data = Dataset.from_list((setup.all_pairs * 4)[:32])
    trainer = SensiaTrainer(small.backpack(), config, train_dataset=data, processing_class=setup.tokenizer)
    trainer.remove_callback(PrinterCallback)
    return trainer


def weights_of(trainer) -> Tensor:
    return torch.cat([parameter.detach().flatten().double() for parameter in trainer.model.parameters()])


def check_resume(setup: Setup) -> Found:
    """A run that goes on from a checkpoint ends as the one that was not interrupted."""
    with tempfile.TemporaryDirectory() as folder, deterministic():
        runs = []
        for name in ("first", "second"):
            trainer = make_trainer(setup, Path(folder, name), max_steps=4, save_steps=2)
            trainer.train()
            runs.append(weights_of(trainer))
        trainer = make_trainer(setup, Path(folder, "first"), max_steps=4, save_steps=2)
        trainer.train(resume_from_checkpoint=str(Path(folder, "first", "checkpoint-2")))
        resumed = weights_of(trainer)
    between = float((runs[0] - runs[1]).abs().max())
    apart = float((runs[0] - resumed).abs().max())
    message = f"weights of the resumed run are {apart:.1e} off; two whole runs are {between:.1e} apart"
    return Found(message, apart <= 4 * between)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def check_nonfinite(setup: Setup) -> Found:
    """A step whose loss is not a number is skipped, and weights stay as they were."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(
            setup, Path(folder), max_steps=1, warmup_steps=0, on_nonfinite="skip", save_strategy="no"
        )
        before = weights_of(trainer)
        trainer.model.backpack.weight_network.register_forward_hook(
            lambda module, inputs, output: tuple(half * float("nan") for half in output)
        )
        trainer.train()
        passed = torch.equal(before, weights_of(trainer))
    return Found(f"weights {'as before' if passed else 'moved'} after a step that is not finite", passed)
