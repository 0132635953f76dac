"""Table of the sense vectors of a vocabulary, which depend on the token alone (arXiv 2305.16765, section 3).

Shapes: R rows of the table, V tokens of the vocabulary, K senses, D the hidden size.
"""

import hashlib
import json
import operator
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn import functional as F
from transformers.utils import logging

from .configuration_backpack import BackpackConfig

logger = logging.get_logger(__name__)

#: Function that computes the senses of tokens: ids [N] to sense vectors [N, K, D].
SenseFunction = Callable[[Tensor], Tensor]
#: Function that edits senses token by token: ids [...] and sense vectors [..., K, D] to edited sense vectors.
SenseEdit = Callable[[Tensor, Tensor], Tensor]
#: Names in the safetensors format of the dtypes that a model may have.
_STORED_DTYPES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}


class WeightsWatch:
    """
    Detects that weights changed since it was made.

    torch counts in-place changes, and new storage has another address. Writes through `.data` are not counted by
    torch; they are found by comparing sampled values, one or two in every row of a matrix. A write that changes none
    of these values is not detected.

    Args:
        weights (`dict` of `torch.Tensor`): the weights by name.
    """

    def __init__(self, weights: dict[str, Tensor]):
        self._marks = self._mark(weights)
        self._samples = self._sample(weights)

    def changed(self, weights: dict[str, Tensor], look_at_values: bool) -> bool:
        """
        Tells if the weights were replaced or have other values.

        Args:
            weights (`dict` of `torch.Tensor`): the present weights by name.
            look_at_values (`bool`): also compare the sampled values, which synchronises the device.
        """
        if self._mark(weights) != self._marks:
            return True
        return look_at_values and not torch.equal(self._sample(weights), self._samples)

    @staticmethod
    def _mark(weights: dict[str, Tensor]) -> dict[str, tuple]:
        return {
            name: (tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version, tensor.dtype, tensor.device)
            for name, tensor in weights.items()
        }

    @staticmethod
    def _sample(weights: dict[str, Tensor]) -> Tensor:
        # With a step of one less than the row's width, every row has a sample.
        steps = {name: max(tensor.shape[-1] - 1, 1) if tensor.ndim > 1 else 1 for name, tensor in weights.items()}
        return torch.cat([tensor.detach().reshape(-1)[:: steps[name]].float() for name, tensor in weights.items()])


