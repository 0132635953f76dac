"""Embeddings to begin with for tokens that a model has not seen, and so, in a Backpack, their senses."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from scipy.sparse.linalg import svds
from tokenizers import pre_tokenizers
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sensia.corpora.token_links import count_links

#: Sentence pairs that are aligned or counted; more would hardly change the weights.
_MOST_PAIRS = 40_000
#: Weight of a token's pieces beside its aligned tokens, in links: a token with few links stays near its pieces.
_PIECE_LINKS = 1.0
_STATIC_SIZE, _STATIC_WINDOW, _NEIGHBOURS = 100, 4, 10
_SENSE_STEPS, _SENSE_RATE = 200, 0.02
_ROWS_AT_ONCE = 1024


@dataclass
class NewTokens:
    """
    New tokens of a tokenizer, and what is known of them before training.

    Args:
        model ([`BackpackForCausalLM`]): the model before it gets new rows.
        old (`PreTrainedTokenizerBase`): its tokenizer.
        new (`PreTrainedTokenizerBase`): the tokenizer with new tokens.
        ids (`list[int]`): N ids in `new` of tokens that `old` does not have.
        shared (`dict[int, int]`): ids in `new` of the tokens that both have, each with its id in `old`.
        sources (`Sequence[str]`): sentences of the model's language.
        targets (`Sequence[str]`): their translations.
        seed (`int`): of random numbers.
    """

    model: PreTrainedModel
    old: PreTrainedTokenizerBase
    new: PreTrainedTokenizerBase
    ids: list[int]
    shared: dict[int, int]
    sources: Sequence[str]
    targets: Sequence[str]
    seed: int = 0

    @cached_property
    def old_rows(self) -> Tensor:
        """Embeddings [V, D] of the old tokens, and of ids that no token has."""
        return self.model.get_input_embeddings().weight.detach().float()  # type: ignore[union-attr,operator]

    @cached_property
    def known_rows(self) -> Tensor:
        """Embeddings of the old tokens alone: many models have more rows, up to a multiple of 64, say."""
        return self.old_rows[sorted(set(self.old.get_vocab().values()))]

    @cached_property
    def piece_weights(self) -> sp.csr_matrix:
        """Share of each old token in the old pieces of each new token, [N, V]; rows sum to 1."""
        cut = self.old.backend_tokenizer.model  # type: ignore[attr-defined]
        written = {number: str(token) for number, token in self.new.added_tokens_decoder.items()}
        texts = [
            _in_bytes(written[number]) if number in written else text
            for number, text in zip(self.ids, self.new.convert_ids_to_tokens(self.ids), strict=True)
        ]
        pieces = [[token.id for token in cut.tokenize(text)] for text in texts]
        return _normalized(self._matrix([(row, piece, 1.0) for row, each in enumerate(pieces) for piece in each]))

    @cached_property
    def aligned_weights(self) -> sp.csr_matrix:
        """
        Share of each old token in the links of each new token, [N, V]; rows sum to 1. Tokens without a link have the
        weights of their pieces.
        """
        places = {number: row for row, number in enumerate(self.ids)}
        sources = _tokenized(self.old, self.sources[:_MOST_PAIRS])
        targets = _tokenized(self.new, self.targets[:_MOST_PAIRS])
        written = [
            ([str(each) for each in source], [str(each) for each in target])
            for source, target in zip(sources, targets, strict=True)
            if source and target
        ]
        links = [
            (places[int(target)], int(source), float(count))
            for (source, target), count in count_links(written).items()
            if int(target) in places
        ]
        return _normalized(self._matrix(links) + _PIECE_LINKS * self.piece_weights)

    @cached_property
    def static_weights(self) -> sp.csr_matrix:
        """
        Share of each old token by similarity in static vectors of the target text, [N, V]; rows sum to 1. Tokens that
        the text does not have, or that are like none, have the weights of their pieces.
        """
        size = max(self.new.get_vocab().values()) + 1
        vectors = _static_vectors(_tokenized(self.new, self.targets[:_MOST_PAIRS]), size, self.seed)
        anchors = np.array([each for each in sorted(self.shared) if vectors[each].any()], dtype=np.int64)
        entries = []
        for start in range(0, len(self.ids) if len(anchors) else 0, _ROWS_AT_ONCE):
            rows = vectors[self.ids[start : start + _ROWS_AT_ONCE]]  # [n, d]
            likeness = rows @ vectors[anchors].T  # [n, anchors]
            nearest = np.argsort(-likeness, axis=1)[:, :_NEIGHBOURS]
            for row, places in enumerate(nearest):
                best = likeness[row, places]
                for place, weight in zip(places, _sparsemax(best), strict=True):
                    if weight > 0 and likeness[row, place] > 0:
                        entries.append((start + row, self.shared[int(anchors[place])], float(weight)))
        found = self._matrix(entries)
        without = np.asarray(found.sum(1)).ravel() == 0
        return _normalized(found + sp.diags(without.astype(float)) @ self.piece_weights)

    def _matrix(self, entries: list[tuple[int, int, float]]) -> sp.csr_matrix:
        rows, columns, values = zip(*entries, strict=True) if entries else ((), (), ())
        return sp.csr_matrix((values, (rows, columns)), shape=(len(self.ids), self.old_rows.shape[0]))


def initial_embeddings(method: str, tokens: NewTokens) -> Tensor:
    """
    Embeddings for new tokens. Their mean norm is that of the old tokens' embeddings.

    Args:
        method (`str`): one of [`METHODS`]. `mean`: mean of the embeddings of the token's old pieces. `aligned`: mean
            of the embeddings of the source tokens that it is aligned with, weighted by their links. `sense`: the
            embedding whose senses come nearest to the same mean of *senses*, found by gradient descent through the
            frozen sense network; only a Backpack has it. `focus`: mean of the embeddings of the most similar shared
            tokens in static vectors of the target text, after Dobler and de Melo (arXiv 2305.14481). `random`: normal
            with the mean and the deviation of the old embeddings.
        tokens ([`NewTokens`]): the tokens.

    Returns:
        `torch.Tensor` [N, D]

    Raises:
        ValueError: if there is no such method, or the aligner is not installed.
    """
    if method not in METHODS:
        raise ValueError(f"`token_initialization` must be one of {', '.join(METHODS)}, got {method!r}.")
    rows = METHODS[method](tokens)  # [N, D]
    return rows * (tokens.known_rows.norm(dim=1).mean() / rows.norm(dim=1).mean().clamp(min=1e-12))


def _mean(tokens: NewTokens) -> Tensor:
    return _weighted(tokens.piece_weights, tokens.old_rows)


def _aligned(tokens: NewTokens) -> Tensor:
    return _weighted(tokens.aligned_weights, tokens.old_rows)


def _focus(tokens: NewTokens) -> Tensor:
    return _weighted(tokens.static_weights, tokens.old_rows)


def _random(tokens: NewTokens) -> Tensor:
    generator = torch.Generator().manual_seed(tokens.seed)
    noise = torch.randn(len(tokens.ids), tokens.old_rows.shape[1], generator=generator)
    return tokens.known_rows.mean(0) + tokens.known_rows.std(0) * noise


def _sense(tokens: NewTokens) -> Tensor:
    network: Any = tokens.model.backpack.sense_network  # type: ignore[union-attr]
    start, rows = _aligned(tokens), []
    with torch.no_grad():
        used = torch.as_tensor(np.unique(tokens.aligned_weights.indices), dtype=torch.long)
        senses = torch.cat([network(each) for each in tokens.old_rows[used].split(_ROWS_AT_ONCE)])  # [used, K D]
    weights = tokens.aligned_weights[:, used.numpy()]
    for first in range(0, len(tokens.ids), _ROWS_AT_ONCE):
        part = slice(first, first + _ROWS_AT_ONCE)
        rows.append(_fit_to_senses(network, start[part], _weighted(weights[part], senses)))
    return torch.cat(rows)


def _fit_to_senses(network: Callable[[Tensor], Tensor], start: Tensor, wanted: Tensor) -> Tensor:
    """Embeddings [n, D] that make the squared distance of their senses from `wanted` [n, K D] small."""
    rows = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([rows], lr=_SENSE_RATE * start.abs().mean().item())
    with torch.enable_grad():
        for _ in range(_SENSE_STEPS):
            loss = (network(rows) - wanted).square().sum()
            (rows.grad,) = torch.autograd.grad(loss, rows)
            optimizer.step()
    return rows.detach()


METHODS: dict[str, Callable[[NewTokens], Tensor]] = {
    "mean": _mean,
    "aligned": _aligned,
    "sense": _sense,
    "focus": _focus,
    "random": _random,
}


def _in_bytes(text: str) -> str:
    """An added token, which stands in a tokenizer as it is written, in the letters for bytes of other tokens."""
    whole = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return "".join(part for part, _ in whole.pre_tokenize_str(text))


def _tokenized(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    return tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]


def _weighted(weights: sp.csr_matrix, rows: Tensor) -> Tensor:
    return torch.from_numpy((weights @ rows.numpy()).astype(np.float32))


def _normalized(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Rows that sum to 1; an empty row stays empty."""
    totals = np.asarray(matrix.sum(1)).ravel()
    return (sp.diags(np.divide(1, totals, out=np.zeros_like(totals), where=totals > 0)) @ matrix).tocsr()


