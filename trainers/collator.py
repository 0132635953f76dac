"""Pairs to one stacked batch."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase

from sensia.corpora.batching import pad_rows

#: Number of the data set of what comes from no bitext.
TEXT_DATASET = -1
#: Tensors of a batch, and the position of the first token of each sentence in its flattened rows [N].
_Layout: TypeAlias = tuple[dict[str, torch.Tensor], torch.Tensor]


@dataclass
class ParallelCollator:
    """
    Stacks a batch of B pairs, sources first, so that one forward encodes both languages.

    Labels are the ids of the target sentences; sources and pads have -100, so that the language model loss is on the
    target alone. With `label_sources` or `source_lm_weight`, sources have labels too. A row of the data with one
    side only is text of that side's language: it follows behind all pairs, and only the language model loss sees it.
    Where a row has `prompt_tokens`, so many leading target tokens have no label. With `label_sources` or
    `repeat_sources`, the batch also has sentences of the source language alone, for a model that reads nothing else.

    Each sentence has a row of its own, padded on the right to the longest of the batch; with `packing`, sentences
    stand side by side in rows of that length or up to twice it, and little is padded. Where nothing is contrasted,
    `targets_only` leaves the sources out: every row of the data is then text.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): supplies the id that fills pads; masks, never ids, mark them.
        pad_to_multiple_of (`int`, *optional*, defaults to 1): round the padded length up to a multiple of this.
        packing (`bool`, *optional*, defaults to `False`): put several sentences into a row.
        max_positions (`int`, *optional*): most tokens of a shared row; without it, twice the longest sentence.
        targets_only (`bool`, *optional*, defaults to `False`): leave the sources out.
        label_sources (`bool`, *optional*, defaults to `False`): give sources labels, and lay out the source language
            once more in rows of its own.
        repeat_sources (`bool`, *optional*, defaults to `False`): lay out the sources of pairs once more in rows of
            their own. `label_sources` does that too.
        source_lm_weight (`float`, *optional*, defaults to 0): how much a source token counts in the language model
            loss, where a target token counts 1.
    """

    tokenizer: PreTrainedTokenizerBase
    pad_to_multiple_of: int = 1
    packing: bool = False
    max_positions: int | None = None
    targets_only: bool = False
    label_sources: bool = False
    repeat_sources: bool = False
    source_lm_weight: float = 0.0

    def __call__(self, pairs: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """
        Args:
            pairs (`Sequence[dict]`): each with `source_ids` and `target_ids`, lists of token ids; optionally with
                `prompt_tokens`, and with `row` and `dataset`, which say where it comes from.

        Returns:
            `dict`: for N = 2 B + texts sentences, in the order sources, targets, texts of the target language, texts
            of the source language,

            - `input_ids` and `labels`, `torch.Tensor` of `int` [N, L], or [R, L] with packing;
            - `attention_mask` [N, L], or with packing `sentence_ids` [R, L] and `sentence_ends` [N]; see
              [`BackpackModel.forward`];
            - with `source_lm_weight`, `label_weights` of the shape of `labels`: that weight for sources, else 1;
            - with `label_sources`, `sources`, a `dict` of the sentences of the source language in rows of their own:
              `input_ids` and what says where its sentences are, as above; `places` [M], the positions in these
              flattened rows whose next token is a label; and `places_in_batch` [M], the same positions in the
              flattened rows of the batch. It is missing where no sentence is of the source language. With
              `repeat_sources` alone it has the sources of pairs and no texts;
            - `num_pairs`, the `int` B, 0 with `targets_only`, and `num_source_texts`, `int`;
            - `row_numbers` [B + texts, 2], data set and row of each, if the data has them.

        Raises:
            ValueError: if there is nothing, or a row with two empty sides.
        """
        source_texts = [pair for pair in pairs if not len(pair["target_ids"])]
        pairs = [pair for pair in pairs if len(pair["target_ids"])]
        target_texts = [pair for pair in pairs if self.targets_only or not len(pair["source_ids"])]
        pairs = [] if self.targets_only else [pair for pair in pairs if len(pair["source_ids"])]
        texts = [*target_texts, *source_texts]
        sentences = [pair["source_ids"] for pair in pairs] + [pair["target_ids"] for pair in (*pairs, *target_texts)]
        sentences += [pair["source_ids"] for pair in source_texts]
        unlabelled = [0 if self.label_sources or self.source_lm_weight else len(pair["source_ids"]) for pair in pairs]
        unlabelled += [pair.get("prompt_tokens") or 0 for pair in (*pairs, *texts)]
        fill = self.tokenizer.pad_token_id
        if fill is None:
            fill = self.tokenizer.eos_token_id
        lay_out = self._packed if self.packing else self._one_row_each
        counts = {"num_pairs": len(pairs), "num_source_texts": len(source_texts)}
        rows, starts = lay_out(sentences, unlabelled, fill)
        batch: dict[str, Any] = {**rows, **counts}
        of_source = list(range(len(pairs) if self.label_sources or self.repeat_sources else 0))
        if self.label_sources:
            of_source += range(len(sentences) - len(source_texts), len(sentences))
        if of_source:
            alone = lay_out([sentences[each] for each in of_source], [unlabelled[each] for each in of_source], fill)
            batch["sources"] = _with_places(*alone, starts[of_source])
        if self.source_lm_weight:
            batch["label_weights"] = torch.ones(rows["labels"].shape).masked_fill(
                of_sources(batch), self.source_lm_weight
            )
        if all("row" in pair for pair in (*pairs, *texts)):
            batch["row_numbers"] = torch.tensor([_row_number(pair) for pair in (*pairs, *texts)])  # [B + texts, 2]
        return batch

    def _one_row_each(self, sentences, unlabelled: list[int], fill: int) -> _Layout:
        ids, mask = pad_rows(sentences, fill, self.pad_to_multiple_of)  # [N, L]
        labelled = (mask != 0) & (torch.arange(ids.shape[1]) >= torch.tensor(unlabelled)[:, None])
        rows = {"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(~labelled, -100)}
        return rows, torch.arange(len(ids)) * ids.shape[1]

    def _packed(self, sentences, unlabelled: list[int], fill: int) -> _Layout:
        own, mask = pad_rows(sentences, fill, self.pad_to_multiple_of)  # [N, L]
        lengths = mask.sum(1).tolist()
        width = choose_width(lengths, own.shape[1], self.max_positions)
        rows, starts = (torch.tensor(places) for places in zip(*pack(lengths, width), strict=True))  # [N] each
        number, within = mask.nonzero(as_tuple=True)  # of each token: its sentence, and its place in there
        places = rows[number], starts[number] + within
        shape = int(rows.max()) + 1, width
        ids, sentence_ids, labels = torch.full(shape, fill), torch.full(shape, -1), torch.full(shape, -100)  # [R, L]
        ids[places], sentence_ids[places] = own[number, within], number
        # What stands before a sentence in its row is another one, so its first token has nothing to be predicted from.
        labelled = within >= torch.tensor(unlabelled).clamp(min=1)[number]
        labels[places] = own[number, within].masked_fill(~labelled, -100)
        starts = rows * width + starts  # [N]
        ends = starts + mask.sum(1) - 1  # [N]
        return {"input_ids": ids, "sentence_ids": sentence_ids, "sentence_ends": ends, "labels": labels}, starts


def _with_places(rows: dict[str, torch.Tensor], starts: torch.Tensor, starts_in_batch: torch.Tensor):
    """Sentences in rows of their own without labels, and `places` and `places_in_batch` of what they predict."""
    next_tokens = F.pad(rows["labels"][:, 1:], (0, 1), value=-100).flatten()
    places = (next_tokens != -100).nonzero().squeeze(1)  # [M]
    moved = (starts_in_batch - starts)[sentences_of(rows).flatten()[places]]  # [M]
    inputs = {name: tensor for name, tensor in rows.items() if name != "labels"}
    return {**inputs, "places": places, "places_in_batch": places + moved}


def of_sources(batch: dict[str, Any]) -> torch.Tensor:
    """
    Marks the positions of the source language in a batch of [`ParallelCollator`]: `bool`, of the shape of `labels`.
    Padding, which has no label, may be marked or not.
    """
    sentences = sentences_of(batch)
    number = len(batch["sentence_ends"]) if "sentence_ends" in batch else len(sentences)
    return (sentences < batch["num_pairs"]) | (sentences >= number - batch["num_source_texts"])


def sentences_of(batch: dict[str, Any]) -> torch.Tensor:
    """Number of the sentence of each position: `int`, of the shape of `labels`; -1 for padding of packed rows."""
    labels = batch["labels"]
    if "sentence_ids" in batch:
        return batch["sentence_ids"]  # [R, L]
    return torch.arange(len(labels), device=labels.device)[:, None].expand_as(labels)  # [N, L]


def _row_number(pair: dict[str, Any]) -> tuple[int, int]:
    is_pair = len(pair["source_ids"]) and len(pair["target_ids"])
    return pair.get("dataset") or 0 if is_pair else TEXT_DATASET, pair["row"]


#: So long is a row whose positions take twice the arithmetic of one that attends to nothing, in a model of full size.
_LENGTH_OF_TWICE_THE_WORK = 2400


def choose_width(lengths: Sequence[int], longest: int, most: int | None = None, candidates: int = 16) -> int:
    """
    Chooses how long shared rows are, between the longest sentence and twice that: longer rows have less of a rest that
    no sentence fits in, but each position attends to more.

    Args:
        lengths (`Sequence[int]`): tokens of each sentence.
        longest (`int`): the shortest row allowed, at least the longest sentence.
        most (`int`, *optional*): the longest row allowed, where that is less than twice the shortest.
        candidates (`int`, *optional*, defaults to 16): lengths that are tried, at even distances.

    Returns:
        `int`: positions of a row.
    """

    def work(width: int) -> float:
        rows = 1 + max(row for row, _ in pack(lengths, width))
        return rows * width * (1 + width / _LENGTH_OF_TWICE_THE_WORK)

    longer = (longest + longest * step // candidates for step in range(1, candidates + 1))
    return min((longest, *(width for width in longer if most is None or width <= most)), key=work)


def pack(lengths: Sequence[int], width: int) -> list[tuple[int, int]]:
    """
    Puts sentences into few rows by best-fit decreasing: the longest first, each where the least is left over.

    Args:
        lengths (`Sequence[int]`): tokens of each sentence, at most `width`.
        width (`int`): tokens of a row.

    Returns:
        `list` of `tuple`: row and first position of each sentence.
    """
    places, rows = [(0, 0)] * len(lengths), 0
    room: list[tuple[int, int]] = []  # tokens left and row, sorted, so that a step costs a bisection
    for sentence in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        length = lengths[sentence]
        fitting = bisect_left(room, (length,))
        if fitting < len(room):
            left, row = room.pop(fitting)
        else:
            left, row, rows = width, rows, rows + 1
        places[sentence] = (row, width - left)
        if left > length:
            insort(room, (left - length, row))
    return places
