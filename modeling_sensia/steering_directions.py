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
from .sense_words import SenseWords

Backpack = BackpackForCausalLM | BackpackModel
#: A token, or the tokens of a word, by id.
TokenOrWord = int | tuple[int, ...]

_SCORED_AT_ONCE = 64  # tokens


def find_words(tokenizer: PreTrainedTokenizerBase, words: Iterable[str]) -> tuple[TokenOrWord, ...]:
    """
    Token ids of words as they occur in running text, after a space.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): the model's.
        words (`Iterable[str]`): the words.

    Returns:
        `tuple`: for each word its token id, or, if it is several tokens, the `tuple` of their ids.

    Raises:
        ValueError: if a word is empty; names the first one.
    """
    ids: list[TokenOrWord] = []
    for word in words:
        if not word.strip():
            raise ValueError(f"A word must have at least one letter, got {word!r}.")
        # Some tokenizers add a space before the first word of a text.
        before = tokenizer("a", add_special_tokens=False)["input_ids"]
        tokens = tokenizer(f"a {word}", add_special_tokens=False)["input_ids"][len(before) :]
        ids.append(tokens[0] if len(tokens) == 1 else tuple(tokens))
    return tuple(ids)


@torch.no_grad()
def topic_scores(model: Backpack, token_ids: Iterable[TokenOrWord], num_ids: int | None = None) -> Tensor:
    """
    Topic scores of every sense of every token, as [`TowardsTopic`] defines them.

    Args:
        model ([`BackpackForCausalLM`] or [`BackpackModel`]): the model; active edits are included.
        token_ids (`Iterable`): the bag of words.
        num_ids (`int`, *optional*): number of ids that are scored; V by default. Further ids are those of the words of
            several tokens that active edits name.

    Returns:
        `torch.Tensor` [V, K], float32.

    Raises:
        ValueError: if a token is not in the model's vocabulary.
    """
    rows = check_tokens(model, entries_of("token_ids", token_ids) or ())
    words = model.get_input_embeddings()(torch.arange(model.config.vocab_size, device=model.device)).float()  # [V, D]
    bag = words[[row[0] for row in rows]].sum(0)  # [D]
    scores = []
    for ids in torch.arange(num_ids or model.config.vocab_size, device=model.device).split(_SCORED_AT_ONCE):
        senses = senses_of(model, ids).float()  # [N, K, D]
        strongest = (senses @ words.T).amax(-1)  # [N, K]
        scores.append(senses @ bag / strongest.clamp(min=torch.finfo(torch.float32).tiny))
    return torch.cat(scores)


@torch.no_grad()
def find_direction(model: Backpack, pairs: Iterable[Iterable[TokenOrWord]], sense: int) -> Tensor:
    """
    Direction in which one sense differs between paired tokens: the first principal component of S[a] - S[b].

    Args:
        model ([`BackpackForCausalLM`] or [`BackpackModel`]): the model.
        pairs (`Iterable`): tokens or words a and b that differ in one respect, such as " he" and " she".
        sense (`int`): the sense k.

    Returns:
        `torch.Tensor` [D]: direction of length 1, pointing from b to a on average.

    Raises:
        ValueError: if there are no pairs, no pair differs, or the model lacks the sense or a token.
    """
    chosen_senses(model, [sense], None)
    return _principal(_differences(model, pairs)[:, sense])[0]


