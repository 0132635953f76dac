"""Edits of sense vectors: descriptions that hold numbers and token ids, prepared for a model when they are used.

Shapes: V tokens of the vocabulary, W words of several tokens, K senses, D the hidden size.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .modeling_backpack import BackpackModel
from .sense_table import SenseEdit
from .steering_directions import (
    TokenOrWord,
    check_tokens,
    chosen_senses,
    entries_of,
    listed,
    numbers_of,
    senses_of,
    tokens_of,
    topic_scores,
    words_of,
)

#: Quantiles of the topic scores, and the factor at strength 1 of senses whose score is above the quantile.
_TOPIC_FACTORS = ((0.6, 1.3), (0.8, 1.5))


class Edit(ABC):
    """
    Base class of edits of sense vectors. Subclasses are frozen dataclasses, which are equal if their fields are.

    A field that names a token may name a word of several tokens instead, as the `tuple` of their ids. The senses of
    such a word are those of its last token where the others stand before it; everywhere else the token keeps its own.
    """

    @property
    def named_tokens(self) -> tuple[int, ...]:
        """Token ids in the edit, those of words among them; they are valid only for their tokenizer."""
        return tuple(token for entry in self._entries() for token in tokens_of(entry))

    @property
    def edited_words(self) -> tuple[tuple[int, ...], ...]:
        """Words of several tokens whose senses the edit reads or changes."""
        return tuple(entry for entry in self._entries() if isinstance(entry, tuple))

    def _entries(self) -> Iterable[TokenOrWord]:
        return ()

    @abstractmethod
    def prepare(self, backpack: BackpackModel) -> SenseEdit:
        """
        Makes a function that edits senses.

        Args:
            backpack ([`BackpackModel`]): the model, with the previous edits applied.

        Returns:
            function of ids [...] of tokens and words (see `sense_words.py`) and senses [..., K, D] to senses
            [..., K, D].

        Raises:
            ValueError: if the model lacks the senses, tokens or width that the edit names.
        """


@dataclass(frozen=True)
class ScaleSenses(Edit):
    """
    Multiplies senses: S'[x, k] = factor S[x, k]. 0 removes them, 1 changes nothing, 2 doubles their weights.

    Args:
        senses (`Iterable[int]`): which senses; `None` for all.
        factor (`float`): at least 0.
        token_ids (`Iterable`, *optional*): of which tokens and words; all by default.
    """

    senses: Iterable[int] | None
    factor: float
    token_ids: Iterable[TokenOrWord] | None = None

    def __post_init__(self):
        _set(self, senses=numbers_of("senses", self.senses), token_ids=entries_of("token_ids", self.token_ids))
        _set(self, factor=_real("factor", self.factor))
        if self.factor < 0:
            raise ValueError(f"`factor` must be at least 0, got {self.factor}.")

    def _entries(self) -> Iterable[TokenOrWord]:
        return self.token_ids or ()

    def prepare(self, backpack: BackpackModel) -> SenseEdit:
        chosen = chosen_senses(backpack, self.senses, self.token_ids)
        return partial(_scale, factors=torch.where(chosen, self.factor, 1.0))


@dataclass(frozen=True)
class SwapSenses(Edit):
    """
    Replaces senses by those of another token: S'[token, k] = S[other, k]. The trunk still reads the original token.

    Args:
        token_id (`int` or `tuple`): the token or word that changes.
        other_id (`int` or `tuple`): the token or word whose senses it gets, after previous edits.
        senses (`Iterable[int]`, *optional*): which senses; all by default.
    """

    token_id: TokenOrWord
    other_id: TokenOrWord
    senses: Iterable[int] | None = None

    def __post_init__(self):
        for name in ("token_id", "other_id"):
            (entry,) = entries_of(name, [getattr(self, name)]) or ()
            _set(self, **{name: entry})
        _set(self, senses=numbers_of("senses", self.senses))

    def _entries(self) -> Iterable[TokenOrWord]:
        return self.token_id, self.other_id

    def prepare(self, backpack: BackpackModel) -> SenseEdit:
        chosen = chosen_senses(backpack, self.senses, [self.token_id])
        (tokens,) = check_tokens(backpack, [self.other_id])
        other = torch.tensor([words_of(backpack).id_of(tokens)], device=backpack.device)
        (others,) = senses_of(backpack, other)  # [K, D]
        return partial(_replace, chosen=chosen, others=others)


@dataclass(frozen=True)
class TowardsTopic(Edit):
    """
    Steers towards a topic, given as a bag of words b, by scaling the senses of all tokens (arXiv 2305.16765, the
    section on topic control).

    A sense scores s[x, k] = sum over w in b of l[w] / max over v of l[v], with its projection l = W S[x, k] on the
    word embeddings W. With the quantiles Q of all V K scores, senses are scaled by

        log factor[x, k] = strength * (c[x, k] - mean of c),
        c[x, k] = log 1.5 if s[x, k] > Q(0.8), log 1.3 if Q(0.8) >= s[x, k] > Q(0.6), else 0.

    The scores, the quantiles and c are those of the authors' published script at its strength 1. Its factors of the
    upper group at strengths 2 and 3, 2.2 and 3.3, are powers of 1.5, and here the powers are used for any strength.
    (Its factors of the lower group, 1.5 and 3, follow no rule.) There are two differences. First, the mean of c is
    subtracted here. Without this no factor is below 1, so all logits grow, which acts as a lower temperature more than
    as a topic. Second, the script weakens factors if earlier words of the sentence have expressed the topic already.
    This depends on context, so it cannot be an edit of senses.

    Args:
        token_ids (`Iterable`): the bag of words. Of a word of several tokens the first one counts, because a sense
            that predicts a word predicts that token.
        strength (`float`): 0 changes nothing; a negative value steers away from the topic.
    """

    token_ids: Iterable[TokenOrWord]
    strength: float

    def __post_init__(self):
        if self.token_ids is None:
            raise ValueError("`token_ids` must be the ids of the topic's words, got None.")
        _set(self, token_ids=entries_of("token_ids", self.token_ids), strength=_real("strength", self.strength))

    @property
    def edited_words(self) -> tuple[tuple[int, ...], ...]:
        return ()  # all tokens are scaled, wherever they stand

    def _entries(self) -> Iterable[TokenOrWord]:
        return self.token_ids

    def prepare(self, backpack: BackpackModel) -> SenseEdit:
        number = backpack.config.vocab_size
        num_ids = number if backpack.sense_words is None else backpack.sense_words.num_ids
        scores = topic_scores(backpack, self.token_ids, num_ids)  # [V, K] or [V + 1 + W, K]
        logs = torch.zeros_like(scores)
        for quantile, factor in _TOPIC_FACTORS:
            logs[scores > scores[:number].flatten().quantile(quantile)] = math.log(factor)
        factors = (self.strength * (logs - logs[:number].mean())).exp()
        if num_ids == number:  # an inner block may name words, and tell padding apart
            factors = torch.cat([factors, torch.ones_like(factors[:1])])  # [V + 1, K]
        return partial(_scale, factors=factors)


@dataclass(frozen=True)
class ProjectOut(Edit):
    """
    Removes a direction from senses: S'[x, k] = S[x, k] - (S[x, k] . u) u, with u = direction / |direction|.

    Args:
        senses (`Iterable[int]`): which senses; `None` for all.
        direction (`Iterable[float]`): D numbers, not all 0; see [`find_direction`].
        token_ids (`Iterable`, *optional*): of which tokens and words; all by default.
    """

    senses: Iterable[int] | None
    direction: Iterable[float]
    token_ids: Iterable[TokenOrWord] | None = None

    def __post_init__(self):
        _set(self, senses=numbers_of("senses", self.senses), token_ids=entries_of("token_ids", self.token_ids))
        given = self.direction.tolist() if isinstance(self.direction, Tensor) else listed("direction", self.direction)
        _set(self, direction=tuple(_real("direction", value) for value in given))
        if not any(self.direction):
            raise ValueError(f"`direction` must not be zero, got {len(given)} zeros.")

    def _entries(self) -> Iterable[TokenOrWord]:
        return self.token_ids or ()

    def prepare(self, backpack: BackpackModel) -> SenseEdit:
        direction = torch.tensor(self.direction, dtype=torch.float64)
        if len(direction) != backpack.config.hidden_size:
            raise ValueError(
                f"`direction` has {len(direction)} numbers; the senses of this model {backpack.config.hidden_size}."
            )
        chosen = chosen_senses(backpack, self.senses, self.token_ids)
        return partial(_project_out, chosen=chosen, unit=(direction / direction.norm()).to(chosen.device))


@dataclass(frozen=True, eq=False)
class AddToSenses(Edit):
    """
    Adds vectors to senses: S'[x, k] = S[x, k] + vector. [`edit_senses`] learns such an edit; `-edit` takes it back.

    A file of a steering holds the numbers in a safetensors file beside it.

    Args:
        token_ids (`Iterable[int]`): the tokens x of N senses.
        senses (`Iterable[int]`): their senses k, in the same order.
        vectors (`torch.Tensor` [N, D]): what is added to each; finite.
    """

    token_ids: Iterable[int]
    senses: Iterable[int]
    vectors: Tensor

    def __post_init__(self):
        for name in ("token_ids", "senses"):
            _set(self, **{name: numbers_of(name, listed(name, getattr(self, name)))})
        tokens, senses = list(self.token_ids), list(self.senses)
        pairs = list(zip(tokens, senses, strict=False))
        shape = tuple(self.vectors.shape) if isinstance(self.vectors, Tensor) else None
        if shape is None or len(shape) != 2 or not len(tokens) == len(senses) == shape[0]:
            lengths = f"{len(tokens)} and {len(senses)}"
            raise ValueError(f"`vectors` must be [N, D] for N tokens and senses, got {shape} for {lengths}.")
        if len(set(pairs)) < len(pairs):
            raise ValueError("`token_ids` and `senses` name a sense twice.")
        if not self.vectors.isfinite().all():
            raise ValueError("`vectors` must be finite.")
        _set(self, vectors=self.vectors.detach().float().cpu().clone())

    def __neg__(self) -> "AddToSenses":
        return AddToSenses(self.token_ids, self.senses, -self.vectors)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AddToSenses):
            return NotImplemented
        same = (self.token_ids, self.senses) == (other.token_ids, other.senses)
        return same and torch.equal(self.vectors, other.vectors)

    def __hash__(self) -> int:
        return hash((self.token_ids, self.senses))

    def _entries(self) -> Iterable[TokenOrWord]:
        return self.token_ids

    def prepare(self, backpack: BackpackModel, vectors: Tensor | None = None) -> SenseEdit:
        """As [`Edit.prepare`]; `vectors` [N, D] take the place of the edit's own, where a gradient is wanted."""
        if self.vectors.shape[1] != backpack.config.hidden_size:
            raise ValueError(
                f"`vectors` have {self.vectors.shape[1]} numbers; the senses of this model "
                f"{backpack.config.hidden_size}."
            )
        chosen = chosen_senses(backpack, self.senses, self.token_ids)
        row_of = torch.full(chosen.shape, len(self.vectors), device=chosen.device)  # [V + 1 + W, K]
        words = words_of(backpack)
        for row, (token, sense) in enumerate(zip(self.token_ids, self.senses, strict=True)):
            row_of[words.ending_with([token]), sense] = row
        vectors = self.vectors.to(chosen.device) if vectors is None else vectors
        return partial(_add, row_of=row_of, vectors=torch.cat([vectors, vectors.new_zeros(1, vectors.shape[1])]))


