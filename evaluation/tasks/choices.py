"""Multiple choice by likelihood: the answer with the highest likelihood after a context."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from tqdm.auto import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sensia.corpora.batching import pad_rows
from sensia.evaluation.intervals import bootstrap_mean
from sensia.evaluation.sentence_vectors import is_backpack
from sensia.evaluation.word_pairs import in_running_text


@dataclass(frozen=True)
class Choice:
    """
    A multiple-choice question.

    Args:
        context (`str`): the text before the answer.
        answers (`tuple[str, ...]`): two answers or more. A space is put before an answer that does not begin with
            white space, except in scripts without spaces between words.
        label (`int`): index of the right answer.
        neutral (`str`, *optional*, defaults to `""`): a context without information about the answer, for the answer's
            prior.
    """

    context: str
    answers: tuple[str, ...]
    label: int
    neutral: str = ""

    def __post_init__(self):
        if len(self.answers) < 2 or not all(self.answers):
            raise ValueError(f"A question needs at least two answers, none empty, got {self.answers!r}.")
        if not 0 <= self.label < len(self.answers):
            raise ValueError(f"`label` must be the place of one of {len(self.answers)} answers, got {self.label!r}.")


def measure_choices(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    items: Sequence[Choice],
    *,
    tokens_per_batch: int | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """
    Measures accuracy of multiple choice with three scores of an answer y after a context x.

    - `accuracy`: log p(y | x), summed over the tokens of y;
    - `accuracy_per_byte`: log p(y | x) divided by the UTF-8 bytes of y, so that long answers have no disadvantage;
    - `accuracy_pmi`: log p(y | x) - log p(y | neutral context), the gain by the context over the answer's prior
      (Holtzman et al. 2021, https://arxiv.org/abs/2104.08315).

    Context and answer are tokenised separately, so no token spans both. No end-of-text token is put before the
    context, as in the `lm_eval` harness; an empty context is replaced by the end-of-text token. An answer is right if
    its score is higher than that of every other; ties are wrong.

    Args:
        model (`PreTrainedModel`): a causal language model; evaluated without dropout.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer, with an end-of-text token.
        items (`Sequence[Choice]`): the questions.
        tokens_per_batch (`int`, *optional*): padded tokens that go through the model at once; by default 1,024 on a
            CPU, whose cache the logits of more would not fit, and 8,192 elsewhere.
        progress (`bool`, *optional*, defaults to `False`): show a progress bar.

    Returns:
        `dict`: `metrics`; `intervals` of each, 95 % bootstrap over the questions; `chance`, the accuracy of guessing;
        `answers`, for each metric the index of the chosen answer of each question; `cut`, the number of likelihoods
        whose context was truncated on the left to the model's positions.

    Raises:
        ValueError: if there is no question, or an answer is longer than the model's positions.
    """
    if len(items) == 0:
        raise ValueError("There is no question to answer.")
    asked = [(item.context, answer) for item in items for answer in item.answers]
    priors = [(item.neutral, answer) for item in items for answer in item.answers]
    found, cut = answer_log_likelihoods(model, tokenizer, [*asked, *priors], tokens_per_batch, progress)
    conditional, prior = found.split(len(asked))
    sizes = torch.tensor([len(answer.strip().encode()) for _, answer in asked])
    scores = {
        "accuracy": conditional,
        "accuracy_per_byte": conditional / sizes,
        "accuracy_pmi": conditional - prior,
    }
    counts = [len(item.answers) for item in items]
    rows = {name: list(score.split(counts)) for name, score in scores.items()}
    right = {name: _right(by_item, items) for name, by_item in rows.items()}
    chance = sum(1 / count for count in counts) / len(counts)
    return {
        "metrics": {name: sum(values) / len(values) for name, values in right.items()},
        "intervals": {name: bootstrap_mean(values) for name, values in right.items()},
        "chance": dict.fromkeys(right, chance),
        "answers": {name: [int(row.argmax()) for row in by_item] for name, by_item in rows.items()},
        "cut": cut,
    }


def _right(scores: list[torch.Tensor], items: Sequence[Choice]) -> list[float]:
    """1 for each question whose right answer has a higher score than every other."""
    return [float((row[item.label] > row).sum() == len(row) - 1) for row, item in zip(scores, items, strict=True)]


@torch.inference_mode()
def answer_log_likelihoods(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[tuple[str, str]],
    tokens_per_batch: int | None = None,
    progress: bool = False,
) -> tuple[torch.Tensor, int]:
    """
    Log-likelihoods of answers after contexts, as [`measure_choices`] defines them.

    Args:
        model (`PreTrainedModel`), tokenizer (`PreTrainedTokenizerBase`): as there.
        requests (`Sequence`): R pairs of context and answer. Repeated pairs are computed once.
        tokens_per_batch (`int`, *optional*): padded tokens that go through the model at once; by default 1,024 on a
            CPU, whose cache the logits of more would not fit, and 8,192 elsewhere.
        progress (`bool`, *optional*, defaults to `False`): show a progress bar.

    Returns:
        `tuple`: the sums over each answer's tokens in nats, `torch.Tensor` of `float64` [R], and the number of
        distinct requests whose context was truncated.
    """
    different = list(dict.fromkeys(requests))
    positions = model.config.max_position_embeddings
    rows, cut = _request_rows(tokenizer, different, positions)
    trees = _trees(rows, positions if is_backpack(model) else 0)
    order = sorted(range(len(trees)), key=lambda tree: trees[tree].length, reverse=True)
    tokens_per_batch = tokens_per_batch or (1024 if model.device.type == "cpu" else 8192)
    sums = torch.zeros(len(rows), dtype=torch.float64)
    was_training = model.training
    model.eval()
    done = 0
    tokens = {token for context, answer in rows for token in (*context, *answer)}
    with (
        _senses_at_hand(model, tokens),
        tqdm(total=len(rows), desc="Answers", unit="answer", disable=not progress) as bar,
    ):
        while done < len(order):
            number = max(tokens_per_batch // trees[order[done]].length, 1)
            chosen = [trees[tree] for tree in order[done : done + number]]
            requests_here = [request for tree in chosen for request in tree.requests]
            sums[requests_here] = _answer_sums(model, chosen)
            done += number
            bar.update(len(requests_here))
    model.train(was_training)
    place = {request: row for row, request in enumerate(different)}
    return sums[[place[request] for request in requests]], cut


@contextmanager
def _senses_at_hand(model, tokens: Iterable[int]) -> Iterator[None]:
    """Gives a Backpack a sense table of these tokens, unless it has one or cannot make one."""
    if not is_backpack(model) or model.backpack.sense_table is not None or not model.backpack.can_precompute_senses:
        yield
        return
    model.precompute_senses(tokens)
    try:
        yield
    finally:
        model.backpack.sense_table = None


@dataclass
class _Tree:
    """A context and its answers, concatenated in one row: an answer attends to the context and to itself."""

    context: list[int]
    answers: list[list[int]]
    requests: list[int]

    @property
    def length(self) -> int:
        # The last token of an answer is predicted, not read.
        return len(self.context) + sum(len(answer) - 1 for answer in self.answers)


def _trees(rows: list[tuple[list[int], list[int]]], most: int) -> list[_Tree]:
    """Groups requests with the same context, up to `most` tokens."""
    trees: list[_Tree] = []
    newest: dict[tuple[int, ...], _Tree] = {}
    for request, (context, answer) in enumerate(rows):
        tree = newest.get(tuple(context))
        if tree is None or tree.length + len(answer) - 1 > most:
            tree = newest[tuple(context)] = _Tree(context, [], [])
            trees.append(tree)
        tree.answers.append(answer)
        tree.requests.append(request)
    return trees


def _request_rows(
    tokenizer, requests: list[tuple[str, str]], positions: int
) -> tuple[list[tuple[list[int], list[int]]], int]:
    """Token ids of each context and answer; a context is truncated on the left if both do not fit."""
    if tokenizer.eos_token_id is None:
        raise ValueError("The tokenizer has no end-of-text token, which stands in for an empty context.")
    contexts = _tokens(tokenizer, [context for context, _ in requests])
    answers = _tokens(tokenizer, [_continuation(answer) for _, answer in requests])
    rows, cut = [], 0
    for (_, text), context, answer in zip(requests, contexts, answers, strict=True):
        # The last token of an answer is predicted, not read.
        if len(answer) > positions:
            raise ValueError(f"An answer of {len(answer)} tokens does not fit into {positions} positions: {text!r}.")
        context = context or [tokenizer.eos_token_id]
        room = positions + 1 - len(answer)
        cut += len(context) > room
        rows.append((context[-room:], answer))
    return rows, cut


def _tokens(tokenizer, texts: list[str]) -> list[list[int]]:
    return (
        tokenizer(texts, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
        if texts
        else []
    )


def _continuation(answer: str) -> str:
    return answer if answer[0].isspace() else in_running_text(answer)


def _lay_out(tree: _Tree) -> tuple[list[int], list[int], list[int], list[int]]:
    """Id, branch (0 for the context) and position of each token of a row; places that predict answer tokens."""
    stem = len(tree.context)
    ids, branches, positions, places = list(tree.context), [0] * stem, list(range(stem)), list[int]()
    for branch, answer in enumerate(tree.answers, 1):
        places += [stem - 1, *range(len(ids), len(ids) + len(answer) - 1)]
        ids += answer[:-1]
        branches += [branch] * (len(answer) - 1)
        positions += range(stem, stem + len(answer) - 1)
    return ids, branches, positions, places


def _answer_sums(model, trees: list[_Tree]) -> torch.Tensor:
    """Log-likelihoods of all A answers of the trees, in their order, [A]."""
    ids, branches, positions, places = zip(*map(_lay_out, trees), strict=True)
    rows = [row for row, of_row in enumerate(places) for _ in of_row]
    answers = [answer for tree in trees for answer in tree.answers]
    targets = [(number, token) for number, answer in enumerate(answers) for token in answer]
    row, place = torch.tensor([rows, [place for of_row in places for place in of_row]], device=model.device)
    owner, target = torch.tensor(targets, device=model.device).T  # [T] each
    laid_out = (pad_rows(ids, fill=0), pad_rows(branches, fill=-1)[0], pad_rows(positions, fill=0)[0])
    scores = _scores(model, *laid_out, row, place)
    found = scores.float().log_softmax(-1).gather(1, target[:, None]).squeeze(1).double()  # [T] of [T, V]
    return found.new_zeros(len(answers)).index_add_(0, owner, found).cpu()


def _scores(model, ids_and_mask, branches, positions, row, place) -> torch.Tensor:
    """Logits of the next token at places [T] of rows [T], [T, V]."""
    ids, mask = (tensor.to(model.device) for tensor in ids_and_mask)  # [B, L]
    # Logits are not computed at positions before the answers of all rows.
    first = int(place.min())
    keep = ids.shape[1] - first
    if not is_backpack(model):  # rows of one answer
        outputs = model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=keep)
        return outputs.logits[row, place - first]
    branches = branches.to(model.device)  # [B, L], -1 for pads
    causal = torch.ones(2 * ids.shape[1:], dtype=torch.bool, device=model.device).tril()
    sees = (branches[:, :, None] == branches[:, None, :]) | (branches[:, None, :] == 0)  # [B, L, L]
    outputs = model.backpack(
        input_ids=ids,
        attention_mask=(sees & causal)[:, None],
        position_ids=positions.to(model.device),
        use_cache=False,
        positions_to_keep=keep,
    )
    return model.lm_head(outputs.last_hidden_state[row, place - first])
