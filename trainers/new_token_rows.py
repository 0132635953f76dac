"""Embeddings of new tokens while a model learns: a learning rate and a first phase of their own."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from transformers.trainer_utils import unwrap_peft_model

from sensia.trainers.sensia_config import SensiaConfig


class NewTokenRows:
    """
    The rows of the word embeddings, which are the head's too, that belong to new tokens.

    Args:
        ids (`Sequence[int]`): ids of the new tokens; empty where the tokenizer is the base model's.
        args ([`SensiaConfig`]): `new_token_learning_rate` and `new_tokens_alone`.
        adapted (`bool`): whether an adapter is trained. The rows of old tokens are then those of the base.

    Raises:
        ValueError: if a setting for new tokens is given and there are none, or if the embeddings are sharded.
    """

    def __init__(self, ids: Sequence[int], args: SensiaConfig, adapted: bool):
        self.ids, self.args, self.adapted = torch.as_tensor(list(ids), dtype=torch.long), args, adapted
        #: Whether some gradients must be dropped.
        self.restricts = args.new_tokens_alone > 0 or (adapted and len(self.ids) > 0)
        given = args.new_token_settings()
        if given and not ids:
            raise ValueError(f"`{given[0]}` is for new tokens: set `target_tokenizer` to extend or replace.")
        if (given or (adapted and ids)) and (args.fsdp or args.deepspeed):
            named = given[0] if given else "target_tokenizer"
            raise ValueError(f"`{named}` needs the whole embeddings on each process here: do not shard the model.")

    def keep_only_gradients_of_new(self, model: nn.Module, step: int, max_steps: int):
        """
        Drops the gradients of all that must not learn yet: in the first steps of `new_tokens_alone` of everything but
        the new rows, and of the old rows wherever an adapter is trained.

        Args:
            model (`nn.Module`): the model, unwrapped.
            step (`int`): steps done.
            max_steps (`int`): steps of the run.
        """
        alone = step < self.args.new_tokens_alone * max_steps
        if not (alone or self.adapted):
            return
        embeddings = _embeddings(model)
        for parameter in model.parameters() if alone else ():
            if parameter is not embeddings:
                parameter.grad = None
        if embeddings.grad is not None:
            rows = embeddings.grad[self._ids(embeddings)].clone()  # [N, D]
            embeddings.grad.zero_()[self._ids(embeddings)] = rows

    def scale_updates(self, optimizer: Optimizer, model: nn.Module):
        """
        Makes an optimizer's update of the new rows that of `new_token_learning_rate`: AdamW's and SGD's are
        proportional to the rate. Nothing is changed without that setting.

        Args:
            optimizer (`torch.optim.Optimizer`): just made.
            model (`nn.Module`): the model, unwrapped.
        """
        if self.args.new_token_learning_rate is None:
            return
        embeddings, before = _embeddings(model), []
        ratio = self.args.new_token_learning_rate / self.args.learning_rate

        def remember(*_: Any):
            before.append(embeddings.detach()[self._ids(embeddings)])  # indexing copies

        @torch.no_grad()
        def scale(*_: Any):
            rows = before.pop()
            embeddings[self._ids(embeddings)] = rows + ratio * (embeddings[self._ids(embeddings)] - rows)

        optimizer.register_step_pre_hook(remember)
        optimizer.register_step_post_hook(scale)

    def _ids(self, embeddings: Tensor) -> Tensor:
        self.ids = self.ids.to(embeddings.device)
        return self.ids


def _embeddings(model: nn.Module) -> Tensor:
    return unwrap_peft_model(model).get_input_embeddings().weight  # [V, D]
