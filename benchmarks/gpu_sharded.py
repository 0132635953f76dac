"""Sharded: one step of a Backpack under FSDP2 against the same step unsharded, on one device; DeepSpeed where it is.

The step is plain gradient descent, so that its weights show the gradient. What is saved from shards is loaded into an
unsharded model.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import torch
from gpu_adapt import adapt
from gpu_report import Found, NotRun
from gpu_setup import Setup
from gpu_steps import sensia_losses
from torch import Tensor, distributed, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, OffloadPolicy, fully_shard
from transformers import PreTrainedModel

LIMIT = 1e-3
UNITS = ("GPT2Block", "BackpackSenseNetwork", "BackpackWeightNetwork")


@contextmanager
def one_process(setup: Setup) -> Iterator[None]:
    """A group of one process, which shards as a larger one does."""
    backend = "cuda:nccl,cpu:gloo" if setup.device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, store=distributed.HashStore(), rank=0, world_size=1)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def shard(setup: Setup, model: nn.Module, policy: OffloadPolicy | None = None) -> nn.Module:
    mesh = init_device_mesh(setup.device.type, (1,))
    options = {"mesh": mesh, "offload_policy": policy or OffloadPolicy()}
    for module in model.modules():
        if type(module).__name__ in UNITS:
            fully_shard(module, **options)
    return fully_shard(model, **options)


def step(setup: Setup, model: nn.Module) -> float:
    """A step of gradient descent; the loss before it."""
    optimizer = torch.optim.SGD([each for each in model.parameters() if each.requires_grad], lr=1e-3)
    loss = sensia_losses(model, setup.batch(setup.checked_pairs))["loss"]
    loss.backward()
    optimizer.step()
    return loss.item()


def whole_state(model: nn.Module) -> dict[str, Tensor]:
    state = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    return {name: value.detach().cpu().clone() for name, value in state.items()}  # not what the next step changes


def distance(state: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return sum(float((state[name] - value).double().square().sum()) for name, value in other.items()) ** 0.5


def sharded_step(
    prepare: Callable[[PreTrainedModel], nn.Module] = lambda model: model, offload: bool = False
) -> Callable[[Setup], Found]:
    """A check of one sharded step against one that is not; `prepare` changes the model of both first."""

    def check(setup: Setup) -> Found:
        if offload and setup.device.type == "cpu":
            raise NotRun("weights are on the CPU already")
        plain = prepare(setup.backpack()).train()
        before = whole_state(plain)
        loss = step(setup, plain)
        after = whole_state(plain)
        with one_process(setup):
            sharded = shard(setup, prepare(setup.backpack()).train(), CPUOffloadPolicy() if offload else None)
            loss_off = abs(step(setup, sharded) / loss - 1)
            saved = whole_state(sharded)
        plain.load_state_dict(saved)  # with every name, or it raises
        step_off = distance(saved, after) / distance(before, after)
        message = f"the loss is {loss_off:.1e} off, the step {step_off:.1e}; allowed {LIMIT:.0e}"
        return Found(message, max(loss_off, step_off) <= LIMIT)

    return check


def checkpointing(model: PreTrainedModel) -> nn.Module:
    model.gradient_checkpointing_enable()
    return model


def adapter(model: PreTrainedModel) -> nn.Module:
    """The model with a LoRA adapter on every linear layer, whose second half is not zero."""
    from sensia.trainers.lora import AdapterArguments, with_adapter

    adapted = with_adapter(model, AdapterArguments(use_peft=True, lora_r=4), "random")
    torch.manual_seed(3)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.02)
    return adapted


def check_deepspeed(setup: Setup) -> Found:
    """The quickstart's first steps under ZeRO, stage 2."""
    if find_spec("deepspeed") is None:
        raise NotRun("deepspeed is not installed")
    launch = ["--config_file", "sensia/accelerate/zero2.yaml", "--num_processes", "1"]
    options = ["--max_steps", "8", "--polish_freeze", "none", "--eval_strategy", "no"]
    results = adapt(setup, launch, [*options, "--new_token_learning_rate", "null"])  # it needs whole embeddings
    return Found(f"8 steps took {results['training']['seconds']:.0f} s", True)


CHECKS: dict[str, Callable[[Setup], Found]] = {
    "FSDP2": sharded_step(),
    "FSDP2 with activation checkpointing": sharded_step(checkpointing),
    "FSDP2 with weights kept on the CPU": sharded_step(offload=True),
    "LoRA under FSDP2": sharded_step(adapter),
    "DeepSpeed ZeRO, stage 2": check_deepspeed,
}
