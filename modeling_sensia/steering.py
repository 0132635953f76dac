"""Steering of a Backpack by edits of sense vectors (arXiv 2305.16765).

Sense vectors do not depend on context, and the output is linear in them. So an edit has the same effect in every
sentence, and scaling a vector scales its weight in the mixture. Edits are descriptions: they hold numbers and token
ids, no tensors. [`Steering.applied`] prepares them for a model; weights never change.

Shapes: V tokens of the vocabulary, K senses, D the hidden size.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from .modeling_backpack import BackpackForCausalLM, BackpackModel
from .sense_editing import Example, edit_senses
from .sense_table import SenseEdit
from .sense_words import SenseWords
from .steering_directions import (
    Backpack,
    TokenOrWord,
    find_direction,
    find_words,
    listed,
    localise,
    tokens_of,
    topic_scores,
    words_of,
)
from .steering_edits import EDITS, AddToSenses, Edit, ProjectOut, ScaleSenses, SwapSenses, TowardsTopic
from .steering_tensors import read_beside, write_beside, write_whole

_FORMAT, _VERSION = "sensia-steering", 1


@dataclass(frozen=True)
class Steering:
    """
    A sequence of edits, each applied to the senses that the previous ones produced. `a | b` applies a, then b.

        with steering.applied(model):
            model.generate(...)

    Args:
        edits (`Iterable[Edit]`): the edits; may be empty.
    """

    edits: Iterable[Edit]

    def __post_init__(self):
        object.__setattr__(self, "edits", tuple(listed("edits", self.edits)))  # the way into a frozen dataclass
        for edit in self.edits:
            if not isinstance(edit, Edit):
                raise ValueError(f"`edits` must be edits such as `ScaleSenses`, got {edit!r}.")

    def __or__(self, other: "Steering") -> "Steering":
        return Steering((*self.edits, *other.edits)) if isinstance(other, Steering) else NotImplemented

    @contextmanager
    def applied(self, model: Backpack) -> Iterator[None]:
        """
        Applies the edits to a model inside a `with` block. After the block the model is as it was before.

        Blocks may be nested: inner edits apply to the result of the outer ones. Edits are computed from the weights at
        the start of the block. A cache is valid only with the edits that were active when it was filled.
        `model.precompute_senses()` inside the block makes a table of the edited senses, which makes generation faster
        and the cache smaller.

        Args:
            model ([`BackpackForCausalLM`] or [`BackpackModel`]): the model, in evaluation mode.

        Raises:
            ValueError: if the model is not a Backpack, is in training mode, or does not fit an edit.
        """
        backpack = model.base_model
        if not isinstance(backpack, BackpackModel):
            raise ValueError(f"Steering needs a Backpack, got {type(model).__name__}.")
        if backpack.training:
            raise ValueError("Steering needs a model in evaluation mode: call `eval()` first.")
        before = backpack.sense_edit, backpack.sense_words, backpack.sense_table
        try:
            self._prepare(backpack)
            yield
        finally:
            backpack.sense_edit, backpack.sense_words, table = before
            backpack.sense_table = None if backpack.training else table

    def _prepare(self, backpack: BackpackModel):
        """Puts the edits into the model, each on what those before it left."""
        named = [word for edit in self.edits for word in edit.edited_words]
        if named:
            known = words_of(backpack)
            backpack.sense_words = known.with_words(named)
            if backpack.sense_edit is not None:
                backpack.sense_edit = partial(
                    _with_known_ids, edit=backpack.sense_edit, known=known, words=backpack.sense_words
                )
        with torch.inference_mode(False), torch.no_grad(), torch.autocast(backpack.device.type, enabled=False):
            for step in self.edits:
                prepared, earlier = step.prepare(backpack), backpack.sense_edit
                backpack.sense_edit = prepared if earlier is None else partial(_then, first=earlier, second=prepared)
            if named and backpack.can_precompute_senses:
                # Positions are cached as token ids, whose senses are then computed once: a table that begins empty
                # but for one token.
                backpack.precompute_senses(named[0][:1])

    def generate(self, model: BackpackForCausalLM, input_ids: Tensor, **kwargs):
        """
        `model.generate` with the edits applied.

        Args:
            model ([`BackpackForCausalLM`]): the model, in evaluation mode.
            input_ids (`torch.Tensor` of `int` [B, L]): prompts.
            kwargs: passed to `generate`.
        """
        with self.applied(model):
            return model.generate(input_ids, **kwargs)  # type: ignore[misc]

    def save(self, path: str | Path, tokenizer: PreTrainedTokenizerBase):
        """
        Writes the edits as JSON, with the texts of the tokens that they name, and the vectors of learned edits as
        safetensors beside it. If this fails, no file is left at `path`.

        Args:
            path (`str` or `Path`): the file.
            tokenizer (`PreTrainedTokenizerBase`): the model's.

        Raises:
            ValueError: if the tokenizer lacks a token that an edit names.
        """
        ids = sorted({token for edit in self.edits for token in edit.named_tokens})
        tokens = {str(token): _text(tokenizer, token) for token in ids}
        missing = [token for token, text in tokens.items() if text is None]
        if missing:
            raise ValueError(f"The tokenizer has no token {missing[0]}, which an edit names.")
        vectors = {str(place): edit.vectors for place, edit in enumerate(self.edits) if isinstance(edit, AddToSenses)}
        content: dict[str, Any] = {"format": _FORMAT, "version": _VERSION, "tokens": tokens}
        if vectors:
            content["tensors"] = write_beside(Path(path), vectors)
        content["edits"] = [_entry(edit, str(place)) for place, edit in enumerate(self.edits)]
        write_whole(Path(path), f"{json.dumps(content, ensure_ascii=False, indent=1)}\n".encode())

    @classmethod
    def load(cls, path: str | Path, tokenizer: PreTrainedTokenizerBase) -> "Steering":
        """
        Reads a file written by [`Steering.save`].

        Args:
            path (`str` or `Path`): the file.
            tokenizer (`PreTrainedTokenizerBase`): that of the model to steer.

        Raises:
            ValueError: if the file is not a steering file, or its tokens differ from the tokenizer's; names the file
                and the field.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(f"{path} cannot be read as JSON: {error}") from None
        vectors = read_beside(Path(path), content["tensors"]) if _has_tensors(content) else {}
        return cls(_parsed(content, str(path), tokenizer, vectors))


