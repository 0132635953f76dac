"""A tokenizer for the target language: what is asked for, and a base model that has it."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from modeling_sensia.loading import load_base
from modeling_sensia.model_sources import check_tokenizer_folder, model_source
from sensia.corpora.tokenizer_extension import extend_to_languages
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
_SPECIAL_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")


@dataclass(kw_only=True)
class TokenizerSettings:
    """Settings of a tokenizer for the target language; see each field's help."""

    target_tokenizer: str = field(
        default="none",
        metadata={
            "help": "Tokens for the target language. none keeps the base model's tokenizer. extend adds new_tokens, "
            "which are learned on the training data; the source language is cut into tokens as before, rare words "
            "aside. replace takes new_tokenizer, or trains one on both sides; tokens that both tokenizers have keep "
            "their embeddings.",
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


@dataclass(frozen=True)
class TargetText:
    """
    Text of a target language.

    Args:
        language (`str`): its name, for messages.
        sources (`Sequence[str]`): N sentences of the base model's language.
        targets (`Sequence[str]`): their translations.
        texts (`Iterable[str]`, *optional*): further text of the target language, which `extend` learns from.

    Raises:
        ValueError: if a side has no text.
    """

    language: str
    sources: Sequence[str]
    targets: Sequence[str]
    texts: Iterable[str] = ()

    def __post_init__(self):
        if not any(self.sources) or not any(self.targets):
            raise ValueError(f"A tokenizer for {self.language} needs sentence pairs: a side of the data has no text.")


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
            [`tokenizer_use`] of each side of the first training pairs of each language. `None` for the base's own
            tokenizer.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    new_ids: list[int]
    change: dict[str, Any] | None = None

    def save(self, folder: Path, record: dict[str, Any]):
        """Writes model, tokenizer and what was done to a folder, which appears whole or not at all."""
        folder = Path(os.path.abspath(folder))  # `new/../new` has no parent while `new` is not there
        unfinished = folder.with_name(f".{folder.name}.writing")
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            self.model.save_pretrained(unfinished)
            self.tokenizer.save_pretrained(unfinished)
            write_json_whole(unfinished / _RECORD, {**record, "change": self.change, "new_ids": self.new_ids})
            shutil.rmtree(folder, ignore_errors=True)
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


def retokenize(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    settings: TokenizerSettings,
    languages: Sequence[TargetText],
    source_texts: Iterable[str] = (),
    seed: int = 0,
) -> Retokenized:
    """
    Gives a Backpack a tokenizer for its target languages.

    Args:
        model ([`BackpackForCausalLM`]): the base model; it is changed.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer.
        settings ([`TokenizerSettings`]): what is asked for.
        languages (`Sequence` of [`TargetText`]): text of each target language.
        source_texts (`Iterable[str]`, *optional*): further text of the base model's language, which `extend` cuts as
            before.
        seed (`int`, *optional*, defaults to 0): of random numbers.

    Raises:
        ValueError: if the tokenizer cannot be changed so, or a given one does not fit the model.
    """
    sources, targets = _in_turn(languages)
    refused = 0
    if settings.target_tokenizer == "extend":
        texts = [chain(each.targets, each.texts) for each in languages]
        extension = extend_to_languages(tokenizer, chain(sources, source_texts), texts, settings.new_tokens)
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
        rows = tokens.known_rows.mean(0).repeat(max(ids.values()) + 1, 1)
        rows[list(shared)] = tokens.old_rows[list(shared.values())]
    elif (missing := max(ids.values()) + 1 - len(rows)) > 0:
        rows = torch.cat([rows, rows.new_zeros(missing, rows.shape[1])])
    rows = rows.clone()
    if new_ids:
        rows[new_ids] = initial_embeddings(settings.token_initialization, tokens)
    change = {
        "kind": settings.target_tokenizer,
        "initialization": settings.token_initialization,
        "new_tokens": len(new_ids),
        "refused": refused,
        "before": _use(tokenizer, languages),
        "after": _use(new, languages),
    }
    return Retokenized(with_embeddings(model, rows, new, shared), new, new_ids, change)


def _in_turn(languages: Sequence[TargetText]) -> tuple[list[str], list[str]]:
    """Sources and targets of all languages, a pair of each in turn: any first part of them has all languages."""
    rows = zip_longest(*(zip(each.sources, each.targets, strict=True) for each in languages))
    pairs = [pair for row in rows for pair in row if pair is not None]
    return [source for source, _ in pairs], [target for _, target in pairs]


def _use(tokenizer: PreTrainedTokenizerBase, languages: Sequence[TargetText]) -> dict[str, Any]:
    """How a tokenizer cuts the source and the target side of the first language, and the target sides of others."""
    source, *targets = (
        tokenizer_use(tokenizer, texts[:_MEASURED_TEXTS])
        for texts in (languages[0].sources, *(each.targets for each in languages))
    )
    use = {"source": source, "target": targets[0]}
    return {**use, "other_targets": targets[1:]} if targets[1:] else use


def with_embeddings(
    model: PreTrainedModel, rows: torch.Tensor, tokenizer: PreTrainedTokenizerBase, shared: Mapping[int, int]
) -> PreTrainedModel:
    """
    The model with other word embeddings, which are its head too, and the special tokens of another tokenizer.

    Args:
        model ([`BackpackForCausalLM`]): the model; it is changed.
        rows (`torch.Tensor` [V, D]): an embedding for each token.
        tokenizer (`PreTrainedTokenizerBase`): a tokenizer of at most V tokens.
        shared (`Mapping[int, int]`): ids of the tokens that the model had already, each with the id it had.
    """
    model.resize_token_embeddings(len(rows), mean_resizing=False)
    embeddings: Any = model.get_input_embeddings()
    with torch.no_grad():
        embeddings.weight.copy_(rows)
    places = {old: new for new, old in shared.items()}
    for config in (model.config, model.config.trunk_config, model.generation_config):
        for name in _SPECIAL_IDS:
            given = getattr(config, name, None)
            if isinstance(given, list):  # several ends, as of models for conversations
                kept = [places[number] for number in given if number in places]
                setattr(config, name, kept or getattr(tokenizer, name))
            elif given is not None:
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
    try:
        given = AutoTokenizer.from_pretrained(where, trust_remote_code=False)
    except Exception as error:  # `tokenizers` raises no class of its own
        raise ValueError(f"`new_tokenizer` {name} cannot be loaded: {error}") from error
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
    checkpoint: str | None = None,
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
        checkpoint (`str`, *optional*): folder of the checkpoint that the run goes on from.

    Raises:
        ValueError: if the model has to be built, and then has other tokens than the checkpoint.
    """
    asked = {each.name: getattr(settings, each.name) for each in fields(TokenizerSettings)}
    record = {**asked, "made_from": hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()}
    there = _read_record(folder)
    if {name: there.get(name) for name in record} != record:
        built = build()
        if checkpoint and AutoTokenizer.from_pretrained(checkpoint).get_vocab() != built.tokenizer.get_vocab():
            raise ValueError(
                f"{checkpoint} has other new tokens: the training data changed since. Choose another `output_dir`, "
                f"delete {folder.parent}, or restore the data to resume."
            )
        built.save(folder, record)
        there = _read_record(folder)
    model, tokenizer = load_base(str(folder), **load)
    return Retokenized(model, tokenizer, there["new_ids"], there["change"])


def _read_record(folder: Path) -> dict[str, Any]:
    """What a folder was made from; empty where there is none, or one that was cut off."""
    try:
        return json.loads((folder / _RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
