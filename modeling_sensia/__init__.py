"""Backpack language models for transformers: `import modeling_sensia` registers the Auto classes."""

from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

from .configuration_backpack import BackpackConfig
from .modeling_backpack import BackpackForCausalLM, BackpackModel

AutoConfig.register(BackpackConfig.model_type, BackpackConfig, exist_ok=True)
AutoModel.register(BackpackConfig, BackpackModel, exist_ok=True)
AutoModelForCausalLM.register(BackpackConfig, BackpackForCausalLM, exist_ok=True)
# `save_pretrained` then copies the files that define these classes, so that a model on the Hub carries its code.
BackpackConfig.register_for_auto_class()
BackpackModel.register_for_auto_class("AutoModel")
BackpackForCausalLM.register_for_auto_class("AutoModelForCausalLM")

__all__ = ["BackpackConfig", "BackpackForCausalLM", "BackpackModel"]
