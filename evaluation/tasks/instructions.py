"""Likelihood of held-out answers of instruction pairs."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional as F
from tqdm.auto import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from modeling_sensia.sentence_rows import batches_by_length
from sensia.corpora.batching import pad_rows
from sensia.corpora.instructions import Conversation, answer_ids, give_chat_template
from sensia.evaluation.intervals import bootstrap_ratio

_Row = tuple[list[int], list[int]]  # ids of what stands before an answer, and of the answer


def measure_instructions(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    conversations: Sequence[Conversation],
    *,
    tokens_per_batch: int = 2048,
    progress: bool = False,
) -> dict[str, Any]:
    """
    Measures the likelihood of every answer after its own question, and after that of another conversation.

    Both are in bits per UTF-8 byte of the answers, so models with different tokenizers can be compared. The difference
    is what the model uses of the question: a model that only writes the language has none. The end-of-text token that
    closes an answer is not predicted.

    Args:
        model (`PreTrainedModel`): a causal language model; evaluated without dropout.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer; it gets our chat template if it has none.
        conversations (`Sequence`): as [`sensia.corpora.read_instructions`] gives them; each answer counts.
        tokens_per_batch (`int`, *optional*, defaults to 2048): padded tokens that go through the model at once.
        progress (`bool`, *optional*, defaults to `False`): show a progress bar.

    Returns:
        `dict`: `metrics`, `answer_bits_per_byte` and `other_question_bits_per_byte`; `intervals` of each, 95 %
        bootstrap over the answers; `chance`, empty; and `cut`, the number of answers whose question was cut on the
        left to the model's positions.

    Raises:
        ValueError: if there is no other question, or an answer is longer than the model's positions.
    """
    give_chat_template(tokenizer)
    own, texts = _answers(tokenizer, conversations)
    positions = model.config.max_position_embeddings
    shortened = [_shorten(row, positions) for row in own]
    others = [_shorten((question, answer), positions) for question, (_, answer) in zip(_others(own), own, strict=True)]
    nats = _answer_nats(model, [*shortened, *others], tokens_per_batch, progress)
    sizes = [len(text.encode()) for text in texts]
    named = dict(zip(("answer_bits_per_byte", "other_question_bits_per_byte"), nats.split(len(own)), strict=True))
    bits = {name: (values / math.log(2)).tolist() for name, values in named.items()}
    return {
        "metrics": {name: sum(values) / sum(sizes) for name, values in bits.items()},
        "intervals": {name: bootstrap_ratio(values, sizes) for name, values in bits.items()},
        "chance": {},
        "cut": sum(row != whole for row, whole in zip(shortened, own, strict=True)),
    }


def _answers(
    tokenizer: PreTrainedTokenizerBase, conversations: Sequence[Conversation]
) -> tuple[list[_Row], list[str]]:
    rows, texts = [], []
    for turns in conversations:
        for place, turn in enumerate(turns):
            if turn["role"] != "assistant" or not turn["content"].strip():
                continue
            question, answer = answer_ids(tokenizer, turns[: place + 1])
            rows.append((question, answer[:-1] if answer[-1] == tokenizer.eos_token_id else answer))
            texts.append(turn["content"].strip())
    return rows, texts


def _others(rows: Sequence[_Row]) -> list[list[int]]:
    """For each answer the next question, around the end, that is another one."""
    questions = [question for question, _ in rows]
    if len({tuple(each) for each in questions}) < 2:
        raise ValueError(f"Answers to at least two different questions are needed, got {len(rows)} answers to one.")
    number = len(questions)
    return [
        next(
            questions[other % number] for other in range(place + 1, place + number) if questions[other % number] != own
        )
        for place, own in enumerate(questions)
    ]


def _shorten(row: _Row, positions: int) -> _Row:
    question, answer = row
    room = positions + 1 - len(answer)  # the last token is predicted, not read
    if room < 1:
        raise ValueError(f"An answer of {len(answer)} tokens does not fit into {positions} positions.")
    return question[-room:], answer


@torch.inference_mode()
def _answer_nats(model: PreTrainedModel, rows: Sequence[_Row], tokens_per_batch: int, progress: bool) -> torch.Tensor:
    """Negative log-likelihood of each answer in nats, float64 [N]."""
    was_training = model.training
    model.eval()
    nats = torch.zeros(len(rows), dtype=torch.float64)
    lengths = [len(question) + len(answer) for question, answer in rows]
    with tqdm(total=len(rows), desc="Answers", unit="answer", disable=not progress) as bar:
        for numbers in batches_by_length(lengths, tokens_per_batch):
            batch = [rows[number] for number in numbers]
            nats[torch.as_tensor(numbers)] = _batch_nats(model, batch)
            bar.update(len(batch))
    model.train(was_training)
    return nats


def _batch_nats(model: PreTrainedModel, batch: Sequence[_Row]) -> torch.Tensor:
    ids, mask = (each.to(model.device) for each in pad_rows([[*q, *a] for q, a in batch], fill=0))  # [B, L + 1]
    logits = model(input_ids=ids[:, :-1], attention_mask=mask[:, :-1], use_cache=False).logits  # [B, L, V]
    starts = torch.tensor([len(question) for question, _ in batch], device=ids.device)[:, None]
    of_answer = (mask[:, 1:] != 0) & (torch.arange(1, ids.shape[1], device=ids.device) >= starts)  # [B, L]
    targets = ids[:, 1:].masked_fill(~of_answer, -100)
    nats = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=-100, reduction="none")
    return nats.view_as(targets).sum(1).double().cpu()
