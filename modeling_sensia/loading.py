"""Loading a model and the tokenizer that belongs to it, with errors that say what is wrong."""

from typing import Any

from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from .configuration_backpack import BackpackConfig
from .model_sources import check_model_folder, check_tokenizer_folder, check_vocabulary, model_source
from .modeling_backpack import BackpackForCausalLM

# Code that a repository holds is not run. Nobody is asked about it either: the question would stop an unattended run.
_NO_CODE: dict[str, Any] = {"trust_remote_code": False}


def load_base(
    name: str,
    *,
    tokenizer_name: str | None = None,
    attn_implementation: str | None = None,
    dropout: float | None = None,
    from_scratch: bool = False,
    model_class: type = BackpackForCausalLM,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """
    Loads a model in float32, and its tokenizer.

    Args:
        name (`str`): Hub id or folder, in our layout or the public one.
        tokenizer_name (`str`, *optional*, defaults to `name`): Hub id or folder of the tokenizer.
        attn_implementation (`str`, *optional*): attention of the trunk, as transformers names them.
        dropout (`float`, *optional*): dropout of trunk and senses, instead of the model's own; for Backpacks only.
        from_scratch (`bool`, *optional*, defaults to `False`): keep the architecture alone, with random weights.
        model_class (`type`, *optional*, defaults to [`BackpackForCausalLM`]): class whose `from_pretrained` is called.

    Returns:
        `tuple` of `PreTrainedModel` and `PreTrainedTokenizerBase`

    Raises:
        ValueError: if the model is of another class, if the tokenizer has no end-of-text token or has more tokens than
            the model, or if `dropout` is out of range.
        OSError: if there is no such folder or Hub model.
    """
    name = model_source(name)
    tokenizer_name = model_source(tokenizer_name) if tokenizer_name else name
    check_model_folder(name)
    config = None if dropout is None else _with_dropout(BackpackConfig.from_pretrained(name), dropout)
    model = model_class.from_pretrained(  # type: ignore[attr-defined]
        name, config=config, dtype="float32", attn_implementation=attn_implementation, **_NO_CODE
    )
    if from_scratch:
        model = type(model)(model.config)
    check_tokenizer_folder(tokenizer_name)
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_name, **_NO_CODE)
    if tokenizer.eos_token_id is None:
        raise ValueError(f"The tokenizer {tokenizer_name} has no end-of-text token to close sentences with.")
    check_vocabulary(model, tokenizer, name, tokenizer_name)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer


def _with_dropout(config: BackpackConfig, dropout: float) -> BackpackConfig:
    """A configuration in which every dropout, under whatever name the trunk has it, is `dropout`."""
    if not 0 <= dropout < 1:
        raise ValueError(f"`dropout` must lie in [0, 1), got {dropout}.")
    for name, value in config.trunk_config.to_dict().items():
        if name.endswith(("dropout", "pdrop")) and isinstance(value, int | float):
            setattr(config.trunk_config, name, dropout)
    config.sense_dropout = dropout
    return config