def _with_known_ids(ids: Tensor, senses: Tensor, edit: SenseEdit, known: SenseWords, words: SenseWords) -> Tensor:
    """An edit of an outer block, which does not know the words that an inner block named."""
    return edit(words.known_to(known, ids), senses)


def _then(ids: Tensor, senses: Tensor, first: SenseEdit, second: SenseEdit) -> Tensor:
    return second(ids, first(ids, senses))


def _entry(edit: Edit, name: str) -> dict[str, Any]:
    """The edit in a file; the vectors of a learned one are named."""
    values = {field.name: getattr(edit, field.name) for field in fields(edit)}  # type: ignore[arg-type]
    if isinstance(edit, AddToSenses):
        values["vectors"] = name
    return {"edit": type(edit).__name__, **values}


def _has_tensors(content: Any) -> bool:
    return isinstance(content, dict) and "tensors" in content


def _text(tokenizer: PreTrainedTokenizerBase, token_id: int) -> str | None:
    return tokenizer.convert_ids_to_tokens([token_id])[0] if token_id < len(tokenizer) else None


def _parsed(content: Any, path: str, tokenizer: PreTrainedTokenizerBase, vectors: dict[str, Tensor]) -> list[Edit]:
    """Edits from the content of a file; checks every field."""
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise ValueError(f'{path}: `format` must be "{_FORMAT}"; this is not a steering file.')
    if content.get("version") != _VERSION:
        raise ValueError(f"{path}: `version` must be {_VERSION}, got {content.get('version')!r}.")
    tokens, entries = content.get("tokens"), content.get("edits")
    if not isinstance(tokens, dict) or not isinstance(entries, list):
        raise ValueError(f"{path}: `tokens` must be an object and `edits` a list.")
    edits = [_parsed_edit(entry, f"{path}: edits[{place}]", vectors) for place, entry in enumerate(entries)]
    for token in {token for edit in edits for token in edit.named_tokens}:
        stored, text = tokens.get(str(token)), _text(tokenizer, token)
        if stored is None or stored != text:
            raise ValueError(f"{path}: `tokens` has {stored!r} for {token}; for this tokenizer it is {text!r}.")
    return edits


def _parsed_edit(entry: Any, where: str, vectors: dict[str, Tensor]) -> Edit:
    name = entry.get("edit") if isinstance(entry, dict) else None
    if name not in EDITS:
        raise ValueError(f"{where}: `edit` must be one of {', '.join(EDITS)}, got {name!r}.")
    values = {key: value for key, value in entry.items() if key != "edit"}
    known = {field.name for field in fields(EDITS[name])}  # type: ignore[arg-type]
    for key in sorted(known ^ set(values)):
        raise ValueError(f"{where}: `{key}` is {'missing' if key in known else 'not a field of ' + name}.")
    if EDITS[name] is AddToSenses:
        values["vectors"] = vectors.get(str(values["vectors"]))
    try:
        return EDITS[name](**values)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


__all__ = [
    "AddToSenses",
    "Edit",
    "Example",
    "ProjectOut",
    "ScaleSenses",
    "Steering",
    "SwapSenses",
    "TokenOrWord",
    "TowardsTopic",
    "edit_senses",
    "find_direction",
    "find_words",
    "localise",
    "tokens_of",
    "topic_scores",
]
