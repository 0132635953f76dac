"""Sense fine-tuning: a few sense vectors learn canonical examples (Hewitt et al. 2024, arXiv 2402.06155).

Weights never change. What is learned are vectors that are added to chosen senses, as an edit of [`Steering`].

Shapes: N chosen senses, U tokens, K senses, D the hidden size, L positions, V tokens of the vocabulary.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase

from .modeling_backpack import BackpackForCausalLM
from .sense_table import SenseEdit
from .sentence_rows import padded
from .steering_edits import AddToSenses

Loss = Callable[[], Tensor]


class Example(NamedTuple):
    """
    A canonical example: what the model is to say after a prompt.

    Args:
        prompt (`str`): such as `"The capital of France is"`.
        answer (`str`): such as `" Paris"`, with the space before it.
    """

    prompt: str
    answer: str


def edit_senses(
    model: BackpackForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[tuple[str, str]],
    texts: Sequence[str],
    *,
    senses_per_example: int = 10,
    epsilon: float = 1e-3,
    kl_weight: float = 1.0,
    learning_rate: float = 0.05,
    steps: int = 30,
) -> AddToSenses:
    """
    Teaches a model canonical examples by a few sense vectors (arXiv 2402.06155).

    For each example, the senses (x, k) of the tokens in its prompt are ordered by

        ||dA/dS[x, k]|| / (epsilon + ||dT/dS[x, k]||),

    where A is the negative log-likelihood of the answer and T that of plain text, and the first are chosen. So a sense
    is chosen if it matters to the example and not to other text. (The regulariser's own gradient is zero before the
    first step.) Vectors added to the chosen senses of all examples are then learned together by Adam, from

        mean of A over examples + kl_weight * KL(unedited || edited), mean over the tokens of the texts.

    Active edits are kept and built upon. The model is not changed.

    Args:
        model ([`BackpackForCausalLM`]): the model, in evaluation mode.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer, with an end-of-text token, which begins every text.
        examples (`Sequence`): prompt and answer of each example, as in [`Example`].
        texts (`Sequence[str]`): plain text on which the model is to stay as it is.
        senses_per_example (`int`, *optional*, defaults to 10): senses chosen for an example.
        epsilon (`float`, *optional*, defaults to 1e-3): gradient on plain text that makes no difference, above 0.
        kl_weight (`float`, *optional*, defaults to 1): weight of the divergence.
        learning_rate (`float`, *optional*, defaults to 0.05): of Adam.
        steps (`int`, *optional*, defaults to 30): steps of Adam, each on all examples and texts.

    Returns:
        [`AddToSenses`]: the edit.

    Raises:
        ValueError: if there is no example or no text, an answer or a prompt is empty, the model is in training mode or
            a number is out of range.
    """
    _check(model, examples, texts, senses_per_example, epsilon, steps)
    prompts = [_ids(tokenizer, prompt) for prompt, _ in examples]
    answers = [(_ids(tokenizer, prompt), _ids(tokenizer, answer)) for prompt, answer in examples]
    begin = tokenizer.eos_token_id
    plain = padded([[begin, *_ids(tokenizer, text)][: model.config.max_position_embeddings] for text in texts])
    with torch.inference_mode(False):
        told = [partial(_answer_loss, model, begin, [each]) for each in answers]
        chosen = choose_senses(model, prompts, told, partial(_text_loss, model, plain), senses_per_example, epsilon)
        with torch.no_grad():
            before = _log_probabilities(model, plain)  # [tokens, V]
        vectors = torch.zeros(len(chosen), model.config.hidden_size, device=model.device, requires_grad=True)
        optimizer = torch.optim.Adam([vectors], lr=learning_rate)
        for _ in range(steps):
            with _added(model, chosen, vectors), torch.enable_grad():
                divergence = (before.exp() * (before - _log_probabilities(model, plain))).sum(-1).mean()
                loss = _answer_loss(model, begin, answers) + kl_weight * divergence
                (vectors.grad,) = torch.autograd.grad(loss, [vectors])
            optimizer.step()
    token_ids, senses = zip(*chosen, strict=True)
    return AddToSenses(token_ids, senses, vectors.detach())


def choose_senses(
    model: BackpackForCausalLM,
    prompts: Sequence[list[int]],
    told: Sequence[Loss],
    plain: Loss,
    number: int,
    epsilon: float,
) -> list[tuple[int, int]]:
    """
    Chooses senses by the rule of [`edit_senses`].

    Args:
        model ([`BackpackForCausalLM`]): the model.
        prompts (`Sequence`): token ids of each example's prompt.
        told (`Sequence`): for each example a function that gives its loss.
        plain (function): gives the loss of plain text.
        number (`int`): senses of an example.
        epsilon (`float`): as in [`edit_senses`].

    Returns:
        `list`: distinct pairs of token and sense, in ascending order.
    """
    tokens = sorted({token for prompt in prompts for token in prompt})
    all_senses = [(token, sense) for token in tokens for sense in range(model.config.num_senses)]
    of_text = _gradient_norms(model, all_senses, plain)
    found = set()
    for prompt, loss in zip(prompts, told, strict=True):
        own = [(token, sense) for token, sense in all_senses if token in prompt]
        places = [place for place, (token, _) in enumerate(all_senses) if token in prompt]
        scores = _gradient_norms(model, own, loss) / (epsilon + of_text[places])
        found |= {own[place] for place in scores.topk(min(number, len(own))).indices.tolist()}
    return sorted(found)


def _gradient_norms(model: BackpackForCausalLM, senses: list[tuple[int, int]], loss: Loss) -> Tensor:
    vectors = torch.zeros(len(senses), model.config.hidden_size, device=model.device, requires_grad=True)
    with _added(model, senses, vectors), torch.enable_grad():
        (gradient,) = torch.autograd.grad(loss(), [vectors])
    return gradient.norm(dim=-1)


@contextmanager
def _added(model: BackpackForCausalLM, senses: list[tuple[int, int]], vectors: Tensor) -> Iterator[None]:
    """Adds vectors, of which a gradient is wanted, to senses, after the active edits."""
    backpack, earlier, table = model.backpack, model.backpack.sense_edit, model.backpack.sense_table
    tokens, numbers = zip(*senses, strict=True)
    edit = AddToSenses(tokens, numbers, torch.zeros_like(vectors)).prepare(backpack, vectors)
    backpack.sense_edit = edit if earlier is None else partial(_then, first=earlier, second=edit)
    backpack.sense_table = None
    try:
        yield
    finally:
        backpack.sense_edit, backpack.sense_table = earlier, table


def _then(ids: Tensor, senses: Tensor, first: SenseEdit, second: SenseEdit) -> Tensor:
    return second(ids, first(ids, senses))


def _answer_loss(model: BackpackForCausalLM, begin: int, answers: Sequence[tuple[list[int], list[int]]]) -> Tensor:
    """Mean over examples of the negative log-likelihood of the answer."""
    rows = [[begin, *prompt, *answer] for prompt, answer in answers]
    labels = [[-100] * (1 + len(prompt)) + answer for prompt, answer in answers]
    batch = padded(rows)
    wanted = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in labels], True, -100)  # [B, L]
    return _losses(model, batch, wanted).sum() / len(rows)


def _text_loss(model: BackpackForCausalLM, batch: dict[str, Tensor]) -> Tensor:
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    losses = _losses(model, batch, labels)
    return losses.sum() / (labels[:, 1:] != -100).sum()


def _losses(model: BackpackForCausalLM, batch: dict[str, Tensor], labels: Tensor) -> Tensor:
    """Negative log-likelihood of each label [tokens], 0 where there is none."""
    logits = _logits(model, batch)[:, :-1]  # [B, L - 1, V]
    return F.cross_entropy(logits.flatten(0, 1).float(), labels[:, 1:].flatten().to(logits.device), reduction="none")


def _log_probabilities(model: BackpackForCausalLM, batch: dict[str, Tensor]) -> Tensor:
    """Log-probabilities of the next token at every real position, [tokens, V]."""
    real = batch["attention_mask"].bool().to(model.device)
    return _logits(model, batch)[real].float().log_softmax(-1)


def _logits(model: BackpackForCausalLM, batch: dict[str, Tensor]) -> Tensor:
    return model(**{name: tensor.to(model.device) for name, tensor in batch.items()}, use_cache=False).logits


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def _check(model: Any, examples: Any, texts: Any, number: int, epsilon: float, steps: int):
    if model.training:
        raise ValueError("Editing needs a model in evaluation mode: call `eval()` first.")
    if not examples or not texts or isinstance(texts, str):
        raise ValueError(f"Editing needs at least one example and one text, got {len(examples)} and {len(texts)}.")
    for example in examples:
        if len(example) != 2 or not all(isinstance(part, str) and part.strip() for part in example):
            raise ValueError(f"An example must be a prompt and an answer, got {example!r}.")
    if number < 1 or steps < 1 or not epsilon > 0:
        given = f"{number}, {steps}, {epsilon}"
        raise ValueError(f"`senses_per_example` and `steps` must be at least 1, `epsilon` above 0, got {given}.")


__all__ = ["Example", "choose_senses", "edit_senses"]