@torch.no_grad()
def localise(model: Backpack, pairs: Iterable[Iterable[TokenOrWord]]) -> list[dict[str, float]]:
    """
    Measures for each sense how consistently it encodes the difference between paired tokens.

    Args:
        model ([`BackpackForCausalLM`] or [`BackpackModel`]): the model.
        pairs (`Iterable`): at least 3, see [`find_direction`].

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


def _differences(model: Backpack, pairs: Iterable[Iterable[TokenOrWord]]) -> Tensor:
    given = [entries_of("pairs", pair) or () for pair in listed("pairs", pairs)]
    if not given or any(len(pair) != 2 for pair in given):
        raise ValueError(f"`pairs` must be pairs of token ids, got {given}.")
    rows = check_tokens(model, [entry for pair in given for entry in pair])
    words = words_of(model)
    # A word that no edit names has the senses of its last token.
    ids = torch.tensor([words.longest_end(row) if row not in words.words else words.id_of(row) for row in rows])
    first, second = (senses_of(model, each).double() for each in ids.view(-1, 2).to(model.device).T)
    return first - second  # [P, K, D]


def _principal(differences: Tensor) -> tuple[Tensor, float]:
    """First right singular vector of [P, D], with the sign of the mean row, and the share of the squares along it."""
    _, sizes, vectors = torch.linalg.svd(differences, full_matrices=False)
    if sizes[0] == 0:
        raise ValueError("No pair differs in this sense, so it has no direction.")
    sign = -1.0 if vectors[0] @ differences.sum(0) < 0 else 1.0
    return sign * vectors[0], (sizes[0].square() / sizes.square().sum()).item()


def _backpack(model: Backpack) -> BackpackModel:
    return model.backpack if isinstance(model, BackpackForCausalLM) else model


def senses_of(model: Backpack, sense_ids: Tensor) -> Tensor:
    """Sense vectors [N, K, D] of ids [N] of tokens or words, without a text around them."""
    return _backpack(model)._compute_senses(sense_ids)


def words_of(model: Backpack) -> SenseWords:
    """The words of several tokens that active edits name."""
    return _backpack(model).sense_words or SenseWords(model.config.vocab_size, ())


def chosen_senses(model: Backpack, senses: Iterable[int] | None, entries: Iterable[TokenOrWord] | None) -> Tensor:
    """
    Mask `bool` [V + 1 + W, K] of the senses, and of the tokens and words, that an edit changes. An edit of a token or
    word also changes the words that end with it.
    """
    words, num_senses = words_of(model), model.config.num_senses
    of_ids, of_senses = torch.ones(words.num_ids, dtype=torch.bool), torch.ones(num_senses, dtype=torch.bool)
    if entries is not None:
        ids = [words.id_of(tokens) for tokens in check_tokens(model, entries)]
        of_ids = torch.zeros_like(of_ids).index_fill(0, torch.tensor(words.ending_with(ids)), True)
    if senses is not None:
        given = list(senses)
        _check_below("senses", given, num_senses)
        of_senses = torch.zeros_like(of_senses).index_fill(0, torch.tensor(given), True)
    return (of_ids[:, None] & of_senses).to(model.device)


def check_tokens(model: Backpack, entries: Iterable[TokenOrWord]) -> list[tuple[int, ...]]:
    """The tokens of each entry; raises a `ValueError` if the model lacks one."""
    rows = [tokens_of(entry) for entry in entries]
    _check_below("token_ids", [token for row in rows for token in row], model.config.vocab_size)
    return rows


def _check_below(name: str, numbers: list[int], length: int):
    for number in numbers:
        if number >= length:
            raise ValueError(f"`{name}` has {number}; this model has 0 to {length - 1}.")


def tokens_of(entry: TokenOrWord) -> tuple[int, ...]:
    """The tokens of a token or word."""
    return (entry,) if isinstance(entry, int) else entry


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


def entries_of(name: str, given: Any) -> tuple[TokenOrWord, ...] | None:
    """Tokens and words as a tuple, a word of one token as that token; `None` means all."""
    if given is None:
        return None
    values = listed(name, given)
    if not values:
        raise ValueError(f"`{name}` must name at least one token or word, got {given!r}.")
    return tuple(_entry(name, value) for value in values)


def _entry(name: str, value: Any) -> TokenOrWord:
    several = isinstance(value, Iterable) and not isinstance(value, str)
    numbers = numbers_of(name, value if several else [value]) or ()
    return numbers[0] if len(numbers) == 1 else numbers


__all__ = [
    "Backpack",
    "TokenOrWord",
    "check_tokens",
    "chosen_senses",
    "entries_of",
    "find_direction",
    "find_words",
    "listed",
    "localise",
    "numbers_of",
    "senses_of",
    "tokens_of",
    "topic_scores",
    "words_of",
]
