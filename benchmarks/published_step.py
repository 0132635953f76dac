"""A Backpack and a training step that do what the authors' published script does, for training_step.py to measure.

Its losses and gradients are those of the package (tests/benchmarks/test_published_step.py). Written from a description
of that script, step by step, with what makes it slow left in:

- source and target are encoded one after the other, each sentence padded to 256 tokens;
- the senses of every position are computed, pads and repeated tokens included ([B, K, L, D]);
- the contributions of all senses to all positions are formed ([B, K, L, D]) and summed, and formed again for pooling;
- logits of sources and targets are computed at every position ([B, L, V]), those of the sources for nothing;
- the loss is a cross-entropy over all target logits, and its value without smoothing a second pass over them;
- InfoNCE runs one way, AdamW decays every parameter, and each loss is read out (`.item()`) at each step;
- dropout 0.1 in the trunk, on its attention and in the sense network; GPT-2's unfused `gelu_new`.

Where the description leaves a choice, this is the cheaper one: the second pass keeps no graph, AdamW is torch's own.
The script's own autocast is fixed to CUDA and fp16, so on a CPU it would train in float32; here it is bf16.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import GPT2Config, GPT2Model
from transformers.activations import ACT2FN
from transformers.pytorch_utils import Conv1D

from modeling_sensia import BackpackConfig, BackpackForCausalLM
from sensia.trainers.schedule import PhasePoint

MAX_LENGTH = 256
LABEL_SMOOTHING, POOLING_TEMPERATURE = 0.05, 0.7


class PublishedOutput(NamedTuple):
    """The output of the published forward."""

    logits: Tensor  # [B, L, V]
    mixture: Tensor  # [B, L, D]
    contextualization: Tensor  # [B, K, L, L]
    senses: Tensor  # [B, K, L, D]


class Batch(NamedTuple):
    """One language's side of a batch: ids and mask, [B, L] each."""

    ids: Tensor
    mask: Tensor