def _sparsemax(scores: np.ndarray) -> np.ndarray:
    """Projection onto the simplex (Martins and Astudillo, arXiv 1602.02068): weights [n] >= 0 that sum to 1."""
    ordered = np.sort(scores)[::-1]
    excess = np.cumsum(ordered) - 1
    count = np.arange(1, len(scores) + 1)
    last = np.flatnonzero(count * ordered > excess)[-1]
    return np.maximum(scores - excess[last] / (last + 1), 0)


def _static_vectors(rows: Sequence[Sequence[int]], size: int, seed: int) -> np.ndarray:
    """Static vectors [size, d] of unit length: truncated SVD of positive PMI (Levy and Goldberg, 2014)."""
    counts: Counter[tuple[int, int]] = Counter()
    for row in rows:
        for gap in range(1, _STATIC_WINDOW + 1):
            counts.update(zip(row, row[gap:], strict=False))
    pairs = np.array(list(counts), dtype=np.int64).reshape(-1, 2)
    values = np.fromiter(counts.values(), float)
    joint = sp.csr_matrix((values, (pairs[:, 0], pairs[:, 1])), shape=(size, size))
    joint = (joint + joint.T).tocoo()
    totals = np.asarray(joint.sum(1)).ravel()
    pmi = np.log(joint.data * totals.sum() / (totals[joint.row] * totals[joint.col]))
    positive = sp.csr_matrix((np.maximum(pmi, 0), (joint.row, joint.col)), shape=(size, size))
    if not positive.nnz:
        return np.zeros((size, 1), np.float32)
    start = np.random.default_rng(seed).standard_normal(size)
    left, values, _ = svds(positive, k=min(_STATIC_SIZE, size - 2), v0=start)
    vectors = left * np.sqrt(values)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 1e-9).astype(np.float32)
