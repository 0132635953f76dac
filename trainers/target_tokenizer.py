"""A tokenizer for the target language: what is asked for, and a base model that has it."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from modeling_sensia.loading import load_base
from modeling_sensia.model_sources import check_tokenizer_folder, model_source
from sensia.corpora.tokenizer_extension import extend_tokenizer
from sensia.corpora.tokenizer_files import bpe_description
from sensia.corpora.tokenizer_use import tokenizer_use
from sensia.trainers.setting_ranges import check_counts
from sensia.trainers.token_initialization import METHODS, NewTokens, initial_embeddings
from sensia.whole_files import write_json_whole

TARGET_TOKENIZERS = ("none", "extend", "replace")
#: Sentences that a given tokenizer has to write and read back.
_CHECKED_TEXTS = 1000
#: Sentences of each side whose tokens are counted before and after.
_MEASURED_TEXTS = 2000
_RECORD = "tokenizer_change.json"


@dataclass(kw_only=True)
class TokenizerSettings:
    """Settings of a tokenizer for the target language; see each field's help."""

    target_tokenizer: str = field(
        default="none",
        metadata={
            "help": "Tokens for the target language. none keeps the base model's tokenizer. extend adds new_tokens, "
            "which are learned on the training data; the source language is cut into tokens as before. replace takes "
            "new_tokenizer, or trains one on both sides; tokens that both tokenizers have keep their embeddings.",
            "choices": TARGET_TOKENIZERS,
        },
    )
    new_tokens: int = field(default=3000, metadata={"help": "Number of tokens that target_tokenizer extend adds."})
    new_tokenizer: str | None = field(
        default=None,
        metadata={
            "help": "Tokenizer for target_tokenizer replace: Hub id or folder. If not given, one of the size of the "
            "base model's is trained on both sides of the training data."
        },
    )
    token_initialization: str = field(
        default="aligned",
        metadata={
            "help": "What embeddings of new tokens begin as: mean (of the token's old pieces), aligned (of the source "
            "tokens that it is aligned with in the training data), sense (the embedding whose senses come nearest "
            "to those of the aligned tokens), focus (of the most similar old tokens in static vectors of the target "
            "text) or random.",
            "choices": tuple(METHODS),
        },
    )

    def check_tokenizer_settings(self):
        """
        Raises:
            ValueError: naming a setting that is out of range, or that has no effect.
        """
        check_counts(self, "new_tokens")
        if self.token_initialization not in METHODS:
            raise ValueError(
                f"`token_initialization` must be one of {', '.join(METHODS)}, got {self.token_initialization!r}."
            )
        used = {"extend": ("new_tokens", "token_initialization"), "replace": ("new_tokenizer", "token_initialization")}
        for each in fields(TokenizerSettings):
            without_effect = each.name not in ("target_tokenizer", *used.get(self.target_tokenizer, ()))
            if without_effect and getattr(self, each.name) != each.default:
                raise ValueError(
                    f"`{each.name}` has no effect with `target_tokenizer` {self.target_tokenizer}: leave it out, got "
                    f"{getattr(self, each.name)}."
                )


