"""The Backpack language model (arXiv 2305.16765), with the sentence vectors that SENSIA (arXiv 2601.10310) aligns.

Shapes: B rows, L positions of this call, S positions including the cached past, K senses, D the hidden size, V tokens.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModel, PreTrainedModel
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.cache_utils import Cache, DynamicCache
from transformers.core_model_loading import WeightRenaming
from transformers.generation import GenerationMixin
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_utils import load_state_dict
from transformers.pytorch_utils import Conv1D
from transformers.utils import ModelOutput, can_return_tuple, logging

from .configuration_backpack import BackpackConfig

logger = logging.get_logger(__name__)


@dataclass
class BackpackModelOutput(ModelOutput):
    """
    Output of [`BackpackModel`].

    Args:
        last_hidden_state (`torch.Tensor` [B, L, D]): the mixture o of sense vectors at each position.
        past_key_values (`Cache`, *optional*): the trunk's keys and values, then the mixture's keys and senses.
        hidden_states (`tuple` of `torch.Tensor` [B, L, D], *optional*): the trunk's, then o.
        attentions (`tuple` of `torch.Tensor` [B, heads, L, S], *optional*): the trunk's, then the contextualization.
        senses (`torch.Tensor` [B, K, S, D], *optional*): the sense vectors of every position.
        contextualization (`torch.Tensor` [B, K, L, S], *optional*): how much each earlier sense counts.
        context_vectors (`torch.Tensor` [B, D], *optional*): unit context vectors, with `pooling_temperature`.
        sense_vectors (`torch.Tensor` [B, D], *optional*): unit sense vectors, with `pooling_temperature`.
        mixture_entropy (`torch.Tensor` [B], *optional*): mean entropy of the sense mixture in nats, with
            `pooling_temperature`.
    """

    last_hidden_state: Tensor | None = None
    past_key_values: Cache | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
    senses: Tensor | None = None
    contextualization: Tensor | None = None
    context_vectors: Tensor | None = None
    sense_vectors: Tensor | None = None
    mixture_entropy: Tensor | None = None


@dataclass
class BackpackCausalLMOutput(ModelOutput):
    """
    Output of [`BackpackForCausalLM`]: the fields of [`BackpackModelOutput`] but the last hidden state, and

    Args:
        loss (`torch.Tensor` [], *optional*): language modelling loss in nats, smoothed by `label_smoothing`.
        plain_loss (`torch.Tensor` [], *optional*): the same without smoothing.
        logits (`torch.Tensor` [B, L, V], *optional*): scores of the next token; absent with `return_logits=False`.
    """

    loss: Tensor | None = None
    plain_loss: Tensor | None = None
    logits: Tensor | None = None
    past_key_values: Cache | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
    senses: Tensor | None = None
    contextualization: Tensor | None = None
    context_vectors: Tensor | None = None
    sense_vectors: Tensor | None = None
    mixture_entropy: Tensor | None = None


def mix_senses(contextualization: Tensor, senses: Tensor) -> Tensor:
    """
    The Backpack's output o[t] = sum_k sum_j C[k, t, j] S[k, j] (arXiv 2305.16765, section 3), as one matrix product.

    Args:
        contextualization (`torch.Tensor` [B, K, L, S]): weights C.
        senses (`torch.Tensor` [B, K, S, D]): sense vectors S.

    Returns:
        `torch.Tensor` [B, L, D]
    """
    weights = contextualization.transpose(1, 2).flatten(2)  # [B, L, K S]
    return weights @ senses.flatten(1, 2)  # [B, L, D]


def pool_senses(
    contextualization: Tensor, senses: Tensor, attention_mask: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """
    SENSIA's sense vector of each row and the entropy of its mixture (arXiv 2601.10310).

    With contributions P[k, t] = sum_j C[k, t, j] S[k, j] and p[k, t] = softmax over k of ||P[k, t]|| / temperature,
    the sense vector is the mean over real t of sum_k p[k, t] P[k, t], scaled to unit length, and the entropy is the
    mean over real t of -sum_k p log p, in nats. The contributions are never formed: the norms come from the senses'
    Gram matrices, and the mean from one weight per sense. Computed in float32 at least, whatever autocast says.

    Args:
        contextualization (`torch.Tensor` [B, K, L, L]): weights C.
        senses (`torch.Tensor` [B, K, L, D]): sense vectors S.
        attention_mask (`torch.Tensor` [B, L]): 1 for real tokens, 0 for pads.
        temperature (`float`): temperature of the softmax over senses, positive.

    Returns:
        `tuple` of `torch.Tensor`: unit sense vectors [B, D] and entropies [B].
    """
    if temperature <= 0:
        raise ValueError(f"The pooling temperature must be positive, got {temperature}.")
    precise = torch.promote_types(senses.dtype, torch.float32)
    with torch.autocast(senses.device.type, enabled=False):
        contextualization, senses = contextualization.to(precise), senses.to(precise)
        real = attention_mask.to(precise)  # [B, L]
        share = real / real.sum(1, keepdim=True).clamp(min=1)  # [B, L], each row sums to 1
        gram = senses @ senses.transpose(-1, -2)  # [B, K, L, L]
        squared_norms = ((contextualization @ gram) * contextualization).sum(-1)  # [B, K, L]
        log_mixture = F.log_softmax(squared_norms.clamp(min=1e-12).sqrt() / temperature, dim=1)  # [B, K, L]
        mixture = log_mixture.exp()
        entropy = -((mixture * log_mixture).sum(1) * share).sum(1)  # [B]
        weights = ((mixture * share[:, None]).unsqueeze(2) @ contextualization).flatten(1)  # [B, K L]
        pooled = torch.bmm(weights[:, None], senses.flatten(1, 2)).squeeze(1)  # [B, D]
        return F.normalize(pooled, dim=-1), entropy


def pool_context(mixture: Tensor, attention_mask: Tensor) -> Tensor:
    """
    SENSIA's context vector of each row: the Backpack's output at the last real token, scaled to unit length.

    Args:
        mixture (`torch.Tensor` [B, L, D]): the Backpack's output o.
        attention_mask (`torch.Tensor` [B, L]): 1 for real tokens, 0 for pads, on either side.

    Returns:
        `torch.Tensor` [B, D], float32 at least.
    """
    positions = torch.arange(mixture.shape[1], device=mixture.device)
    last = (attention_mask.to(positions.dtype) * positions).argmax(1)  # [B]
    rows = torch.arange(mixture.shape[0], device=mixture.device)
    precise = torch.promote_types(mixture.dtype, torch.float32)
    return F.normalize(mixture[rows, last].to(precise), dim=-1)


def _sentence_vectors(mixture, contextualization, senses, attention_mask, temperature) -> dict[str, Tensor]:
    if temperature is None:
        return {}
    real = mixture.new_ones(mixture.shape[:2]) if attention_mask is None else attention_mask
    sense_vectors, entropy = pool_senses(contextualization, senses, real, temperature)
    context_vectors = pool_context(mixture, real)
    return {"context_vectors": context_vectors, "sense_vectors": sense_vectors, "mixture_entropy": entropy}


def language_model_losses(
    logits: Tensor, labels: Tensor, label_smoothing: float = 0.0, num_items: Tensor | int | None = None
) -> tuple[Tensor, Tensor]:
    """
    Cross-entropy of tokens with and without label smoothing, from one pass over the logits.

    Args:
        logits (`torch.Tensor` [N, V]): scores of the token that `labels` names.
        labels (`torch.Tensor` [N]): token ids; -100 is left out.
        label_smoothing (`float`, *optional*, defaults to 0): share of the target spread evenly over the vocabulary.
        num_items (`int`, *optional*): divisor of the sum, 1 if it is 0; defaults to the number of labels here.

    Returns:
        `tuple` of `torch.Tensor`: smoothed and plain loss in nats, scalars.
    """
    log_probabilities = F.log_softmax(logits, -1, dtype=torch.promote_types(logits.dtype, torch.float32))  # [N, V]
    divisor = torch.as_tensor((labels != -100).sum() if num_items is None else num_items).clamp(min=1)
    plain = F.nll_loss(log_probabilities, labels, ignore_index=-100, reduction="sum") / divisor
    if label_smoothing == 0:
        return plain, plain.detach()
    uniform = -log_probabilities.mean(-1).masked_fill(labels == -100, 0.0).sum() / divisor
    return (1 - label_smoothing) * plain + label_smoothing * uniform, plain.detach()


def _activation(name: str) -> Callable[[Tensor], Tensor]:
    # The same function as GPT-2's `gelu_new` in one kernel instead of eight; they differ by 2.4e-7.
    return ACT2FN["gelu_pytorch_tanh" if name == "gelu_new" else name]


class BackpackSenseMLP(nn.Module):
    """Two layers with GPT-2's orientation of weights ([in, out]), which public checkpoints have."""

    def __init__(self, config: BackpackConfig, inner_size: int, output_size: int):
        super().__init__()
        self.c_fc = Conv1D(inner_size, config.hidden_size)
        self.c_proj = Conv1D(output_size, inner_size)
        self.activation = _activation(config.sense_activation)
        self.dropout = nn.Dropout(config.sense_dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.dropout(self.c_proj(self.activation(self.c_fc(hidden))))


class BackpackSenseBlock(nn.Module):
    """The sense network's first part. Its residual adds the raw embedding to its own layer norm; see `forward`."""

    def __init__(self, config: BackpackConfig):
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_epsilon)
        self.ln_2 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_epsilon)
        self.mlp = BackpackSenseMLP(config, 4 * config.hidden_size, config.hidden_size)
        self.dropout = nn.Dropout(config.sense_dropout)

    def forward(self, normed: Tensor, residual: Tensor) -> Tensor:
        # Public checkpoints were trained with this order, the second dropout after the MLP's own included.
        residual = self.dropout(normed) + residual
        return self.ln_2(self.dropout(self.mlp(self.ln_1(residual))) + residual)


