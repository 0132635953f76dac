"""Small checkpoints as the code of the Backpack paper (ACL 2023) writes them, and that code's forward pass.

Names, shapes and the order of norms and residuals follow github.com/john-hewitt/backpacks-flash-attn: the Backpack in
training/src/models/backpack.py (BackpackLMHeadModel, BackpackContentModule, ContextSelfAttn), its trunk and blocks in
the flash-attention of that time (flash_attn/models/gpt.py with `ln_0`, flash_attn/modules/block.py), the Lightning
module that puts `model.` before every name in training/src/tasks/seq.py, and the settings, which scale attention by
the inverse layer index, in training/configs/model/backpack.yaml. The counter of tokens that is saved with the model is
flash-attention's training/src/metrics/num_tokens.py.
"""

import math

import torch
from torch.nn import functional as F

NUM_SENSES, NUM_HEADS, NUM_LAYERS, WIDTH, VOCABULARY, POSITIONS = 4, 2, 3, 16, 56, 12
EMBEDDINGS = "transformer.gpt2_model.embeddings"
#: The Backpack reaches its embeddings in three ways, and the head is a fourth.
OWNERS = ("transformer.gpt2_model.embeddings", "transformer.content_model.embeddings", "transformer.embeddings")


def acl_tensors(sense_inner=4 * WIDTH):
    """A state dict of `BackpackLMHeadModel`. `shrink_final_inner` in its settings makes `sense_inner` the width."""
    trunk, content = "transformer.gpt2_model", "transformer.content_model"
    shapes = {
        f"{EMBEDDINGS}.word_embeddings.weight": (VOCABULARY, WIDTH),
        f"{EMBEDDINGS}.position_embeddings.weight": (POSITIONS, WIDTH),
        **norm(f"{trunk}.ln_0"),
        **norm(f"{content}.ln_0"),
        **norm(f"{content}.layers.0.norm1"),
        **norm(f"{content}.layers.0.norm2"),
        **mlp(f"{content}.layers.0.mlp", sense_inner, WIDTH),
        **mlp(f"{content}.final_mlp", sense_inner, NUM_SENSES * WIDTH),
        **linear("transformer.contextualization_attn.Wqkv", WIDTH, 2 * WIDTH),
    }
    for layer in range(NUM_LAYERS):
        block = f"{trunk}.layers.{layer}"
        shapes |= linear(f"{block}.mixer.Wqkv", WIDTH, 3 * WIDTH) | linear(f"{block}.mixer.out_proj", WIDTH, WIDTH)
        shapes |= mlp(f"{block}.mlp", 4 * WIDTH, WIDTH) | norm(f"{block}.norm1") | norm(f"{block}.norm2")
    generator = torch.Generator().manual_seed(1)
    noise = {name: torch.randn(shape, generator=generator) * 0.3 for name, shape in shapes.items()}
    # Only norms have weights that are vectors; they scale by about one.
    tensors = {name: tensor + (tensor.ndim == 1 and name.endswith("weight")) for name, tensor in noise.items()}
    return tensors | aliases(tensors)


def aliases(tensors):
    words, positions = (tensors[f"{EMBEDDINGS}.{kind}_embeddings.weight"] for kind in ("word", "position"))
    tied = {"lm_head.weight": words}
    for owner in OWNERS[1:]:
        tied |= {f"{owner}.word_embeddings.weight": words, f"{owner}.position_embeddings.weight": positions}
    return tied


def norm(name):
    return {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}


def linear(name, inputs, outputs):
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def mlp(name, inner, outputs):
    return linear(f"{name}.fc1", WIDTH, inner) | linear(f"{name}.fc2", inner, outputs)


def lightning(tensors, **others):
    """Content of the file that the trainer saves: the state dict of the task, with the model, counters and more."""
    state = {f"model.{name}": tensor for name, tensor in tensors.items()}
    counters = {f"{part}_metrics.num-tokens.count": torch.tensor(512) for part in ("train", "val", "test")}
    return {
        "epoch": 0,
        "global_step": 100_000,
        "pytorch-lightning_version": "1.8.1",
        "state_dict": state | counters,
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 6e-4}]}],
        **others,
    }


def acl_logits(tensors, ids, scaled=True):
    """Logits [L, V] of one row, in float64, with the names and in the order of the paper's code."""
    state = {name: tensor.double() for name, tensor in tensors.items()}
    words = state[f"{EMBEDDINGS}.word_embeddings.weight"]
    embedded = words[torch.tensor(ids)]  # [L, D]
    residual = embedded + state[f"{EMBEDDINGS}.position_embeddings.weight"][: len(ids)]
    hidden = normed(state, "transformer.gpt2_model.ln_0", residual)
    for layer in range(NUM_LAYERS):
        block = f"transformer.gpt2_model.layers.{layer}"
        divisor = layer + 1 if scaled else 1
        residual = attended(state, f"{block}.mixer", hidden, divisor) + residual
        hidden = normed(state, f"{block}.norm1", residual)
        residual = perceptron(state, f"{block}.mlp", hidden) + residual
        hidden = normed(state, f"{block}.norm2", residual)
    return torch.einsum("kts,ksd->td", contextualization(state, hidden), content(state, embedded)) @ words.T


def content(state, embedded):
    """Senses [K, L, D]: a block without attention, whose input is the normed embedding and residual the raw one."""
    model = "transformer.content_model"
    hidden = normed(state, f"{model}.ln_0", embedded)
    residual = hidden + embedded
    residual = (
        perceptron(state, f"{model}.layers.0.mlp", normed(state, f"{model}.layers.0.norm1", residual)) + residual
    )
    senses = perceptron(state, f"{model}.final_mlp", normed(state, f"{model}.layers.0.norm2", residual))
    return senses.reshape(len(embedded), NUM_SENSES, WIDTH).transpose(0, 1)


def contextualization(state, hidden):
    both = projected(state, "transformer.contextualization_attn.Wqkv", hidden)
    queries, keys = both.reshape(len(hidden), 2, NUM_SENSES, -1).unbind(1)
    scores = torch.einsum("tkd,skd->kts", queries, keys) / math.sqrt(WIDTH // NUM_SENSES)
    return (scores + torch.full(scores.shape[1:], -10000.0).triu(1)).softmax(-1)


def attended(state, name, hidden, divisor):
    queries, keys, values = projected(state, f"{name}.Wqkv", hidden).reshape(len(hidden), 3, NUM_HEADS, -1).unbind(1)
    scores = torch.einsum("thd,shd->hts", queries, keys) / math.sqrt(WIDTH // NUM_HEADS) / divisor
    weights = scores.masked_fill(torch.ones(scores.shape[1:]).triu(1).bool(), -math.inf).softmax(-1)
    return projected(state, f"{name}.out_proj", torch.einsum("hts,shd->thd", weights, values).flatten(1))


def perceptron(state, name, hidden):
    inner = projected(state, f"{name}.fc1", hidden)
    curved = 0.5 * inner * (1 + torch.tanh(math.sqrt(2 / math.pi) * (inner + 0.044715 * inner**3)))
    return projected(state, f"{name}.fc2", curved)


def projected(state, name, hidden):
    return hidden @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def normed(state, name, hidden):
    return F.layer_norm(hidden, (WIDTH,), state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-5)