@dataclass
class Retokenized:
    """
    A model with another tokenizer.

    Args:
        model ([`BackpackForCausalLM`]): with an embedding for every token.
        tokenizer (`PreTrainedTokenizerBase`): the tokenizer.
        new_ids (`list[int]`): ids of the tokens that the base does not have.
        change (`dict`, *optional*): what was changed, as JSON values for results and card: `kind`, `initialization`,
            `new_tokens`, `refused` (merges that `extend` left out; see [`Extension`]), and `before` and `after` with
            [`tokenizer_use`] of each side of the first training pairs. `None` for the base's own tokenizer.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    new_ids: list[int]
    change: dict[str, Any] | None = None

    def save(self, folder: Path, record: dict[str, Any]):
        """Writes model, tokenizer and what was done to a folder, which appears whole or not at all."""
        unfinished = folder.with_name(f".{folder.name}.writing")
        shutil.rmtree(unfinished, ignore_errors=True)
        self.model.save_pretrained(unfinished)
        self.tokenizer.save_pretrained(unfinished)
        write_json_whole(unfinished / _RECORD, {**record, "change": self.change, "new_ids": self.new_ids})
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)


def retokenize(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    settings: TokenizerSettings,
    sources: Sequence[str],
    targets: Sequence[str],
    source_texts: Iterable[str] = (),
    target_texts: Iterable[str] = (),
    seed: int = 0,
) -> Retokenized:
    """
    Gives a Backpack a tokenizer for its target language.

    Args:
        model ([`BackpackForCausalLM`]): the base model; it is changed.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer.
        settings ([`TokenizerSettings`]): what is asked for.
        sources (`Sequence[str]`): N sentences of the base model's language.
        targets (`Sequence[str]`): their translations.
        source_texts (`Iterable[str]`, *optional*): further text of the base model's language, which `extend` cuts as
            before.
        target_texts (`Iterable[str]`, *optional*): further text of the target language, which `extend` learns from.
        seed (`int`, *optional*, defaults to 0): of random numbers.

    Raises:
        ValueError: if the tokenizer cannot be changed so, or a given one does not fit the model.
    """
    if not any(sources) or not any(targets):
        raise ValueError("A tokenizer for the target language needs sentence pairs: a side of the data has no text.")
    refused = 0
    if settings.target_tokenizer == "extend":
        extension = extend_tokenizer(
            tokenizer, chain(sources, source_texts), chain(targets, target_texts), settings.new_tokens
        )
        new, refused = extension.tokenizer, extension.refused
    else:
        new = _replacement(tokenizer, settings.new_tokenizer, sources, targets)
    ids, old_ids = new.get_vocab(), tokenizer.get_vocab()
    shared = {number: old_ids[token] for token, number in ids.items() if token in old_ids}
    new_ids = sorted(set(ids.values()) - set(shared))
    tokens = NewTokens(model, tokenizer, new, new_ids, shared, sources, targets, seed)
    rows = tokens.old_rows
    if settings.target_tokenizer == "replace":
        # An id that no token has gets the mean: an embedding of zeros has a logit of 0, which can be the largest.
        rows = rows.mean(0).repeat(max(ids.values()) + 1, 1)
        rows[list(shared)] = tokens.old_rows[list(shared.values())]
    elif (missing := max(ids.values()) + 1 - len(rows)) > 0:
        rows = torch.cat([rows, rows.new_zeros(missing, rows.shape[1])])
    rows = rows.clone()
    if new_ids:
        rows[new_ids] = initial_embeddings(settings.token_initialization, tokens)
    before, after = (
        {
            side: tokenizer_use(each, texts[:_MEASURED_TEXTS])
            for side, texts in (("source", sources), ("target", targets))
        }
        for each in (tokenizer, new)
    )
    change = {
        "kind": settings.target_tokenizer,
        "initialization": settings.token_initialization,
        "new_tokens": len(new_ids),
        "refused": refused,
        "before": before,
        "after": after,
    }
    return Retokenized(with_embeddings(model, rows, new), new, new_ids, change)


def with_embeddings(model: PreTrainedModel, rows: torch.Tensor, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """
    The model with other word embeddings, which are its head too, and the special tokens of another tokenizer.

    Args:
        model ([`BackpackForCausalLM`]): the model; it is changed.
        rows (`torch.Tensor` [V, D]): an embedding for each token.
        tokenizer (`PreTrainedTokenizerBase`): a tokenizer of at most V tokens.
    """
    model.resize_token_embeddings(len(rows), mean_resizing=False)
    embeddings: Any = model.get_input_embeddings()
    with torch.no_grad():
        embeddings.weight.copy_(rows)
    for config in (model.config, model.config.trunk_config, model.generation_config):
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            if getattr(config, name, None) is not None:
                setattr(config, name, getattr(tokenizer, name))
    return model


def _replacement(
    tokenizer: PreTrainedTokenizerBase, name: str | None, sources: Sequence[str], targets: Sequence[str]
) -> PreTrainedTokenizerBase:
    bpe_description(tokenizer)
    if name is None:
        return tokenizer.train_new_from_iterator(  # type: ignore[attr-defined]
            chain(sources, targets), vocab_size=len(tokenizer), show_progress=False
        )
    where = model_source(name)
    check_tokenizer_folder(where)
    given = AutoTokenizer.from_pretrained(where, trust_remote_code=False)
    _check_fits(given, tokenizer, name, [*sources[:_CHECKED_TEXTS], *targets[:_CHECKED_TEXTS]])
    return given


def _check_fits(given: PreTrainedTokenizerBase, base: PreTrainedTokenizerBase, name: str, texts: Iterable[str]):
    try:
        bpe_description(given)
    except ValueError:
        raise ValueError(
            f"`new_tokenizer` {name} must be a byte-level BPE tokenizer, as the base model's is."
        ) from None
    for special in ("bos_token", "eos_token"):
        if getattr(given, special) != getattr(base, special):
            raise ValueError(
                f"`new_tokenizer` {name} must have the base model's {special} {getattr(base, special)!r}, got "
                f"{getattr(given, special)!r}: the model learned what that one means."
            )
    if given.pad_token is None:
        given.pad_token = given.eos_token
    for text in texts:
        ids = given(text, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
        if (written := given.decode(ids)) != text:
            raise ValueError(
                f"`new_tokenizer` {name} changes text: {text[:60]!r} comes back as {written[:60]!r}. Take one without "
                "a normalizer that changes letters, and without `add_prefix_space`."
            )


def load_retokenized(
    folder: Path,
    settings: TokenizerSettings,
    made_from: dict[str, Any],
    build: Callable[[], Retokenized],
    load: dict[str, Any],
) -> Retokenized:
    """
    Loads a model with another tokenizer from a folder, where it is built first if it is not there or was made from
    something else. A run that goes on after an interruption so begins with the same tokens.

    Args:
        folder (`Path`): where it is kept.
        settings ([`TokenizerSettings`]): what is asked for.
        made_from (`dict`): JSON values that the outcome depends on beside the settings.
        build (`Callable`): makes the [`Retokenized`].
        load (`dict`): arguments of [`load_base`].
    """
    asked = {each.name: getattr(settings, each.name) for each in fields(TokenizerSettings)}
    record = {**asked, "made_from": hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()}
    path = folder / _RECORD
    there = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if {name: there.get(name) for name in record} != record:
        build().save(folder, record)
        there = json.loads(path.read_text(encoding="utf-8"))
    model, tokenizer = load_base(str(folder), **load)
    return Retokenized(model, tokenizer, there["new_ids"], there["change"])