class BackpackSenseNetwork(GradientCheckpointingLayer):
    """Word embeddings to sense vectors, token by token and without context (arXiv 2305.16765, section 3)."""

    def __init__(self, config: BackpackConfig):
        super().__init__()
        self.num_senses = config.num_senses
        self.dropout = nn.Dropout(config.sense_dropout)
        self.ln = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_epsilon)
        self.block = BackpackSenseBlock(config)
        inner_size = config.sense_intermediate_scale * config.hidden_size
        self.final_mlp = BackpackSenseMLP(config, inner_size, config.num_senses * config.hidden_size)

    def forward(self, embeddings: Tensor) -> Tensor:
        residual = self.dropout(embeddings)  # [B, L, D]
        senses = self.final_mlp(self.block(self.ln(residual), residual))  # [B, L, K D]
        return senses.unflatten(-1, (self.num_senses, -1)).transpose(1, 2)  # [B, K, L, D]


class BackpackWeightNetwork(nn.Module):
    """Trunk states to one query and one key per sense, each D // K wide."""

    def __init__(self, config: BackpackConfig):
        super().__init__()
        self.num_senses = config.num_senses
        self.c_attn = nn.Linear(config.hidden_size, 2 * config.num_senses * (config.hidden_size // config.num_senses))

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        halves = self.c_attn(states).unflatten(-1, (2, self.num_senses, -1))  # [B, L, 2, K, D // K]
        queries, keys = halves.permute(2, 0, 3, 1, 4)  # [B, K, L, D // K] each
        return queries, keys


def contextualize(queries: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
    """
    Contextualization weights: softmax over allowed positions of q·k / sqrt(width), in float32 at least.

    Args:
        queries (`torch.Tensor` [B, K, L, D // K]), keys (`torch.Tensor` [B, K, S, D // K]): from the weight network.
        mask (`torch.Tensor` of `bool` [B or 1, 1, L, S]): which positions each one may look at.

    Returns:
        `torch.Tensor` [B, K, L, S] in the dtype of `queries`; each [L] row sums to 1.
    """
    scores = (queries * queries.shape[-1] ** -0.5) @ keys.transpose(-1, -2)  # [B, K, L, S]
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    # A finite fill keeps a row that may look at nothing uniform instead of NaN.
    scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return scores.softmax(-1).to(queries.dtype)


class BackpackPreTrainedModel(PreTrainedModel):
    """Weight initialisation, loading and the features that the Backpack supports."""

    config: BackpackConfig
    base_model_prefix = "backpack"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ["BackpackSenseNetwork", "BackpackWeightNetwork"]  # noqa: RUF012
    _skip_keys_device_placement = ["past_key_values"]  # noqa: RUF012
    # Causal-mask buffers that GPT-2 checkpoints of older transformers carry.
    _keys_to_ignore_on_load_unexpected = [r"\.attn\.(masked_)?bias$"]  # noqa: RUF012

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, Conv1D):
            init.normal_(module.weight, mean=0.0, std=self.config.initializer_range)
            init.zeros_(module.bias)

    @staticmethod
    def _load_pretrained_model(model, state_dict, checkpoint_files, load_config, *args, **kwargs):
        _check_aliases_agree(state_dict, checkpoint_files or [])
        public = _PUBLIC_RENAMINGS if model.config.trunk_config.model_type == "gpt2" else {}
        renamings = [WeightRenaming(theirs, ours) for theirs, ours in public.items()]
        load_config = replace(load_config, weight_mapping=[*renamings, *(load_config.weight_mapping or [])])
        return PreTrainedModel._load_pretrained_model(
            model, state_dict, checkpoint_files, load_config, *args, **kwargs
        )

    @staticmethod
    def _finalize_model_loading(model, load_config, loading_info):
        # Saving would reverse the renamings that this load used; a Backpack is always saved under its own names.
        used, model._weight_conversions = model._weight_conversions, None
        info = PreTrainedModel._finalize_model_loading(model, load_config, loading_info)
        misfits = {"missing": sorted(info.missing_keys), "left over": sorted(info.unexpected_keys)}
        if any(misfits.values()) and any(entry.source_patterns[0] in _PUBLIC_RENAMINGS for entry in used):
            raise ValueError(f"The public checkpoint does not fit the model, under whose names it has {misfits}.")
        return info


#: Names of the public `stanfordnlp/backpack-gpt2` layout and ours, tied aliases included.
_PUBLIC_RENAMINGS = {
    r"gpt2_model\.": "trunk.",
    r"sense_weight_net\.": "weight_network.",
    r"(^|\.)word_embeddings\.weight$": r"\1trunk.wte.weight",
    r"(^|\.)position_embeddings\.weight$": r"\1trunk.wpe.weight",
    r"^lm_head\.weight$": "backpack.trunk.wte.weight",
}
#: Names under which checkpoints carry one tensor: the word embeddings, and the position embeddings.
_ALIASES = (r"(^|\.)(lm_head|word_embeddings|wte|embed_tokens)\.weight$", r"(^|\.)(wpe|position_embeddings)\.weight$")


def _check_aliases_agree(state_dict: dict[str, Tensor] | None, checkpoint_files: list[str]):
    for pattern in _ALIASES:
        aliases = _matching_tensors(state_dict, checkpoint_files, pattern)
        first, expected = next(aliases, ("", torch.empty(0)))
        for name, tensor in aliases:
            if not torch.equal(expected, tensor):
                raise ValueError(
                    f"The checkpoint's `{first}` and `{name}` must be one tensor, but differ. Remove the wrong one."
                )


def _matching_tensors(
    state_dict: dict[str, Tensor] | None, checkpoint_files: list[str], pattern: str
) -> Iterator[tuple[str, Tensor]]:
    if state_dict is not None:
        yield from ((name, tensor) for name, tensor in state_dict.items() if re.search(pattern, name))
        return
    for path in checkpoint_files:
        if str(path).endswith(".safetensors"):
            with safe_open(path, framework="pt") as file:
                yield from ((name, file.get_tensor(name)) for name in file.keys() if re.search(pattern, name))  # noqa: SIM118
        else:
            yield from _matching_tensors(load_state_dict(path), [], pattern)


def _mixing_mask(
    attention_mask: Tensor | None, length: int, past_key_values: Cache | None, layer_idx: int, device: torch.device
) -> Tensor:
    """Causal mask of the mixture without its pads, `bool` [B or 1, 1, L, S]."""
    if attention_mask is not None and attention_mask.ndim == 4:
        return attention_mask if attention_mask.dtype == torch.bool else attention_mask == 0
    past, total = 0, length
    if past_key_values is not None:
        past = past_key_values.get_seq_length(layer_idx)
        total, _ = past_key_values.get_mask_sizes(length, layer_idx)
    positions = torch.arange(length, device=device) + past  # [L]
    mask = (torch.arange(total, device=device) <= positions[:, None])[None, None]  # [1, 1, L, S]
    if attention_mask is None:
        return mask
    real = F.pad(attention_mask.to(torch.bool), (0, max(total - attention_mask.shape[-1], 0)))[:, :total]  # [B, S]
    return mask & real[:, None, None]  # [B, 1, L, S]


def _positions_of_real_tokens(attention_mask: Tensor | None, length: int) -> Tensor | None:
    """Position ids that do not count pads [B, L], so that a padded row reads as it does alone."""
    if attention_mask is None or attention_mask.ndim != 2:
        return None
    return (attention_mask.to(torch.long).cumsum(-1) - 1).clamp(min=0)[:, -length:]


class BackpackModel(BackpackPreTrainedModel):
    """
    The Backpack without a language model head (arXiv 2305.16765).

    Args:
        config ([`BackpackConfig`]): the configuration. Weights are random; use `from_pretrained` for trained ones.
    """

    def __init__(self, config: BackpackConfig):
        super().__init__(config)
        # In the dtype of the other modules, whatever the trunk's own configuration was saved with.
        self.trunk = AutoModel.from_config(config.trunk_config, dtype=torch.get_default_dtype())
        self.sense_network = BackpackSenseNetwork(config)
        self.weight_network = BackpackWeightNetwork(config)
        self.gradient_checkpointing = False
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.trunk.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module):
        self.trunk.set_input_embeddings(value)

    def get_senses(self, input_ids: Tensor) -> Tensor:
        """
        The sense vectors of tokens; they do not depend on context.

        Args:
            input_ids (`torch.Tensor` of `int` [B, L]): token ids.

        Returns:
            `torch.Tensor` [B, K, L, D]
        """
        return self.sense_network(self.get_input_embeddings()(input_ids))

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        output_senses: bool = False,
        output_contextualization: bool = False,
        pooling_temperature: float | None = None,
        **kwargs,
    ) -> BackpackModelOutput:
        r"""
        Args:
            input_ids (`torch.Tensor` of `int` [B, L]): token ids. With a cache, only those it does not hold.
            attention_mask (`torch.Tensor` [B, S], *optional*): 1 for real tokens, 0 for pads on either side; it
                masks the trunk and the sense mixture. Pads are known by this mask alone, never by their id.
            position_ids (`torch.Tensor` of `int` [B, L], *optional*): defaults to the count of real tokens before.
            past_key_values (`Cache`, *optional*): a cache of `config.num_hidden_layers` layers.
            inputs_embeds: refused, because the senses of a token need its id.
            use_cache (`bool`, *optional*): defaults to the configuration's; off under gradient checkpointing.
            output_attentions (`bool`, *optional*): return the trunk's attentions, then the contextualization.
            output_hidden_states (`bool`, *optional*): return the trunk's hidden states, then the mixture.
            output_senses (`bool`, *optional*, defaults to `False`): return the senses.
            output_contextualization (`bool`, *optional*, defaults to `False`): return the contextualization.
            pooling_temperature (`float`, *optional*): return both sentence vectors and the mixture's entropy, with
                senses weighed at this temperature. Needs whole sentences, so no past.

        Returns:
            [`BackpackModelOutput`]

        Raises:
            ValueError: without `input_ids`, past the trunk's positions, or pooling on top of a cache.
        """
        if input_ids is None or inputs_embeds is not None:
            raise ValueError("A Backpack needs `input_ids`: senses are looked up by token id, not by embedding.")
        given = {"output_attentions": output_attentions, "output_hidden_states": output_hidden_states}
        flags = {name: getattr(self.config, name) if flag is None else flag for name, flag in given.items()}
        use_cache, past_key_values = self._resolve_cache(use_cache, past_key_values)
        if pooling_temperature is not None and past_key_values is not None and past_key_values.get_seq_length() > 0:
            raise ValueError("Sentence vectors need the whole sentence: call without `past_key_values`.")
        length, mixing_layer = input_ids.shape[1], self.config.num_hidden_layers - 1
        self._check_length(length, past_key_values)
        if position_ids is None:
            position_ids = _positions_of_real_tokens(attention_mask, length)
        # Before the trunk runs, because its forward advances the cache that the mask is measured against.
        mask = _mixing_mask(attention_mask, length, past_key_values, mixing_layer, input_ids.device)

        embeddings = self.get_input_embeddings()(input_ids)  # [B, L, D]
        trunk = self.trunk(
            inputs_embeds=embeddings,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=use_cache,
            **flags,
            **kwargs,
        )
        queries, keys = self.weight_network(trunk.last_hidden_state)  # [B, K, L, D // K]
        senses = self.sense_network(embeddings)  # [B, K, L, D]
        if past_key_values is not None:
            keys, senses = past_key_values.update(keys, senses, mixing_layer)  # [B, K, S, ...]
        contextualization = contextualize(queries, keys, mask)  # [B, K, L, S]
        mixture = mix_senses(contextualization, senses)  # [B, L, D]

        return BackpackModelOutput(
            last_hidden_state=mixture,
            past_key_values=past_key_values if use_cache else None,
            hidden_states=(*trunk.hidden_states, mixture) if flags["output_hidden_states"] else None,
            attentions=(*trunk.attentions, contextualization) if flags["output_attentions"] else None,
            senses=senses if output_senses else None,
            contextualization=contextualization if output_contextualization else None,
            **_sentence_vectors(mixture, contextualization, senses, attention_mask, pooling_temperature),
        )

    def _resolve_cache(self, use_cache: bool | None, past_key_values: Cache | None) -> tuple[bool, Cache | None]:
        use_cache = self.config.use_cache if use_cache is None else use_cache
        if self.gradient_checkpointing and self.training:
            if use_cache or past_key_values is not None:
                logger.warning_once("A cache does not work with gradient checkpointing; it is off.")
            return False, None
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config)
        return use_cache, past_key_values

    def _check_length(self, length: int, past_key_values: Cache | None):
        past = 0 if past_key_values is None else past_key_values.get_seq_length()
        limit = self.config.max_position_embeddings
        # A static cache counts in a tensor, whose comparison would break a compiled graph.
        if isinstance(past, int) and past + length > limit:
            raise ValueError(f"{past + length} positions were given ({past} of them cached); this model has {limit}.")


