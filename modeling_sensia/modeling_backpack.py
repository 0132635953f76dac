"""The Backpack language model (arXiv 2305.16765), with the sentence vectors that SENSIA (arXiv 2601.10310) aligns.

Shapes: B rows, L positions of this call, S positions including the cached past, K senses, D the hidden size, V tokens.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModel, PreTrainedModel
from transformers import initialization as init
from transformers.cache_utils import Cache, DynamicCache
from transformers.generation import GenerationMixin
from transformers.pytorch_utils import Conv1D
from transformers.utils import can_return_tuple, logging

from .backpack_outputs import BackpackCausalLMOutput, BackpackModelOutput
from .configuration_backpack import BackpackConfig
from .decoder_wrapping import DecoderWrappingMixin
from .distillation_loss import Reference, distillation_losses, distillation_losses_of_states
from .generation_limits import NO_CONTINUOUS_BATCHING, refuse_unfit_generation
from .lm_loss import language_model_losses, language_model_losses_of_states
from .positions_and_masks import (
    Sentences,
    additive_mask,
    check_positions,
    extend_cache,
    mixing_mask,
    positions_of_real_tokens,
    width_in_cache,
)
from .public_checkpoints import check_aliases_agree, check_public_fits, public_renamings
from .sense_keeping import SenseKeepingMixin
from .sense_mixing import SensesByToken, contextualize, mix_and_pool, mix_senses, pool_context, pool_senses
from .sense_network import BackpackSenseNetwork, BackpackWeightNetwork, fuse_activations
from .sentence_vectors import SentenceVectorsMixin

logger = logging.get_logger(__name__)


class BackpackPreTrainedModel(SentenceVectorsMixin, PreTrainedModel):
    """Base class: weight initialisation, loading and the supported features."""

    config: BackpackConfig
    base_model_prefix = "backpack"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ["BackpackSenseNetwork", "BackpackWeightNetwork"]  # noqa: RUF012
    _skip_keys_device_placement = ["past_key_values"]  # noqa: RUF012
    # Causal-mask buffers in GPT-2 checkpoints of older transformers.
    _keys_to_ignore_on_load_unexpected = [r"\.attn\.(masked_)?bias$"]  # noqa: RUF012

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, Conv1D):
            init.normal_(module.weight, mean=0.0, std=self.config.initializer_range)
            init.zeros_(module.bias)

    @staticmethod
    def _load_pretrained_model(model, state_dict, checkpoint_files, load_config, *args, **kwargs):
        check_aliases_agree(state_dict, checkpoint_files or [])
        renamings = public_renamings(model.config.trunk_config.model_type)
        load_config = replace(load_config, weight_mapping=[*renamings, *(load_config.weight_mapping or [])])
        return PreTrainedModel._load_pretrained_model(
            model, state_dict, checkpoint_files, load_config, *args, **kwargs
        )

    @staticmethod
    def _finalize_model_loading(model, load_config, loading_info):
        # Saving would reverse the renaming of this load; a Backpack is always saved under its own names.
        used, model._weight_conversions = model._weight_conversions, None
        info = PreTrainedModel._finalize_model_loading(model, load_config, loading_info)
        check_public_fits(used, info)
        return info


def _at_positions(senses: Tensor | SensesByToken | None) -> Tensor | None:
    return senses.at_positions() if isinstance(senses, SensesByToken) else senses


def _kept(positions: int | Tensor) -> slice | Tensor:
    return slice(-positions, None) if isinstance(positions, int) else positions


@contextmanager
def _attention_of(trunk: PreTrainedModel, implementation: str) -> Iterator[None]:
    usual = trunk.config._attn_implementation
    trunk.config._attn_implementation = implementation
    try:
        yield
    finally:
        trunk.config._attn_implementation = usual


class BackpackModel(SenseKeepingMixin, BackpackPreTrainedModel):
    """
    The Backpack without a language model head (arXiv 2305.16765).

    Args:
        config ([`BackpackConfig`]): the configuration. Weights are random; use `from_pretrained` for trained ones.
    """

    def __init__(self, config: BackpackConfig):
        super().__init__(config)
        # The trunk gets the dtype of the other modules, not that of its own saved configuration.
        self.trunk = fuse_activations(AutoModel.from_config(config.trunk_config, dtype=torch.get_default_dtype()))
        self.sense_network = BackpackSenseNetwork(config)
        self.weight_network = BackpackWeightNetwork(config)
        self.sense_table = None
        self.sense_edit = None
        self.sense_words = None
        self.gradient_checkpointing = False
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.trunk.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module):
        self.trunk.set_input_embeddings(value)

    def word_vectors(self, word_ids: Tensor) -> Tensor:
        """
        Computes vectors of words from their senses alone. Sense k of a word is the mean of sense k over its tokens.
        The vector has all K senses side by side, each of length 1 / sqrt(K): the cosine of two vectors is the mean
        over k of the cosines of their senses k.

        Args:
            word_ids (`torch.Tensor` of `int` [W, T]): token ids of each word, filled with -1.

        Returns:
            `torch.Tensor` [W, K D]: in float32 at least.
        """
        is_token = word_ids >= 0  # [W, T]
        tokens, index = word_ids.clamp(min=0).unique(return_inverse=True)  # [U], [W, T]
        senses = self._compute_senses(tokens).flatten(1)  # [U, K D]
        senses = senses.to(torch.promote_types(senses.dtype, torch.float32))
        shares = is_token.to(senses.dtype)
        of_words = F.embedding_bag(index, senses, mode="sum", per_sample_weights=shares)  # [W, K D]
        by_sense = F.normalize(of_words.unflatten(1, (self.config.num_senses, -1)), dim=-1)  # [W, K, D]
        return by_sense.flatten(1) / self.config.num_senses**0.5

    def _compute_senses(self, token_ids: Tensor, embeddings: Tensor | None = None) -> Tensor:
        if embeddings is None:
            embeddings = self.get_input_embeddings()(self._tokens_of(token_ids))
        senses = self.sense_network(embeddings).unflatten(-1, (self.config.num_senses, -1))  # [..., K, D]
        return senses if self.sense_edit is None else self.sense_edit(token_ids, senses)

    def _sense_ids(self, token_ids: Tensor) -> Tensor:
        """Ids [B, S] that senses belong to, of whole texts: of tokens, and of words that an edit tells apart."""
        return token_ids if self.sense_words is None else self.sense_words.ids_in(token_ids)

    def _tokens_of(self, sense_ids: Tensor) -> Tensor:
        return sense_ids if self.sense_words is None else self.sense_words.tokens_of(sense_ids)

    def train(self, mode: bool = True) -> "BackpackModel":
        if mode:
            self.sense_table = None
        return super().train(mode)

    def __getstate__(self) -> dict:
        # Copies and pickles must not contain the table, because it belongs to the weights of this model.
        return {**self.__dict__, "sense_table": None}

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
        project_conflicts: bool = False,
        positions_to_keep: int | Tensor = 0,
        sentence_ids: Tensor | None = None,
        sentence_ends: Tensor | None = None,
        **kwargs,
    ) -> BackpackModelOutput:
        r"""
        Args:
            input_ids (`torch.Tensor` of `int` [B, L]): token ids. With a cache, only the new ones.
            attention_mask (`torch.Tensor` [B, S], *optional*): padding mask, 1 for real tokens and 0 for padding on
                either side, for the trunk and the sense mixture. Without it, padding is not recognised by its token
                id.
            position_ids (`torch.Tensor` of `int` [B, L], *optional*): defaults to the number of real tokens before
                each position.
            past_key_values (`Cache`, *optional*): a cache of `config.num_hidden_layers` layers.
            inputs_embeds: not supported, because senses are looked up by token id.
            use_cache (`bool`, *optional*): defaults to the configuration's; off in training mode, and always with
                gradient checkpointing.
            output_attentions (`bool`, *optional*): return the trunk's attentions, then the contextualization.
            output_hidden_states (`bool`, *optional*): return the trunk's hidden states, then the mixture.
            output_senses (`bool`, *optional*, defaults to `False`): return the senses.
            output_contextualization (`bool`, *optional*, defaults to `False`): return the contextualization.
            pooling_temperature (`float`, *optional*): if given, also return context vectors, sense vectors and mixture
                entropy, with this temperature of the softmax over senses. Cannot be combined with a cache, because
                whole sentences are needed.
            project_conflicts (`bool`, *optional*, defaults to `False`): with `pooling_temperature`, take out of the
                gradient of the sentence vectors what conflicts with that of the mixture; see [`mix_and_pool`].
            positions_to_keep (`int` or `torch.Tensor`, *optional*, defaults to 0): number of last positions, or
                indices of the positions, for which to return the last hidden state; 0 for all. Other outputs have all
                positions.
            sentence_ids (`torch.Tensor` of `int` [B, L], *optional*): index of the sentence of each token, -1 for
                padding, for sequence packing. Sentences do not attend to each other. Replaces `attention_mask` and
                `position_ids`, and switches the cache off.
            sentence_ends (`torch.Tensor` of `int` [N], *optional*): with `sentence_ids`, index of the last token of
                each sentence in the flattened [B L].

        Returns:
            [`BackpackModelOutput`]

        Raises:
            ValueError: without `input_ids`, with more positions than the trunk has, with a cache that does not fit, or
                with a filled cache and either pooling or sequence packing.
        """
        if input_ids is None or inputs_embeds is not None:
            raise ValueError(
                "A Backpack needs `input_ids`: senses are looked up by token id, not by embedding. So it cannot be "
                "prompt-tuned either."
            )
        given = {"output_attentions": output_attentions, "output_hidden_states": output_hidden_states}
        flags = {name: getattr(self.config, name) if flag is None else flag for name, flag in given.items()}
        sentences: Sentences | None = None
        if sentence_ids is not None and sentence_ends is not None:
            if past_key_values is not None:
                raise ValueError("Packed sentences cannot continue from a cache: call without `past_key_values`.")
            sentences, use_cache = Sentences(sentence_ids, sentence_ends), False
            attention_mask, position_ids = sentences.attention_mask(), sentences.position_ids()
        use_cache, past_key_values = self._resolve_cache(use_cache, past_key_values)
        if pooling_temperature is not None and past_key_values is not None and past_key_values.get_seq_length() > 0:
            raise ValueError("Sentence vectors need the whole sentence: call without `past_key_values`.")
        length, trunk_config = input_ids.shape[1], self.trunk.config
        layer = trunk_config.num_hidden_layers  # of the mixture in the cache: the one after the trunk's
        check_positions(past_key_values, length, trunk_config.max_position_embeddings, layer)
        if position_ids is None:
            position_ids = positions_of_real_tokens(attention_mask, length)
        # Computed before the trunk runs, because the trunk's forward advances the cache length that the mask uses.
        mask = mixing_mask(attention_mask, length, past_key_values, layer, input_ids.device)

        everywhere = any(flags.values()) or output_contextualization or pooling_temperature is not None
        wanted = slice(None) if everywhere else _kept(positions_to_keep)
        sense_input = (
            input_ids if self.sense_words is None else self.sense_words.mark_padding(input_ids, attention_mask)
        )
        # Senses are computed once for each distinct token, or else projected at each position that is wanted.
        are_many = isinstance(wanted, slice) and (not wanted.start or -4 * wanted.start >= length)
        senses: Tensor | SensesByToken | None = None
        if past_key_values is None and are_many and self._tokens_can_be_told_apart(input_ids):
            embeddings, senses = self._embed_once(sense_input)  # [B, L, D]
        else:
            embeddings = self.get_input_embeddings()(input_ids)  # [B, L, D]
        # Fused attention does not return weights, so a call that wants them runs eager attention.
        attention = "eager" if flags["output_attentions"] else self.trunk.config._attn_implementation
        trunk_mask = additive_mask(attention_mask, embeddings.dtype) if attention == "eager" else attention_mask
        with _attention_of(self.trunk, attention):
            trunk = self.trunk(
                inputs_embeds=embeddings,
                attention_mask=trunk_mask,
                position_ids=position_ids,
                past_key_values=past_key_values,
                use_cache=use_cache,
                **flags,
                **kwargs,
            )
        queries, keys = self.weight_network(trunk.last_hidden_state)  # [B, L, K W] each, W = D // K
        if senses is None:
            store = self._sense_store(width_in_cache(past_key_values, layer), is_prompt=length > 1)
            keys, kept = extend_cache(
                past_key_values, keys, store.encode(sense_input, embeddings), layer
            )  # [B, S, ...]
            if output_senses or pooling_temperature is not None:
                senses = store.senses(kept)  # [B, K, S, D]
        contextualization = contextualize(
            self._by_sense(queries[:, wanted]), self._by_sense(keys), mask[..., wanted, :]
        )
        vectors: dict[str, Tensor] = {}
        if senses is None:
            mixture = store.mix(contextualization, kept)  # [B, L, D]
        elif pooling_temperature is None:
            mixture = mix_senses(contextualization, senses)
        else:
            mixture, vectors = mix_and_pool(
                contextualization, senses, attention_mask, pooling_temperature, sentences, project_conflicts
            )
        mixture = mixture.to(queries.device)

        return BackpackModelOutput(
            last_hidden_state=mixture[:, _kept(positions_to_keep)] if everywhere else mixture,
            past_key_values=past_key_values if use_cache else None,
            hidden_states=(*trunk.hidden_states, mixture) if flags["output_hidden_states"] else None,
            attentions=(*trunk.attentions, contextualization) if flags["output_attentions"] else None,
            senses=_at_positions(senses) if output_senses else None,
            contextualization=contextualization if output_contextualization else None,
            **vectors,
        )

    def _tokens_can_be_told_apart(self, input_ids: Tensor) -> bool:
        # In a compiled graph a shape must not depend on the ids; with a table the senses are computed already.
        return self.sense_table is None and not (torch.compiler.is_compiling() or input_ids.is_meta)

    def _embed_once(self, input_ids: Tensor) -> tuple[Tensor, SensesByToken]:
        """Embeddings [B, L, D] and senses, each computed once for each distinct token."""
        sense_ids, index = self._sense_ids(input_ids).unique(return_inverse=True)  # [U], [B, L]
        embeddings = self.get_input_embeddings()(self._tokens_of(sense_ids))  # [U, D]
        return F.embedding(index, embeddings), SensesByToken(self._compute_senses(sense_ids, embeddings), index)

    def _by_sense(self, vectors: Tensor) -> Tensor:
        return vectors.unflatten(-1, (self.config.num_senses, -1)).transpose(1, 2)  # [B, K, L, W]

    def _resolve_cache(self, use_cache: bool | None, past_key_values: Cache | None) -> tuple[bool, Cache | None]:
        use_cache = self.config.use_cache and not self.training if use_cache is None else use_cache
        if self.gradient_checkpointing and self.training:
            if use_cache or past_key_values is not None:
                logger.warning_once("The cache is switched off: it does not work with gradient checkpointing.")
            return False, None
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config)
        return use_cache, past_key_values


class BackpackForCausalLM(DecoderWrappingMixin, BackpackPreTrainedModel, GenerationMixin):
    """
    The Backpack with a language model head that is tied to the word embeddings.

    Args:
        config ([`BackpackConfig`]): the configuration. Weights are random; use `from_pretrained` for trained ones.
    """

    def __init__(self, config: BackpackConfig):
        super().__init__(config)
        self.backpack = BackpackModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self._tied_weights_keys = {"lm_head.weight": self._embedding_name()}
        self.post_init()
        if self._tp_plan:
            # The head shares its weight with the embeddings, which such a plan divides by the vocabulary: each process
            # has its part of the logits, and the plan of the stock models puts them together.
            self._tp_plan["lm_head"] = "colwise_gather_output"

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

    def precompute_senses(
        self, token_ids: Iterable[int] | None = None, path: str | Path | None = None, chunk_size: int = 1024
    ) -> Tensor:
        """Calls [`BackpackModel.precompute_senses`]."""
        return self.backpack.precompute_senses(token_ids, path, chunk_size)

    def get_senses(self, input_ids: Tensor) -> Tensor:
        """Calls [`BackpackModel.get_senses`]."""
        return self.backpack.get_senses(input_ids)

    def _prepare_cache_for_generation(self, generation_config, *args, **kwargs):
        refuse_unfit_generation(generation_config, self.device)
        return super()._prepare_cache_for_generation(generation_config, *args, **kwargs)  # type: ignore[misc]

    def init_continuous_batching(self, *args, **kwargs):
        """Refused: what `generate_batch` and every other way into continuous batching begins with."""
        raise ValueError(NO_CONTINUOUS_BATCHING)

    def _get_static_cache_init_shape(self) -> None:
        # The mixture's layer has another shape than the trunk's, so the cache is allocated at its first use.
        return None

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
        label_weights: Tensor | None = None,
        return_logits: bool = True,
        reference: Reference | None = None,
        word_ids: Tensor | None = None,
        **kwargs,
    ) -> BackpackCausalLMOutput:
        r"""
        The arguments of [`BackpackModel.forward`], and

        Args:
            labels (`torch.Tensor` of `int` [B, L], *optional*): token ids to predict; they are shifted inside, and
                -100 is ignored.
            logits_to_keep (`int` or `torch.Tensor`, *optional*, defaults to 0): number of last positions, or indices
                of the positions, for which to return logits; 0 for all.
            label_smoothing (`float`, *optional*, defaults to 0): share of each target spread over the vocabulary.
            num_items_in_batch (`int`, *optional*): divisor of the loss; defaults to the sum of the weights of the
                predicted tokens, which is their number without `label_weights`.
            label_weights (`torch.Tensor` [B, L], *optional*): how much each label counts; all 1 if not given.
            return_logits (`bool`, *optional*, defaults to `True`): with `False` the head runs on predicted positions
                alone and no logits are returned.
            reference ([`Reference`], *optional*): predictions of a frozen model, which some of the labels are learned
                from; with labels and `return_logits=False`.
            word_ids (`torch.Tensor` of `int` [W, T], *optional*): token ids of words, filled with -1, whose vectors
                are to be returned; see [`BackpackModel.word_vectors`].

        Returns:
            [`BackpackCausalLMOutput`]

        Raises:
            ValueError: if a reference is given without labels or with `return_logits`; and what
                [`BackpackModel.forward`] raises.
        """
        if reference is not None and (labels is None or return_logits):
            raise ValueError("A `reference` needs `labels` and `return_logits=False`.")
        targets = None if labels is None else F.pad(labels[:, 1:], (0, 1), value=-100)  # [B, L]
        selected = None
        if targets is not None and not return_logits:
            # Done before the network runs: reading the number of positions synchronises the device.
            is_label = (targets != -100).flatten()  # [B L]
            if reference is not None:
                is_label = is_label.index_fill(0, reference.positions, False)
            selected = is_label.nonzero().squeeze(-1)  # [N]
        outputs = self.backpack(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            positions_to_keep=logits_to_keep if labels is None else 0,
            return_dict=True,
            **kwargs,
        )
        mixture = outputs.last_hidden_state  # [B, L, D]
        logits = None
        if return_logits:
            logits = self.lm_head(mixture if labels is None else mixture[:, _kept(logits_to_keep)])  # [B, L, V]
        losses: dict[str, Any] = {}
        if targets is not None:
            settings = label_smoothing, num_items_in_batch
            losses = self._losses_of_tokens(mixture, logits, targets, selected, label_weights, settings, reference)
        others = {name: value for name, value in outputs.items() if name != "last_hidden_state"}
        if word_ids is not None:  # after all else, which sees the same dropout with and without words
            others["word_vectors"] = self.backpack.word_vectors(word_ids)
        return BackpackCausalLMOutput(logits=logits, **losses, **others)

    def _losses_of_tokens(
        self, mixture, logits, targets, selected, label_weights, settings, reference
    ) -> dict[str, Tensor]:
        """The losses of [`BackpackCausalLMOutput`], from the mixture and the next token at each position [B, L]."""
        predicted = torch.arange(targets.numel(), device=targets.device) if selected is None else selected  # [N]
        states, shape = mixture.flatten(0, 1), targets.shape  # [B L, D]
        targets = targets.flatten().to(mixture.device)  # [B L]
        scores = logits.flatten(0, 1) if logits is not None and logits.shape[1] == mixture.shape[1] else None
        if label_weights is not None:
            label_weights = F.pad(label_weights[:, 1:], (0, 1)).flatten()[predicted].to(mixture.device)  # [N]
        predicted = predicted.to(mixture.device)
        loss, plain_loss, of_tokens = self._losses(
            states[predicted], scores, targets[predicted], *settings, label_weights
        )
        losses = {"loss": loss, "plain_loss": plain_loss}
        token_losses = of_tokens.new_zeros(shape.numel())  # [B L]
        token_losses[predicted.to(of_tokens.device)] = of_tokens
        if reference is not None:
            at = reference.positions  # [M]
            divergence, of_tokens = self._divergence(states[at], targets[at], reference.states, reference.head)
            losses["distillation_loss"] = divergence / reference.num_distilled
            token_losses[at] = of_tokens.to(token_losses.dtype)
        return {**losses, "token_losses": token_losses.view(shape)}

    def _head_is_plain(self) -> bool:
        # A head that has an adapter, or whose weight is sharded until its own forward, must be called as a module.
        return type(self.lm_head) is nn.Linear and type(self.lm_head.weight) is nn.Parameter

    def _losses(self, states, logits, targets, *settings):
        if logits is None and self._head_is_plain():
            return language_model_losses_of_states(states, self.lm_head.weight, targets, *settings)
        return language_model_losses(self.lm_head(states) if logits is None else logits, targets, *settings)

    def _divergence(self, states, targets, reference_states, reference_head):
        if self._head_is_plain():
            weight = self.lm_head.weight
            return distillation_losses_of_states(states, weight, targets, reference_states, reference_head)
        return distillation_losses(self.lm_head(states), targets, F.linear(reference_states, reference_head))


__all__ = [
    "BackpackForCausalLM",
    "BackpackModel",
    "BackpackPreTrainedModel",
    "contextualize",
    "language_model_losses",
    "mix_senses",
    "pool_context",
    "pool_senses",
]
