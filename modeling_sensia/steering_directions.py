"""Inputs of steering: token ids of words, topic scores of senses, and directions in which senses differ.

Shapes: V tokens of the vocabulary, K senses, D the hidden size, P pairs of tokens.
"""

import operator
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from .modeling_backpack import BackpackForCausalLM, BackpackModel

Backpack = BackpackForCausalLM | BackpackModel

_SCORED_AT_ONCE = 64  # tokens


def find_words(tokenizer: PreTrainedTokenizerBase, words: Iterable[str]) -> tuple[int, ...]:
    """
    Token ids of words as they occur in running text, after a space.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): the model's.
        words (`Iterable[str]`): words of one token each, because senses belong to tokens.

    Raises:
        ValueError: if a word is several tokens; names the first one.
    """
    ids = []
    for word in words:
        # Some tokenizers add a space before the first word of a text.
        before = tokenizer("a", add_special_tokens=False)["input_ids"]
        tokens = tokenizer(f"a {word}", add_special_tokens=False)["input_ids"][len(before) :]
        if len(tokens) != 1:
            texts = tokenizer.convert_ids_to_tokens(tokens)
            raise ValueError(f"{word!r} is {len(tokens)} tokens, {texts}; expected a word of 1.")
        ids += tokens
    return tuple(ids)


@torch.no_grad()
def topic_scores(model: Backpack, token_ids: Iterable[int]) -> Tensor:
    """
    Topic scores of every sense of every token, as [`TowardsTopic`] defines them.

    Args:
        model ([`BackpackForCausalLM`] or [`BackpackModel`]): the model; active edits are included.
        token_ids (`Iterable[int]`): the bag of words.

    Returns:
        `torch.Tensor` [V, K], float32.

    Raises:
        ValueError: if a token is not in the model's vocabulary.
    """
    token_ids = numbers_of("token_ids", token_ids) or ()
    chosen_senses(model, None, token_ids)
    vocabulary = torch.arange(model.config.vocab_size, device=model.device)
    words = model.get_input_embeddings()(vocabulary).float()  # [V, D]
    bag = words[list(token_ids)].sum(0)  # [D]
    scores = []
    for tokens in vocabulary.split(_SCORED_AT_ONCE):
        senses = senses_of(model, tokens).float()  # [N, K, D]
        strongest = (senses @ words.T).amax(-1)  # [N, K]
        scores.append(senses @ bag / strongest.clamp(min=torch.finfo(torch.float32).tiny))
    return torch.cat(scores)


@torch.no_grad()
def find_direction(model: Backpack, pairs: Iterable[Iterable[int]], sense: int) -> Tensor:
    """
    Direction in which one sense differs between paired tokens: the first principal component of S[a] - S[b].

    Args:
        model ([`BackpackForCausalLM`] or [`BackpackModel`]): the model.
        pairs (`Iterable[Iterable[int]]`): token ids a and b that differ in one respect, such as " he" and " she".
        sense (`int`): the sense k.

    Returns:
        `torch.Tensor` [D]: direction of length 1, pointing from b to a on average.

    Raises:
        ValueError: if there are no pairs, no pair differs, or the model lacks the sense or a token.
    """
    chosen_senses(model, [sense], None)
    return _principal(_differences(model, pairs)[:, sense])[0]


@torch.no_grad()
def localise(model: Backpack, pairs: Iterable[Iterable[int]]) -> list[dict[str, float]]:
    """
    Measures for each sense how consistently it encodes the difference between paired tokens.

    Args:
        model ([`BackpackForCausalLM`] or [`BackpackModel`]): the model.
        pairs (`Iterable[Iterable[int]]`): at least 3, see [`find_direction`].

    Returns:
        `list` of `dict`: for each `sense`, in order, `explained`, the share of the squared differences that lies along
        the direction of all pairs; `held_out`, the mean cosine between a pair's difference and the direction of the
        other pairs, 0 if they have nothing in common; `length`, the mean length of the differences.
    """
    differences = _differences(model, pairs)  # [P, K, D]
    if len(differences) < 3:
        raise ValueError(f"`pairs` must be at least 3, to hold each out in turn; got {len(differences)}.")
    rows = []
    for sense, given in enumerate(differences.unbind(1)):
        others = [torch.cat([given[:place], given[place + 1 :]]) for place in range(len(given))]
        cosines = [torch.cosine_similarity(_principal(o)[0], d, 0) for o, d in zip(others, given, strict=True)]
        held_out = torch.stack(cosines).mean().item()
        length = given.norm(dim=-1).mean().item()
        rows.append({"sense": sense, "explained": _principal(given)[1], "held_out": held_out, "length": length})
    return rows


def _differences(model: Backpack, pairs: Iterable[Iterable[int]]) -> Tensor:
    given = [numbers_of("pairs", pair) or () for pair in listed("pairs", pairs)]
    if not given or any(len(pair) != 2 for pair in given):
        raise ValueError(f"`pairs` must be pairs of token ids, got {given}.")
    chosen_senses(model, None, [token for pair in given for token in pair])
    first, second = (senses_of(model, tokens).double() for tokens in torch.tensor(given, device=model.device).T)
    return first - second  # [P, K, D]


def _principal(differences: Tensor) -> tuple[Tensor, float]:
    """First right singular vector of [P, D], with the sign of the mean row, and the share of the squares along it."""
    _, sizes, vectors = torch.linalg.svd(differences, full_matrices=False)
    if sizes[0] == 0:
        raise ValueError("No pair differs in this sense, so it has no direction.")
    sign = -1.0 if vectors[0] @ differences.sum(0) < 0 else 1.0
    return sign * vectors[0], (sizes[0].square() / sizes.square().sum()).item()


def senses_of(model: Backpack, token_ids: Tensor) -> Tensor:
    """Sense vectors [N, K, D] of token ids [N]."""
    return model.get_senses(token_ids[None])[0].transpose(0, 1)


def chosen_senses(model: Backpack, senses: Iterable[int] | None, token_ids: Iterable[int] | None) -> Tensor:
    """Mask `bool` [V, K] of the senses and tokens that an edit changes."""
    lengths = {"token_ids": model.config.vocab_size, "senses": model.config.num_senses}
    axes = []
    for (name, length), given in zip(lengths.items(), (token_ids, senses), strict=True):
        axis = torch.zeros(length, dtype=torch.bool)
        for number in range(length) if given is None else given:
            if number >= length:
                raise ValueError(f"`{name}` has {number}; this model has 0 to {length - 1}.")
            axis[number] = True
        axes.append(axis)
    return (axes[0][:, None] & axes[1]).to(model.device)


def listed(name: str, given: Any) -> list:
    """The value of a field as a list; raises a `ValueError` for a string and for anything that is not iterable."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ValueError(f"`{name}` must be a list, got {given!r}.")
    return list(given)


def numbers_of(name: str, given: Any) -> tuple[int, ...] | None:
    """Senses or token ids as a tuple; `None` means all."""
    if given is None:
        return None
    values = listed(name, given)
    try:
        numbers = tuple(operator.index(number) for number in values if not isinstance(number, bool))
    except TypeError:
        numbers = ()
    if len(numbers) < max(len(values), 1) or min(numbers) < 0:
        raise ValueError(f"`{name}` must be whole numbers from 0, at least one, got {given!r}.")
    return numbers


__all__ = [
    "Backpack",
    "chosen_senses",
    "find_direction",
    "find_words",
    "listed",
    "localise",
    "numbers_of",
    "senses_of",
    "topic_scores",
]
