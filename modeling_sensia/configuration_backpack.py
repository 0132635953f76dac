"""Configuration of the Backpack language model (arXiv 2305.16765)."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoConfig,
    GPT2Config,
    PreTrainedConfig,
)

if TYPE_CHECKING:
    # transformers copies to a saved model every file that it finds in such a line, whether the line runs or not.
    from .sentence_encoder import BackpackSentenceEncoder  # noqa: F401

#: Content of `modules.json`, by which sentence-transformers finds the module that reads a saved model.
_SENTENCE_MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_encoder.BackpackSentenceEncoder"},
]
#: Fields of the public flat configuration that belong to the Backpack. All other fields belong to its GPT-2 trunk.
_PUBLIC_BACKPACK_FIELDS = ("num_senses", "sense_intermediate_scale")
#: Defaults of the public configuration class that differ from GPT-2's.
_PUBLIC_TRUNK_DEFAULTS: dict[str, Any] = {
    "vocab_size": 50264,
    "n_positions": 512,
    "scale_attn_by_inverse_layer_idx": True,
}
#: Fields that every configuration file has and that do not belong to GPT-2.
_COMMON_FIELDS = ("architectures", "dtype", "torch_dtype", "transformers_version", "tie_word_embeddings", "use_cache")
#: Trunks that set one of these do not have full causal attention; `window_size` is GPT-Neo's.
_REFUSED_TRUNK_FIELDS = (
    "sliding_window",
    "window_size",
    "attention_chunk_size",
    "add_cross_attention",
    "is_encoder_decoder",
    "use_bidirectional_attention",
    "alibi",
)
#: Models that transformers lists as causal but that cannot be a trunk: a Backpack, an encoder, an image model.
_REFUSED_TRUNKS = ("backpack", "bert-generation", "git")
#: Fields that senses, cache and initialisation need from a trunk. Recurrent decoders have no number of heads, and
#: decoders without `use_cache` have no cache.
_REQUIRED_TRUNK_FIELDS = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "max_position_embeddings",
    "initializer_range",
    "use_cache",
)


class BackpackConfig(PreTrainedConfig):
    r"""
    Configuration of a Backpack: a causal Transformer (the trunk) weighs K context-free sense vectors per token.

    `vocab_size`, `hidden_size`, `max_position_embeddings`, `num_attention_heads`, `num_key_value_heads`,
    `initializer_range`, `bos_token_id`, `eos_token_id`, `pad_token_id` and, for GPT-2 trunks,
    `scale_attn_by_inverse_layer_idx` are attributes of the trunk: they are read from and written to `trunk_config`.
    `num_hidden_layers` is the trunk's plus one, because the sense mixture uses one layer of the key/value cache.

    Args:
        trunk_config (`dict` or [`PreTrainedConfig`], *optional*):
            Configuration of any full-attention causal decoder that transformers knows. Defaults to GPT-2 small with
            512 positions, 50,264 tokens and attention scaled by the inverse layer index, as the public Backpacks have.
        num_senses (`int`, *optional*, defaults to 16):
            Number K of sense vectors per token.
        sense_intermediate_scale (`int`, *optional*, defaults to 4):
            Width of the last sense MLP's hidden layer, as a multiple of the hidden size. The first one's is always 4.
        sense_activation (`str`, *optional*, defaults to `"gelu_new"`):
            Activation of the sense network, by its transformers name.
        sense_dropout (`float`, *optional*, defaults to 0.1):
            Dropout probability inside the sense network and on the senses.
        layer_norm_epsilon (`float`, *optional*, defaults to 1e-5):
            Epsilon of the sense network's layer norms.
        pooling_temperature (`float`, *optional*, defaults to 0.7):
            Temperature of the softmax over senses that the sense vectors of sentences were trained with. `forward`
            pools only if it is given a temperature itself; sentence-transformers gives it this one.
        use_cache (`bool`, *optional*, defaults to `True`):
            Whether `forward` returns the key/value cache.

    Raises:
        ValueError: if the trunk is not a full-attention decoder, or a size does not fit.
    """

    model_type = "backpack"
    keys_to_ignore_at_inference = [  # noqa: RUF012 - the library's own convention
        "past_key_values",
        "hidden_states",
        "attentions",
        "senses",
        "contextualization",
    ]
    sub_configs = {"trunk_config": AutoConfig}  # noqa: RUF012

    trunk_config: Any = None  # a dict, a configuration or `None` is accepted; a configuration after `__init__`
    num_senses: int = 16
    sense_intermediate_scale: int = 4
    sense_activation: str = "gelu_new"
    sense_dropout: float | int = 0.1
    layer_norm_epsilon: float = 1e-5
    pooling_temperature: float | int = 0.7
    use_cache: bool = True
    tie_word_embeddings: bool = True

    def __post_init__(self, **kwargs):
        self.trunk_config = _build_trunk_config(self.trunk_config)
        super().__post_init__(**kwargs)
        # Always set: a model fine-tuned from another repository must not keep that repository's code references.
        self.auto_map = {
            "AutoConfig": "configuration_backpack.BackpackConfig",
            "AutoModel": "modeling_backpack.BackpackModel",
            "AutoModelForCausalLM": "modeling_backpack.BackpackForCausalLM",
        }
        self._check()

    def save_pretrained(self, save_directory: str | os.PathLike, *args, **kwargs):
        """Saves the configuration, and `modules.json`, which makes the folder a sentence-transformers model."""
        super().save_pretrained(save_directory, *args, **kwargs)
        Path(save_directory, "modules.json").write_text(json.dumps(_SENTENCE_MODULES, indent=2) + "\n")

    def to_dict(self) -> dict[str, Any]:
        """The configuration as a dict, with the trunk's special tokens at the top level, which generation reads."""
        special = {name: getattr(self, name, None) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
        return {**super().to_dict(), **special}

    def _check(self):
        _check_trunk_config(self.trunk_config)
        if not self.tie_word_embeddings:
            raise ValueError("`tie_word_embeddings` must be true: a Backpack's head is its word embeddings.")
        if self.num_senses < 1 or self.num_senses > self.hidden_size:
            raise ValueError(f"`num_senses` must lie in [1, hidden_size = {self.hidden_size}], got {self.num_senses}.")
        if self.sense_intermediate_scale < 1:
            raise ValueError(f"`sense_intermediate_scale` must be at least 1, got {self.sense_intermediate_scale}.")
        if not 0 <= self.sense_dropout < 1:
            raise ValueError(f"`sense_dropout` must lie in [0, 1), got {self.sense_dropout}.")
        if self.pooling_temperature <= 0:
            raise ValueError(f"`pooling_temperature` must be positive, got {self.pooling_temperature}.")

    @property
    def num_hidden_layers(self) -> int:
        """`int`: the trunk's layers plus the sense mixture, as the cache counts them."""
        return self.trunk_config.num_hidden_layers + 1

    @num_hidden_layers.setter
    def num_hidden_layers(self, value: int):
        self.trunk_config.num_hidden_layers = value - 1

    @classmethod
    def get_config_dict(cls, pretrained_model_name_or_path, **kwargs) -> tuple[dict[str, Any], dict[str, Any]]:
        """Reads a configuration, and converts a public flat one (GPT-2 fields plus `num_senses`) to this class."""
        config_dict, kwargs = super().get_config_dict(pretrained_model_name_or_path, **kwargs)
        if divides_mixture(config_dict):
            raise ValueError(
                f"{pretrained_model_name_or_path} is a JAX (Levanter) export, whose code divides the mixture by K. "
                "Ours does not: convert it with `python -m modeling_sensia.conversion_backpack`."
            )
        if is_public_config(config_dict):
            return _nest_public_config(config_dict), kwargs
        if config_dict.get("model_type", cls.model_type) != cls.model_type:
            # Without this error the result would be a Backpack with random weights.
            raise ValueError(
                f"{pretrained_model_name_or_path} holds a `{config_dict['model_type']}` model, not a Backpack: its "
                "configuration has no `trunk_config` and no `num_senses`."
            )
        return config_dict, kwargs


def _trunk_property(name: str) -> property:
    def read(self):
        return getattr(self.trunk_config, name)

    def write(self, value):
        setattr(self.trunk_config, name, value)

    return property(read, write, doc=f"The trunk's `{name}`.")


for _name in (
    "vocab_size",
    "hidden_size",
    "max_position_embeddings",
    "num_attention_heads",
    "num_key_value_heads",
    "initializer_range",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "scale_attn_by_inverse_layer_idx",
):
    setattr(BackpackConfig, _name, _trunk_property(_name))


def is_public_config(config_dict: dict[str, Any]) -> bool:
    """Tells if a configuration is a public Backpack's flat one, whatever its `model_type` says."""
    architectures = config_dict.get("architectures") or []
    named = any("backpack" in str(name).lower() for name in architectures)
    return "trunk_config" not in config_dict and ("num_senses" in config_dict or named)


def divides_mixture(config_dict: dict[str, Any]) -> bool:
    """Tells if a configuration is of a JAX (Levanter) export, whose code divides the mixture by K."""
    references = [str(reference).rpartition("--")[2] for reference in (config_dict.get("auto_map") or {}).values()]
    modules = {reference.partition(".")[0] for reference in references}
    return config_dict.get("model_type") == "backpack-gpt2" or bool({"backpack_config", "backpack_model"} & modules)


def refuse_backpack(pretrained_model_name_or_path: str | Path, **kwargs):
    """Raises a `ValueError` if a folder or Hub id is a Backpack (ours or a public one), not a plain decoder."""
    config_dict, _ = PreTrainedConfig.get_config_dict(pretrained_model_name_or_path, **kwargs)
    if is_public_config(config_dict) or config_dict.get("model_type") == BackpackConfig.model_type:
        raise ValueError(f"{pretrained_model_name_or_path} is a Backpack already: load it with `from_pretrained`.")


def _nest_public_config(flat: dict[str, Any]) -> dict[str, Any]:
    nested = {name: flat[name] for name in (*_PUBLIC_BACKPACK_FIELDS, *_COMMON_FIELDS) if name in flat}
    own = {*nested, "model_type", "auto_map", "_name_or_path"}
    trunk = {**_PUBLIC_TRUNK_DEFAULTS, **{name: value for name, value in flat.items() if name not in own}}
    nested["model_type"] = BackpackConfig.model_type
    nested["architectures"] = ["BackpackForCausalLM"]
    nested["sense_activation"] = trunk.get("activation_function", "gelu_new")
    nested["sense_dropout"] = trunk.get("resid_pdrop", 0.1)
    nested["layer_norm_epsilon"] = trunk.get("layer_norm_epsilon", 1e-5)
    nested["trunk_config"] = {**trunk, "model_type": "gpt2"}
    return nested


def _build_trunk_config(trunk_config: dict | PreTrainedConfig | None) -> PreTrainedConfig:
    if trunk_config is None:
        return GPT2Config(**_PUBLIC_TRUNK_DEFAULTS)
    if isinstance(trunk_config, PreTrainedConfig):
        return trunk_config
    if not isinstance(trunk_config, dict):
        raise ValueError(f"`trunk_config` must be a dict or a configuration, got {type(trunk_config).__name__}.")
    fields = dict(trunk_config)
    return AutoConfig.for_model(fields.pop("model_type", "gpt2"), **fields)


def _check_trunk_config(trunk_config: PreTrainedConfig):
    """Raises a `ValueError` for decoders whose attention mask or cache the sense mixture cannot share."""
    name = trunk_config.model_type
    if name in _REFUSED_TRUNKS:
        raise ValueError(f"A `{name}` trunk cannot carry senses: it is not a plain causal decoder.")
    for field in _REFUSED_TRUNK_FIELDS:
        if getattr(trunk_config, field, None):
            raise ValueError(f"A `{name}` trunk with `{field}` cannot carry senses: full causal attention is needed.")
    layer_types = set(getattr(trunk_config, "layer_types", None) or ["full_attention"])
    if layer_types != {"full_attention"}:
        raise ValueError(
            f"A `{name}` trunk with layers {sorted(layer_types)} cannot carry senses: "
            "every layer must be full attention."
        )
    missing = [field for field in _REQUIRED_TRUNK_FIELDS if getattr(trunk_config, field, None) is None]
    if missing:
        raise ValueError(f"A `{name}` trunk cannot carry senses: its configuration has no {', '.join(missing)}.")
    if type(trunk_config) not in MODEL_FOR_CAUSAL_LM_MAPPING or type(trunk_config) in MODEL_FOR_MASKED_LM_MAPPING:
        raise ValueError(f"A `{name}` trunk cannot carry senses: it is not a causal language model.")


__all__ = ["BackpackConfig", "divides_mixture", "is_public_config", "refuse_backpack"]