class PublishedMLP(nn.Module):
    """Two layers with GPT-2's activation, written out in elementary operations."""

    def __init__(self, width: int, inner: int, outputs: int, dropout: float):
        super().__init__()
        self.c_fc, self.c_proj = Conv1D(inner, width), Conv1D(outputs, inner)
        self.activation, self.dropout = ACT2FN["gelu_new"], nn.Dropout(dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.dropout(self.c_proj(self.activation(self.c_fc(inputs))))


class PublishedSenseNetwork(nn.Module):
    """Embeddings [B, L, D] to the senses of every position [B, K, L, D]."""

    def __init__(self, config: BackpackConfig, dropout: float):
        super().__init__()
        width = config.hidden_size
        self.num_senses = config.num_senses
        self.ln, self.ln_1, self.ln_2 = (nn.LayerNorm(width, eps=config.layer_norm_epsilon) for _ in range(3))
        self.mlp = PublishedMLP(width, 4 * width, width, dropout)
        inner = config.sense_intermediate_scale * width
        self.final_mlp = PublishedMLP(width, inner, config.num_senses * width, dropout)
        self.dropouts = nn.ModuleList(nn.Dropout(dropout) for _ in range(3))

    def forward(self, embeddings: Tensor) -> Tensor:
        residual = self.dropouts[0](embeddings)
        residual = self.dropouts[1](self.ln(residual)) + residual
        residual = self.dropouts[2](self.mlp(self.ln_1(residual))) + residual
        senses = self.final_mlp(self.ln_2(residual))  # [B, L, K D]
        return senses.unflatten(-1, (self.num_senses, -1)).transpose(1, 2).contiguous()  # [B, K, L, D]


class PublishedBackpack(nn.Module):
    """
    The Backpack of the published script.

    Args:
        config ([`BackpackConfig`]): sizes, with a GPT-2 trunk.
        dropout (`float`, *optional*, defaults to 0.1): of trunk, its attention and sense network.
        attention (`str`, *optional*, defaults to `"sdpa"`): the trunk's attention, as transformers names it.
    """

    def __init__(self, config: BackpackConfig, dropout: float = 0.1, attention: str = "sdpa"):
        super().__init__()
        changes = dict.fromkeys(("embd_pdrop", "attn_pdrop", "resid_pdrop"), dropout)
        trunk = {**config.trunk_config.to_dict(), **changes, "activation_function": "gelu_new", "use_cache": False}
        self.trunk = GPT2Model._from_config(
            GPT2Config(**trunk), attn_implementation=attention, dtype=torch.get_default_dtype()
        )
        self.num_senses = config.num_senses
        self.sense_network = PublishedSenseNetwork(config, dropout)
        width = config.hidden_size // config.num_senses
        self.sense_weights = nn.Linear(config.hidden_size, 2 * config.num_senses * width)

    def forward(self, ids: Tensor, mask: Tensor) -> PublishedOutput:
        embeddings = self.trunk.wte(ids)  # [B, L, D]
        senses = self.sense_network(embeddings)  # [B, K, L, D]
        states = self.trunk(input_ids=ids, attention_mask=mask).last_hidden_state  # [B, L, D]
        contextualization = self.contextualize(states)  # [B, K, L, L]
        mixture = (contextualization @ senses).sum(1)  # [B, L, D], of contributions [B, K, L, D]
        logits = F.linear(mixture, self.trunk.wte.weight)  # [B, L, V]
        return PublishedOutput(logits, mixture, contextualization, senses)

    def contextualize(self, states: Tensor) -> Tensor:
        weights = self.sense_weights(states).unflatten(-1, (2, self.num_senses, -1))  # [B, L, 2, K, W]
        queries, keys = weights.permute(2, 0, 3, 1, 4)  # [B, K, L, W] each
        scores = queries @ keys.mT / math.sqrt(queries.shape[-1])  # [B, K, L, L]
        later = torch.full(scores.shape[-2:], -10_000.0, dtype=scores.dtype, device=scores.device).triu(1)
        return (scores + later).softmax(-1, dtype=scores.dtype)

    def load_ours(self, model: BackpackForCausalLM, share: bool = False):
        """Takes over the weights of a Backpack of ours: copies, or with `share` the same parameters."""
        backpack = model.backpack
        for theirs, ours in (
            (self.trunk, backpack.trunk),
            (self.sense_network, backpack.sense_network),
            (self.sense_weights, backpack.weight_network.c_attn),
        ):
            weights = {name.removeprefix("block."): value for name, value in ours.state_dict(keep_vars=share).items()}
            theirs.load_state_dict(weights, assign=share)


def precise(values: Tensor) -> Tensor:
    """float32, or float64 where the model is."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def pool(output: PublishedOutput, real: Tensor) -> tuple[Tensor, Tensor]:
    """Unit sense vectors [B, D] and entropies [B], from contributions that are formed once more."""
    contributions = precise(output.contextualization @ output.senses)  # [B, K, L, D]
    weights = (contributions.norm(dim=-1) / POOLING_TEMPERATURE).softmax(1)  # [B, K, L]
    entropy = -(weights * weights.log()).sum(1)  # [B, L]
    pooled = (weights[..., None] * contributions).sum(1)  # [B, L, D]
    real = real.to(contributions.dtype)
    count = real.sum(1, keepdim=True).clamp(min=1)
    vectors = F.normalize((pooled * real[..., None]).sum(1) / count, dim=-1)
    return vectors, (entropy * real).sum(1) / count[:, 0]


def last_token(output: PublishedOutput, mask: Tensor) -> Tensor:
    rows = torch.arange(len(mask), device=mask.device)
    return F.normalize(precise(output.mixture[rows, mask.sum(1) - 1]), dim=-1)  # [B, D]


def one_way_info_nce(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    return F.cross_entropy(queries @ keys.T / temperature, torch.arange(len(queries), device=queries.device))


def losses(model: PublishedBackpack, source: Batch, target: Batch, point: PhasePoint, pad: int) -> dict[str, Tensor]:
    """All that the published script computes of a batch: the losses, the plain loss and the mixtures' entropies."""
    of_source, of_target = model(*source), model(*target)  # logits of both
    sense_source, entropy_source = pool(of_source, source.ids != pad)
    sense_target, entropy_target = pool(of_target, target.ids != pad)
    labels = target.ids.masked_fill(target.mask == 0, -100)[:, 1:].flatten()
    logits = precise(of_target.logits[:, :-1].flatten(0, 1))  # [B (L - 1), V]
    with torch.no_grad():
        plain = F.cross_entropy(logits, labels)
    return {
        "ctx": one_way_info_nce(last_token(of_source, source.mask), last_token(of_target, target.mask), point.tau_ctx),
        "sns": one_way_info_nce(sense_source, sense_target, point.tau_sns),
        "lm": F.cross_entropy(logits, labels, label_smoothing=LABEL_SMOOTHING),
        "lm_plain": plain,
        "entropy_source": entropy_source.mean(),
        "entropy_target": entropy_target.mean(),
    }


def objective(found: dict[str, Tensor], point: PhasePoint) -> Tensor:
    return point.w_ctx * found["ctx"] + point.w_sns * found["sns"] + point.w_lm * found["lm"]


def pad_side(sentences: Sequence[Sequence[int]], pad: int, length: int | None = MAX_LENGTH) -> Batch:
    """Sentences padded on the right to a length, or without one to their longest."""
    length = length or max(map(len, sentences))
    ids = torch.tensor([[*sentence, *[pad] * (length - len(sentence))] for sentence in sentences])  # [B, L]
    mask = torch.tensor([[1] * len(sentence) + [0] * (length - len(sentence)) for sentence in sentences])
    return Batch(ids, mask)


class PublishedTraining:
    """
    The published training step.

    Args:
        model ([`PublishedBackpack`]): trained in place.
        point ([`PhasePoint`]): weights and temperatures.
        pad (`int`): id of pads.
        autocast (`bool`, *optional*, defaults to `True`): bf16 autocast.
    """

    def __init__(self, model: PublishedBackpack, point: PhasePoint, pad: int, autocast: bool = True):
        self.model, self.point, self.pad, self.autocast = model.train(), point, pad, autocast
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.01)

    def backward(self, source: Batch, target: Batch) -> dict[str, Tensor]:
        with torch.autocast(source.ids.device.type, torch.bfloat16, enabled=self.autocast):
            found = losses(self.model, source, target, self.point, self.pad)
            loss = objective(found, self.point)
        loss.backward()
        return {**found, "loss": loss.detach()}

    def step(self, source: Batch, target: Batch) -> dict[str, float]:
        found = self.backward(source, target)
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return {name: value.item() for name, value in found.items()}
