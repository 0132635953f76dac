"""Virtual tokens of peft, which have no senses, are refused at the first call."""

import pytest
from peft import PrefixTuningConfig, PromptTuningConfig, get_peft_model
from tiny_backpacks import tiny_backpack, tiny_config, token_ids

SIZES = {"token_dim": 32, "num_layers": 3, "num_attention_heads": 4, "num_virtual_tokens": 4}


@pytest.mark.parametrize(
    ("kind", "message"),
    [(PromptTuningConfig, "cannot be prompt-tuned"), (PrefixTuningConfig, "cannot be prefix-tuned: .* Use LoRA")],
)
def test_virtual_tokens_are_refused_at_the_first_call(kind, message):
    model = get_peft_model(tiny_backpack(tiny_config()), kind(task_type="CAUSAL_LM", **SIZES))
    for call in (model, model.generate):
        with pytest.raises(ValueError, match=message):
            call(input_ids=token_ids(2, 5))
