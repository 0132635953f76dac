"""Groups of parameters: those with weight decay, and those with a learning rate of their own."""

from collections.abc import Iterable

from torch import nn
from torch.optim import Optimizer
from transformers.trainer_utils import unwrap_peft_model

from sensia.trainers.sensia_config import SensiaConfig

_NORMS = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.modules.batchnorm._NormBase)


def decaying_parameter_names(model: nn.Module) -> list[str]:
    """
    Names of the parameters that weight decay shrinks: all but norms, biases and embeddings. A norm's scale has no
    reason to be small; a row of an embedding would decay at every step, and is only seen where its word is.

    Args:
        model (`nn.Module`): any; wrapped, sharded or with adapters. Embeddings are those of words and positions, and
            whatever is tied to them.

    Returns:
        `list[str]`: of `model.named_parameters()`.
    """
    kept = set()
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if isinstance(module, nn.Embedding) or _is_norm(module) or name.endswith("bias"):
                kept.add(id(parameter))
    return [name for name, parameter in model.named_parameters() if id(parameter) not in kept]


def _is_norm(module: nn.Module) -> bool:
    # Every family of trunks has a class of its own: LlamaRMSNorm, Qwen3RMSNorm, CohereLayerNorm.
    return isinstance(module, _NORMS) or type(module).__name__.endswith("Norm")


def set_learning_rates(optimizer: Optimizer, model: nn.Module, args: SensiaConfig):
    """
    Divides an optimizer's groups so that the sense and weight network learn at `sense_learning_rate`, and the trunk
    without its word embeddings at `trunk_learning_rate`. A schedule then scales all groups alike. What keeps
    `learning_rate` comes first, because the first group's rate is the one that the Trainer logs.

    Args:
        optimizer (`torch.optim.Optimizer`): just made, before its first step and its schedule.
        model ([`BackpackForCausalLM`]): the model or its adapted form, without DDP around it.
        args ([`SensiaConfig`]): names the rates; without one, nothing is changed.

    Raises:
        ValueError: if a rate has nothing to work on, or the optimizer keeps its parameters to itself.
    """
    rates = {name: getattr(args, name) for name in ("sense_learning_rate", "trunk_learning_rate")}
    rates = {name: rate for name, rate in rates.items() if rate is not None}
    if not rates:
        return
    trained = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    if trained != {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}:
        raise ValueError(
            f"`{next(iter(rates))}` needs an optimizer that has all parameters in its groups; `optim={args.optim}` "
            "keeps them elsewhere."
        )
    special = {name: ids & trained for name, ids in _members(model).items() if name in rates}
    for name, ids in special.items():
        if not ids:
            raise ValueError(f"`{name}` is given, but nothing is trained in the part of the model that it is for.")
    parts = [(special[name], rate) for name, rate in rates.items()]
    base = (trained.difference(*special.values()), None)
    optimizer.param_groups[:] = [
        {**group, "params": params, "lr": group["lr"] if rate is None else rate}
        for ids, rate in (base, *parts)
        for group in optimizer.param_groups
        if (params := [parameter for parameter in group["params"] if id(parameter) in ids])
    ]


def _members(model: nn.Module) -> dict[str, set[int]]:
    """Parameters by the setting that gives them their learning rate."""
    backpack = unwrap_peft_model(model).backpack
    words = _ids([backpack.get_input_embeddings()])
    return {
        "sense_learning_rate": _ids([backpack.sense_network, backpack.weight_network]),
        "trunk_learning_rate": _ids([backpack.trunk]) - words,
    }


def _ids(modules: Iterable[nn.Module]) -> set[int]:
    return {id(parameter) for module in modules for parameter in module.parameters()}
