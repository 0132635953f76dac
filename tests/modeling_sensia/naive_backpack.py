"""The Backpack written out one position, head and sense at a time, to compare the package with.

Parameters come as a dict of float64 tensors under the names of the public checkpoints. Everything is differentiable,
so gradients can be compared as well.
"""

import math
from typing import NamedTuple

import torch

EPSILON = 1e-5


class NaiveOutput(NamedTuple):
    senses: torch.Tensor  # [K, L, D]
    states: torch.Tensor  # [L, D]
    contextualization: torch.Tensor  # [K, L, L]
    mixture: torch.Tensor  # [L, D]
    logits: torch.Tensor  # [L, V]


def naive_backpack(parameters, ids, num_senses, num_heads, inverse_layer_scaling):
    """The whole forward of one row of token ids, without pads."""
    senses = naive_senses(parameters, ids, num_senses)
    states = naive_trunk(parameters, ids, num_heads, inverse_layer_scaling)
    weights = naive_contextualization(parameters, states, num_senses)
    mixture = naive_mixture(weights, senses)
    logits = torch.stack([parameters["backpack.gpt2_model.wte.weight"] @ output for output in mixture])
    return NaiveOutput(senses, states, weights, mixture, logits)


def naive_senses(parameters, ids, num_senses):
    """Senses [K, L, D], token by token, with the public code's order of residuals."""

    def normed(vector, name):
        return layer_norm(vector, parameters, f"backpack.sense_network.{name}")

    def mlp(vector, name):
        return two_layers(vector, parameters, f"backpack.sense_network.{name}")

    columns = []
    for token in ids:
        raw = parameters["backpack.gpt2_model.wte.weight"][token]
        first = normed(raw, "ln") + raw
        second = mlp(normed(first, "block.ln_1"), "block.mlp") + first
        flat = mlp(normed(second, "block.ln_2"), "final_mlp")
        width = len(raw)
        columns.append(torch.stack([flat[k * width : (k + 1) * width] for k in range(num_senses)]))
    return torch.stack(columns, dim=1)


def naive_trunk(parameters, ids, num_heads, inverse_layer_scaling):
    """Final states [L, D] of a GPT-2 whose block l may divide its attention scores by l + 1."""
    tokens = parameters["backpack.gpt2_model.wte.weight"]
    positions = parameters["backpack.gpt2_model.wpe.weight"]
    hidden = [tokens[token] + positions[place] for place, token in enumerate(ids)]
    layer = 0
    while f"backpack.gpt2_model.h.{layer}.ln_1.weight" in parameters:
        block = f"backpack.gpt2_model.h.{layer}"
        divisor = layer + 1 if inverse_layer_scaling else 1
        normed = [layer_norm(vector, parameters, f"{block}.ln_1") for vector in hidden]
        attended = naive_attention(parameters, f"{block}.attn", normed, num_heads, divisor)
        hidden = [vector + change for vector, change in zip(hidden, attended, strict=True)]
        hidden = [
            vector + two_layers(layer_norm(vector, parameters, f"{block}.ln_2"), parameters, f"{block}.mlp")
            for vector in hidden
        ]
        layer += 1
    return torch.stack([layer_norm(vector, parameters, "backpack.gpt2_model.ln_f") for vector in hidden])


def naive_attention(parameters, name, vectors, num_heads, divisor):
    width = len(vectors[0])
    head_width = width // num_heads
    projected = [affine(vector, parameters, f"{name}.c_attn") for vector in vectors]
    outputs = []
    for place in range(len(vectors)):
        heads = []
        for head in range(num_heads):
            part = slice(head * head_width, (head + 1) * head_width)
            query = projected[place][:width][part]
            keys = [vector[width : 2 * width][part] for vector in projected[: place + 1]]
            values = [vector[2 * width :][part] for vector in projected[: place + 1]]
            weights = softmax([query @ key / math.sqrt(head_width) / divisor for key in keys])
            heads.append(sum(weight * value for weight, value in zip(weights, values, strict=True)))
        outputs.append(affine(torch.cat(heads), parameters, f"{name}.c_proj"))
    return outputs


def naive_contextualization(parameters, states, num_senses):
    """Weights [K, L, L] of each earlier sense at each position."""
    length, width = len(states), len(states[0]) // num_senses
    matrix = parameters["backpack.sense_weight_net.c_attn.weight"]  # [2 K (D // K), D]
    bias = parameters["backpack.sense_weight_net.c_attn.bias"]
    projected = [matrix @ state + bias for state in states]
    rows = []
    for sense in range(num_senses):
        query_part = slice(sense * width, (sense + 1) * width)
        key_part = slice((num_senses + sense) * width, (num_senses + sense + 1) * width)
        for place in range(length):
            scores = [
                projected[place][query_part] @ projected[earlier][key_part] / math.sqrt(width)
                for earlier in range(place + 1)
            ]
            rows.append(torch.cat([torch.stack(softmax(scores)), scores[0].new_zeros(length - place - 1)]))
    return torch.stack(rows).reshape(num_senses, length, length)


def naive_mixture(contextualization, senses):
    """o[t] = sum_k sum_j C[k, t, j] S[k, j], for one row."""
    num_senses, queries, keys = contextualization.shape
    outputs = []
    for place in range(queries):
        terms = [
            contextualization[sense, place, earlier] * senses[sense, earlier]
            for sense in range(num_senses)
            for earlier in range(keys)
        ]
        outputs.append(sum(terms))
    return torch.stack(outputs)


def naive_pool(contextualization, senses, mask, temperature):
    """The sense vector [D] and the mixture's entropy of one row; zeros if no token is real."""
    num_senses, length, _ = contextualization.shape
    vector, entropy = senses[0, 0] * 0, senses.sum() * 0
    real = [place for place in range(length) if mask[place]]
    for place in real:
        contributions = [
            sum(contextualization[sense, place, earlier] * senses[sense, earlier] for earlier in range(length))
            for sense in range(num_senses)
        ]
        norms = [torch.sqrt(sum(component**2 for component in vector)) for vector in contributions]
        mixture = softmax([norm / temperature for norm in norms])
        vector = vector + sum(p * part for p, part in zip(mixture, contributions, strict=True)) / len(real)
        entropy = entropy - sum(p * torch.log(p) for p in mixture) / len(real)
    return (unit(vector) if real else vector), entropy


def unit(vector):
    return vector / torch.sqrt(sum(component**2 for component in vector))


def layer_norm(vector, parameters, name):
    centred = vector - sum(vector) / len(vector)
    variance = sum(centred**2) / len(vector)
    return centred / torch.sqrt(variance + EPSILON) * parameters[f"{name}.weight"] + parameters[f"{name}.bias"]


def two_layers(vector, parameters, name):
    return affine(gelu_new(affine(vector, parameters, f"{name}.c_fc")), parameters, f"{name}.c_proj")


def affine(vector, parameters, name):
    """y = x W + b, with the weights stored [in, out]."""
    return vector @ parameters[f"{name}.weight"] + parameters[f"{name}.bias"]


def gelu_new(vector):
    return 0.5 * vector * (1 + torch.tanh(math.sqrt(2 / math.pi) * (vector + 0.044715 * vector**3)))


def softmax(scores):
    """A list of scalars to a list of scalars."""
    highest = max(score.item() for score in scores)
    exponentials = [torch.exp(score - highest) for score in scores]
    total = sum(exponentials)
    return [value / total for value in exponentials]
