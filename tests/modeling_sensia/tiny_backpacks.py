"""Backpacks small enough for loops, with weights large enough that every part of the network matters."""

import torch

from modeling_sensia import BackpackConfig, BackpackForCausalLM

VOCABULARY = 97
TRUNKS = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 48, "scale_attn_by_inverse_layer_idx": True},
    "llama": {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 48,
    },
    "qwen3": {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 48,
    },
}


def tiny_config(trunk="gpt2", num_senses=4, trunk_overrides=None, **overrides):
    fields = {
        "model_type": trunk,
        "vocab_size": VOCABULARY,
        "bos_token_id": 0,
        "eos_token_id": None,
        "pad_token_id": None,
        **TRUNKS[trunk],
        **(trunk_overrides or {}),
    }
    return BackpackConfig(trunk_config=fields, num_senses=num_senses, **overrides)


def tiny_backpack(config=None, model_class=BackpackForCausalLM, seed=0, **kwargs):
    """A model in evaluation mode whose weights, biases and norms are all away from their initial values."""
    model = model_class._from_config(config or tiny_config(), **kwargs)
    spread_weights(model, seed)
    return model.eval()


@torch.no_grad()
def spread_weights(model, seed):
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim > 1:
            parameter.copy_(noise * 0.25)
        else:
            parameter.copy_(noise * 0.2 + (1.0 if name.endswith("weight") else 0.0))


def token_ids(*shape, seed=0):
    return torch.randint(1, VOCABULARY, shape, generator=torch.Generator().manual_seed(seed))


def padded_batch(rows, side):
    """Rows of different lengths as `input_ids` and `attention_mask`; pads are token 7, which is a word like others."""
    length = max(len(row) for row in rows)
    ids = torch.full((len(rows), length), 7)
    mask = torch.zeros(len(rows), length, dtype=torch.long)
    for index, row in enumerate(rows):
        place = slice(length - len(row), None) if side == "left" else slice(0, len(row))
        ids[index, place], mask[index, place] = row, 1
    return ids, mask


def public_parameters(model):
    """The float64 parameters of a causal LM under their public names, as leaves that collect gradients."""
    parameters = {}
    for name, tensor in model.named_parameters():
        public = name.replace(".trunk.", ".gpt2_model.").replace(".weight_network.", ".sense_weight_net.")
        parameters[public] = tensor.detach().double().clone().requires_grad_()
    return parameters
