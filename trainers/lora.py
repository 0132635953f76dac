"""Adaptation by LoRA (Hu et al., arXiv 2106.09685): what is asked for, how it is put on a model and saved."""

import warnings
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
from torch import nn
from transformers import PreTrainedModel

from modeling_sensia import BackpackForCausalLM
from sensia.trainers.publishing import ADAPTER_FOLDER
from sensia.trainers.setting_ranges import check_counts, check_positive, check_shares

#: Everything linear: trunk, sense network and weight network. Right for any trunk; aligning has to move the senses.
DEFAULT_TARGETS = "all-linear"


@dataclass(kw_only=True)
class AdapterArguments:
    """Settings of an adapter that is trained instead of the model; see each field's help."""

    use_peft: bool = field(
        default=False, metadata={"help": "Train a LoRA adapter instead of the model; it is merged at the end."}
    )
    lora_r: int = field(default=16, metadata={"help": "Rank of the adapter."})
    lora_alpha: float = field(default=32, metadata={"help": "The adapter's output is scaled by lora_alpha / lora_r."})
    lora_dropout: float = field(default=0.0, metadata={"help": "Dropout on the input of the adapter."})
    lora_target_modules: list[str] | None = field(
        default=None,
        metadata={
            "help": "Names of the linear layers to adapt. If not given, all of them: those of trunk, sense network "
            "and weight network. docs/trunks.md lists choices."
        },
    )

    def check_adapter(self):
        """
        Raises:
            ValueError: naming a setting that is out of range, or that has no effect.
        """
        check_counts(self, "lora_r")
        check_positive(self, "lora_alpha")
        check_shares(self, "lora_dropout")
        if self.lora_target_modules is not None and not self.lora_target_modules:
            raise ValueError("`lora_target_modules` must name at least one layer, got an empty list.")
        default = AdapterArguments()
        for name, value in vars(default).items():
            if not self.use_peft and getattr(self, name) != value:
                raise ValueError(f"`{name}` is for adapters: it has no effect without `use_peft`.")


def with_adapter(model: PreTrainedModel, args: AdapterArguments, name: str) -> PreTrainedModel | PeftModel:
    """
    Puts a LoRA adapter on a Backpack, all of whose own weights are frozen; or nothing, if none is asked for.

    Args:
        model ([`BackpackForCausalLM`]): the base model.
        args ([`AdapterArguments`]): the adapter's shape.
        name (`str`): what the base model was loaded from. The adapter's files, which are published, say it; of a
            folder only its own name, since a path means nothing elsewhere.

    Returns:
        `PeftModel`, or the model itself without `use_peft`.

    Raises:
        ValueError: if a target is the embeddings or the head, which are one and the same weight, or is not there.
    """
    if not args.use_peft:
        return model
    targets: Any = args.lora_target_modules or [DEFAULT_TARGETS]
    _refuse_embeddings(model, targets)
    config = LoraConfig(
        r=args.lora_r,
        lora_alpha=args.lora_alpha,  # type: ignore[arg-type]  # a float is as good to peft
        lora_dropout=args.lora_dropout,
        target_modules=DEFAULT_TARGETS if targets == [DEFAULT_TARGETS] else targets,
        task_type="CAUSAL_LM",
    )
    adapted = _adapted(model, config)
    config.base_model_name_or_path = Path(name).resolve().name if Path(name).exists() else name
    return adapted


def _adapted(model: PreTrainedModel, config: PeftConfig) -> PeftModel:
    with warnings.catch_warnings():
        # A Backpack has weights of both orientations; peft sets the right one for each, and says so.
        warnings.filterwarnings("ignore", message="fan_in_fan_out is set")
        return cast(PeftModel, get_peft_model(model, config))


def _refuse_embeddings(model: PreTrainedModel, targets: list[str]):
    tied = (model.get_input_embeddings(), model.get_output_embeddings())
    names = [name for name, module in model.named_modules() if module in tied]
    for target in targets:
        if any(name == target or name.endswith(f".{target}") for name in names):
            raise ValueError(
                f"`lora_target_modules` must not name {target!r}: word embeddings and head are one weight in a "
                "Backpack, and an adapter of one of them would part them."
            )