class BackpackForCausalLM(BackpackPreTrainedModel, GenerationMixin):
    """
    The Backpack with its language model head, which is tied to the word embeddings.

    Args:
        config ([`BackpackConfig`]): the configuration. Weights are random; use `from_pretrained` for trained ones.
    """

    def __init__(self, config: BackpackConfig):
        super().__init__(config)
        self.backpack = BackpackModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self._tied_weights_keys = {"lm_head.weight": self._embedding_name()}
        self.post_init()

    def _embedding_name(self) -> str:
        embedding = self.get_input_embeddings()
        return next(f"{name}.weight" for name, module in self.named_modules() if module is embedding)

    def get_input_embeddings(self) -> nn.Module:
        return self.backpack.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module):
        self.backpack.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head

    def set_output_embeddings(self, new_embeddings: nn.Module):
        self.lm_head = new_embeddings

    def get_senses(self, input_ids: Tensor) -> Tensor:
        """See [`BackpackModel.get_senses`]."""
        return self.backpack.get_senses(input_ids)

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        label_smoothing: float = 0.0,
        num_items_in_batch: Tensor | int | None = None,
        return_logits: bool = True,
        **kwargs,
    ) -> BackpackCausalLMOutput:
        r"""
        Everything of [`BackpackModel.forward`], and

        Args:
            labels (`torch.Tensor` of `int` [B, L], *optional*): token ids to predict, shifted here; -100 is left out.
            logits_to_keep (`int` or `torch.Tensor`, *optional*, defaults to 0): logits of the last so many positions
                only, or of the positions given; 0 for all.
            label_smoothing (`float`, *optional*, defaults to 0): share of each target spread over the vocabulary.
            num_items_in_batch (`int`, *optional*): divisor of the loss; defaults to the number of predicted tokens.
            return_logits (`bool`, *optional*, defaults to `True`): with `False` the head runs on predicted positions
                alone and no logits are returned.

        Returns:
            [`BackpackCausalLMOutput`]
        """
        outputs = self.backpack(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            return_dict=True,
            **kwargs,
        )
        mixture = outputs.last_hidden_state  # [B, L, D]
        logits = loss = plain_loss = None
        if return_logits:
            kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
            logits = self.lm_head(mixture[:, kept])  # [B, L, V]
        if labels is not None:
            scores = logits if logits is not None and logits.shape[1] == labels.shape[1] else None
            loss, plain_loss = self._losses(mixture, scores, labels, label_smoothing, num_items_in_batch)
        others = {name: value for name, value in outputs.items() if name != "last_hidden_state"}
        return BackpackCausalLMOutput(loss=loss, plain_loss=plain_loss, logits=logits, **others)

    def _losses(self, mixture, logits, labels, label_smoothing, num_items):
        targets = F.pad(labels[:, 1:], (0, 1), value=-100).to(mixture.device)  # [B, L]
        if logits is None:
            predicted = targets != -100
            logits, targets = self.lm_head(mixture[predicted]), targets[predicted]  # [N, V], [N]
        return language_model_losses(logits.flatten(0, -2), targets.flatten(), label_smoothing, num_items)


__all__ = ["BackpackForCausalLM", "BackpackModel", "BackpackPreTrainedModel"]