class SenseTable:
    """
    Table of sense vectors by token id, for the whole vocabulary or some of its tokens.

    Args:
        rows (`torch.Tensor` [R, K, D]): sense vectors.
        watch ([`WeightsWatch`]): watches the weights that the rows were computed with.
        row_of (`torch.Tensor` of `int` [V], *optional*): row of each token, -1 if it has none yet. By default the row
            of a token is its id.
        edit (function, *optional*): the edit that the senses in the rows have.
    """

    def __init__(self, rows: Tensor, watch: WeightsWatch, row_of: Tensor | None = None, edit: SenseEdit | None = None):
        self._held, self._used = rows, len(rows)  # may have spare rows at the end, once rows were added
        self.watch = watch
        self.row_of = row_of
        self.edit = edit

    @property
    def rows(self) -> Tensor:
        """The sense vectors [R, K, D]."""
        return self._held[: self._used]

    def add_missing(self, token_ids: Tensor, compute: SenseFunction):
        """Computes and appends the rows of tokens that have none."""
        if self.row_of is None or bool((self.row_of[token_ids] >= 0).all()):
            return
        missing = token_ids[self.row_of[token_ids] < 0].unique()
        new, end = compute(missing), self._used + len(missing)
        if end > len(self._held):
            spare = self._held.new_empty(max(len(missing), self._used // 8), *self._held.shape[1:])
            self._held = torch.cat([self.rows, spare])  # grows by an eighth, to avoid a copy for each new token
        self._held[self._used : end] = new
        self.row_of[missing] = torch.arange(self._used, end, device=missing.device)
        self._used = end

    def lookup(self, token_ids: Tensor) -> Tensor:
        """
        Sense vectors of tokens.

        Args:
            token_ids (`torch.Tensor` of `int` [B, S]): tokens that the table covers.

        Returns:
            `torch.Tensor` [B, S, K, D]
        """
        return F.embedding(self._rows_of(token_ids), self.rows.flatten(1)).unflatten(-1, self.rows.shape[1:])

    def mix(self, contextualization: Tensor, token_ids: Tensor) -> Tensor:
        """
        Computes the mixture at one position of each row, reading each past token from the table once.

        Args:
            contextualization (`torch.Tensor` [B, K, 1, S]): weights C.
            token_ids (`torch.Tensor` of `int` [B, S]): tokens that the table covers.

        Returns:
            `torch.Tensor` [B, 1, D]
        """
        num_senses = self.rows.shape[1]
        senses = self._rows_of(token_ids)[..., None] * num_senses + torch.arange(num_senses, device=token_ids.device)
        weights = contextualization[:, :, 0].transpose(1, 2).flatten(1).to(self.rows.dtype)  # [B, S K]
        mixed = F.embedding_bag(senses.flatten(1), self.rows.flatten(0, 1), mode="sum", per_sample_weights=weights)
        return mixed[:, None].to(contextualization.dtype)  # [B, 1, D]

    def _rows_of(self, token_ids: Tensor) -> Tensor:
        return token_ids if self.row_of is None else self.row_of[token_ids]


def build_table(
    compute: SenseFunction,
    weights: dict[str, Tensor],
    config: BackpackConfig,
    token_ids: Iterable[int] | Tensor | None = None,
    path: str | Path | None = None,
    chunk_size: int = 1024,
    edit: SenseEdit | None = None,
    more_ids: int = 0,
) -> SenseTable:
    """
    Computes a table, or memory-maps a stored one that belongs to these weights.

    Args:
        compute (function of ids [N] to senses [N, K, D]): the sense network, including the edit.
        weights (`dict` of `torch.Tensor`): the weights that `compute` reads, by name.
        config ([`BackpackConfig`]): the model's.
        token_ids (iterable of `int`, *optional*): the tokens of the table; all by default.
        path (`str` or `Path`, *optional*): safetensors file for the table.
        chunk_size (`int`, *optional*, defaults to 1024): tokens computed at a time.
        edit (function, *optional*): the edit that `compute` applies; a table of edited senses cannot be written to a
            file.
        more_ids (`int`, *optional*, defaults to 0): number of ids after those of the vocabulary, of padding and of
            words of several tokens.

    Returns:
        [`SenseTable`]

    Raises:
        ValueError: if a token is not in the vocabulary, or `path` is not a sense table.
    """
    if chunk_size < 1:
        raise ValueError(f"`chunk_size` must be positive, got {chunk_size}.")
    if path is not None and edit is not None:
        raise ValueError("Edited senses are not kept in a file: leave `path` out while senses are edited.")
    first = next(iter(weights.values()))
    num_ids = config.vocab_size + more_ids
    tokens = torch.arange(num_ids) if token_ids is None else _checked_tokens(token_ids, config.vocab_size)
    tokens = tokens.to(first.device)
    shape = (len(tokens), config.num_senses, config.hidden_size)
    chunks = tokens.split(chunk_size)
    # A table of one chunk, such as that of a few edited tokens, is there at once: no bar flashes up for it.
    rows = (compute(chunk) for chunk in logging.tqdm(chunks, desc="Senses", leave=False, disable=len(chunks) < 2))
    if path is None:
        table = torch.empty(shape, dtype=first.dtype, device=first.device)
        for place, senses in zip(table.split(chunk_size), rows, strict=True):
            place.copy_(senses)
    else:
        described = f"{config.sense_activation} {config.layer_norm_epsilon} {config.num_senses}"
        digest = weights_digest(weights, tokens, described)
        table = _stored_rows(Path(path), rows, shape, first.dtype, digest).to(first.device)
    row_of = None
    if token_ids is not None:
        row_of = torch.full((num_ids,), -1, dtype=torch.long, device=first.device)
        row_of[tokens] = torch.arange(len(tokens), device=first.device)
    return SenseTable(table, WeightsWatch(weights), row_of, edit)


def _checked_tokens(token_ids: Iterable[int] | Tensor, vocab_size: int) -> Tensor:
    """The distinct tokens in ascending order."""
    wanted = f"`token_ids` must be ids from 0 to {vocab_size - 1}, got "
    try:
        given = token_ids.tolist() if isinstance(token_ids, Tensor) else list(token_ids)
        tokens = sorted({operator.index(token) for token in given if not isinstance(token, bool)})
    except TypeError:
        raise ValueError(f"{wanted}{token_ids!r}.") from None
    if len(tokens) < len(set(given)) or not tokens or tokens[0] < 0 or tokens[-1] >= vocab_size:
        raise ValueError(f"{wanted}{f'{len(tokens)} from {tokens[0]} to {tokens[-1]}' if tokens else 'none'}.")
    return torch.tensor(tokens)


def _stored_rows(path: Path, rows: Iterator[Tensor], shape: tuple, dtype: torch.dtype, digest: str) -> Tensor:
    stored = map_rows(path, digest)
    if stored is None:
        write_rows(path, rows, shape, dtype, digest)
        stored = map_rows(path, digest)
    if stored is None:
        raise ValueError(f"{path} changed while it was written; give each model a file of its own.")
    return stored


def write_rows(path: Path, rows: Iterator[Tensor], shape: tuple[int, int, int], dtype: torch.dtype, digest: str):
    """
    Writes a table as safetensors while it is computed. If this fails, no file is left at `path`.

    Args:
        path (`Path`): the file.
        rows (iterator of `torch.Tensor` [chunk, K, D]): the table from its first row to its last.
        shape (`tuple` of `int`): R, K and D.
        dtype (`torch.dtype`): dtype of the rows.
        digest (`str`): hash of the weights and tokens that the rows belong to, see [`weights_digest`].
    """
    size = shape[0] * shape[1] * shape[2] * dtype.itemsize
    entry = {"dtype": _STORED_DTYPES[dtype], "shape": list(shape), "data_offsets": [0, size]}
    header = json.dumps({"__metadata__": {"weights": digest}, "senses": entry}).encode()
    header += b" " * (-len(header) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(partial, "wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            for chunk in rows:
                file.write(chunk.to("cpu").contiguous().view(torch.uint8).numpy().data)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def map_rows(path: Path, digest: str) -> Tensor | None:
    """
    Memory-maps a stored table; returns `None` if there is none for these weights.

    Args:
        path (`Path`): the file.
        digest (`str`): hash of the weights and tokens that the rows must belong to.

    Returns:
        `torch.Tensor` [R, K, D] on the CPU, or `None`.

    Raises:
        ValueError: if the file is not a sense table.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder; the sense table needs the name of a file.")
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            made_for = (file.metadata() or {}).get("weights")
            if made_for is None or list(file.keys()) != ["senses"]:
                raise ValueError(f"{path} is a safetensors file, but no sense table; give another `path`.")
            if made_for != digest:
                logger.info(f"{path} holds the senses of other weights or tokens; it is computed again.")
                return None
            return file.get_tensor("senses")
    except SafetensorError as error:
        raise ValueError(
            f"{path} cannot be read as a sense table ({error}). Remove it to compute a new one."
        ) from None


def weights_digest(weights: dict[str, Tensor], token_ids: Tensor, described: str) -> str:
    """
    Hash of the weights and tokens that a stored table belongs to.

    Args:
        weights (`dict` of `torch.Tensor`): the embeddings and the sense network's weights.
        token_ids (`torch.Tensor` of `int` [R]): the rows' tokens.
        described (`str`): other settings on which the senses depend.

    Returns:
        `str`: SHA-256 over names, dtypes and values.
    """
    digest = hashlib.sha256(described.encode())
    for name, tensor in {**weights, "token_ids": token_ids}.items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().to("cpu").contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


__all__ = ["SenseEdit", "SenseTable", "WeightsWatch", "build_table", "map_rows", "weights_digest", "write_rows"]