def check_something_learns(model: nn.Module, frozen: Iterable[nn.Parameter], polish_freeze: str):
    """
    Args:
        model (`nn.Module`): the model to train.
        frozen (`Iterable`): parameters that polish leaves alone.
        polish_freeze (`str`): the setting that says so.

    Raises:
        ValueError: if polish would leave alone all that is trained, as it may where an adapter is only in the senses.
    """
    left = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    if not left.difference(id(parameter) for parameter in frozen):
        raise ValueError(
            f"`polish_freeze={polish_freeze}` freezes everything that this model trains. Give it more to train, such "
            "as other `lora_target_modules`, or set `polish_freeze=none`."
        )


def describe_adapter(model: nn.Module) -> dict[str, Any] | None:
    """
    Describes an adapter, as plain values for results and card.

    Args:
        model (`nn.Module`): the trained model, unwrapped.

    Returns:
        `dict`, *optional*: `method`, `rank`, `alpha`, `dropout`, `targets` (names of the adapted layers),
        `trained_parameters` of the adapter and their `share` of all parameters of the base model; `None` without an
        adapter.
    """
    if not isinstance(model, PeftModel):
        return None
    config: Any = model.peft_config[model.active_adapter]
    trained = sum(weight.numel() for name, weight in model.named_parameters() if "lora_" in name)
    return {
        "method": "LoRA",
        "rank": config.r,
        "alpha": config.lora_alpha,
        "dropout": config.lora_dropout,
        "targets": sorted({name.rpartition(".")[2] for name in model.targeted_module_names}),
        "trained_parameters": trained,
        "share": trained / base_parameters(model),
    }


def base_parameters(model: nn.Module) -> int:
    """Number of parameters of a model without its adapter, which is also that of the merged model."""
    return sum(weight.numel() for name, weight in model.named_parameters() if "lora_" not in name)


def save_merged(model: PeftModel, folder: Path, state: Mapping[str, torch.Tensor] | None = None):
    """
    Saves a whole model that has its adapter merged in, and beside it the adapter alone. The adapter of a model with
    new tokens is not saved alone: their embeddings, which learned too, are not in it. The model in training stays as
    it is: a copy on the CPU is merged.

    Args:
        model (`PeftModel`): the adapted model.
        folder (`Path`): where to; the adapter goes to its subfolder [`ADAPTER_FOLDER`].
        state (`Mapping`, *optional*, defaults to `model.state_dict()`): the whole state of a sharded model.
    """
    state = model.state_dict() if state is None else state
    base: Any = model.get_base_model()
    config = deepcopy(model.peft_config[model.active_adapter])
    config.base_model_name_or_path = None  # the copy has none
    with torch.device("meta"):
        copy = _adapted(BackpackForCausalLM(deepcopy(base.config)), config)
    copy.load_state_dict({name: weight.detach().to("cpu", copy=True) for name, weight in state.items()}, assign=True)
    cast(PreTrainedModel, copy.get_base_model()).tie_weights()  # before peft looks whether they are
    merged: Any = copy.merge_and_unload()  # type: ignore[operator]  # peft forwards it to the LoRA model
    merged.generation_config = base.generation_config
    merged.save_pretrained(folder)
    if not base.get_input_embeddings().weight.requires_grad:
        save_adapter(model, folder / ADAPTER_FOLDER, state)


def save_adapter(model: PeftModel, folder: Path, state: Mapping[str, torch.Tensor] | None = None):
    """
    Saves an adapter alone, without the card that peft writes: its text is empty, and it holds local paths.

    Args:
        model (`PeftModel`): the adapted model.
        folder (`Path`): where to.
        state (`Mapping`, *optional*): the whole state of a sharded model.
    """
    # Word embeddings are with it only where they learn, for new tokens: a run that goes on needs them. If peft had to
    # decide, it would look for those of the base model on the Hub.
    learned = model.get_input_embeddings().weight.requires_grad  # type: ignore[operator]
    model.save_pretrained(str(folder), state_dict=state, save_embedding_layers=bool(learned))
    (folder / "README.md").unlink(missing_ok=True)