def _add(ids: Tensor, senses: Tensor, row_of: Tensor, vectors: Tensor) -> Tensor:
    return senses + vectors.to(senses)[row_of.to(senses.device)[ids.to(senses.device)]]


def _rows(table: Tensor, ids: Tensor, senses: Tensor) -> Tensor:
    """Rows [..., K, 1] of a table [V + 1 + W, K], where the senses are."""
    return table.to(senses.device)[ids.to(senses.device)][..., None]


def _scale(ids: Tensor, senses: Tensor, factors: Tensor) -> Tensor:
    return senses * _rows(factors, ids, senses).to(senses.dtype)


def _replace(ids: Tensor, senses: Tensor, chosen: Tensor, others: Tensor) -> Tensor:
    return torch.where(_rows(chosen, ids, senses), others.to(senses), senses)


def _project_out(ids: Tensor, senses: Tensor, chosen: Tensor, unit: Tensor) -> Tensor:
    # In low precision, the rounding error of the vector would leave a part along the direction.
    precise = senses.to(torch.promote_types(senses.dtype, torch.float32))
    unit = unit.to(precise)
    without = precise - (precise @ unit)[..., None] * unit
    return torch.where(_rows(chosen, ids, senses), without.to(senses.dtype), senses)


def _set(instance: Any, **values: Any):
    for name, value in values.items():
        object.__setattr__(instance, name, value)  # the way into a frozen dataclass


def _real(name: str, given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        raise ValueError(f"`{name}` must be a finite number, got {given!r}.")
    return float(given)


_KINDS: tuple[type[Edit], ...] = (ScaleSenses, SwapSenses, TowardsTopic, ProjectOut, AddToSenses)
#: The edits that a file may name.
EDITS: dict[str, type[Edit]] = {kind.__name__: kind for kind in _KINDS}

__all__ = ["EDITS", "AddToSenses", "Edit", "ProjectOut", "ScaleSenses", "SwapSenses", "TowardsTopic"]
