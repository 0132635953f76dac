"""Prediction of the next token of a text: the likeliest tokens, and what each sense of each earlier token adds to one.

Shapes: T tokens of the text with the end-of-text token before them, K senses, D the hidden size, V tokens.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from modeling_sensia import BackpackForCausalLM
from sensia.evaluation.senses.inspection import encode_text, evaluating, token_text, token_texts


@dataclass(frozen=True)
class NextToken:
    """
    What [`explain_next_token`] found.

    Args:
        tokens (`list[dict]`): `id` and `token` (text) of the T tokens, the end-of-text token first.
        candidates (`list[dict]`): the likeliest next tokens, each with `id`, `token`, `logit` and `probability`.
        chosen (`dict`): the token that is explained, in the same form.
        weights (`torch.Tensor` [K, T]): weight C of each sense of each token in the mixture.
        sense_logits (`torch.Tensor` [K, T]): S · W[y], the logit of the chosen token y by one sense alone.
    """

    tokens: list[dict[str, Any]]
    candidates: list[dict[str, Any]]
    chosen: dict[str, Any]
    weights: Tensor
    sense_logits: Tensor

    @property
    def contributions(self) -> Tensor:
        """`torch.Tensor` [K, T]: weight times logit of each sense; they add up to the logit of the chosen token."""
        return self.weights * self.sense_logits

    def strongest(self, top: int) -> list[dict[str, Any]]:
        """
        The senses that carry the prediction.

        Args:
            top (`int`): how many; fewer if there are fewer.

        Returns:
            `list[dict]`: the largest contributions first, each with `place` (index into `tokens`), `sense`, `weight`,
            `sense_logit` and `contribution`.
        """
        values = self.contributions
        order = values.flatten().argsort(descending=True, stable=True)[:top].tolist()
        places = [divmod(one, values.shape[1]) for one in order]
        return [
            {
                "place": place,
                "sense": sense,
                "weight": float(self.weights[sense, place]),
                "sense_logit": float(self.sense_logits[sense, place]),
                "contribution": float(values[sense, place]),
            }
            for sense, place in places
        ]


@torch.inference_mode()
def explain_next_token(
    model: BackpackForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    text: str,
    *,
    token_id: int | None = None,
    top: int = 8,
) -> NextToken:
    """
    Predicts the token after a text, and divides the logit of one token by senses.

    The logit of a token y after T tokens is a sum, sum_k sum_j C[k, T, j] (S[k, j] · W[y]) (arXiv 2305.16765). Edits
    of senses that are active are part of it. A text that is longer than the model's positions is cut at its beginning.

    Args:
        model ([`BackpackForCausalLM`]): the model.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer, with an end-of-text token.
        text (`str`): the text; an empty one asks for the first token of a text.
        token_id (`int`, *optional*): the token y; by default the likeliest.
        top (`int`, *optional*, defaults to 8): number of candidates.

    Returns:
        [`NextToken`]: tensors in float32 on the CPU.

    Raises:
        ValueError: if the tokenizer has no end-of-text token or cannot encode the text, if `top` is below 1, or if
            `token_id` is no token.
    """
    if top < 1:
        raise ValueError(f"`top` must be at least 1, got {top}.")
    if token_id is not None and not 0 <= token_id < len(tokenizer):
        raise ValueError(f"`token_id` must be one of the {len(tokenizer):,} tokens, got {token_id}.")
    ids = prompt_ids(tokenizer, text, model.config.max_position_embeddings)
    inputs = torch.tensor(ids, device=model.device)  # [T]
    with evaluating(model):
        outputs = model(
            inputs[None], use_cache=False, output_senses=True, output_contextualization=True, logits_to_keep=1
        )
    logits = outputs.logits[0, -1, : len(tokenizer)].float()  # [V]
    log_total = logits.logsumexp(-1)
    named = [_named(tokenizer, one, logits, log_total) for one in logits.topk(min(top, len(logits))).indices.tolist()]
    chosen = named[0] if token_id is None else _named(tokenizer, token_id, logits, log_total)
    weights = outputs.contextualization[0, :, -1].float()  # [K, T]
    sense_logits = (outputs.senses[0] @ model.lm_head.weight[chosen["id"]]).float()  # [K, T]
    texts = token_texts(tokenizer, ids)
    tokens = [{"id": one, "token": token} for one, token in zip(ids, texts, strict=True)]
    return NextToken(tokens, named, chosen, weights.cpu(), sense_logits.cpu())


def prompt_ids(tokenizer: PreTrainedTokenizerBase, text: str, positions: int) -> list[int]:
    """
    Token ids of a text, with the end-of-text token before them.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): a tokenizer with an end-of-text token.
        text (`str`): the text; may be empty.
        positions (`int`): largest number of ids; the first tokens of a longer text are left out.

    Raises:
        ValueError: if there is no end-of-text token, or the tokenizer cannot encode the text.
    """
    if tokenizer.eos_token_id is None:
        raise ValueError("The tokenizer has no end-of-text token, which is the context of a text's first token.")
    ids = encode_text(tokenizer, text) if text else []
    return [tokenizer.eos_token_id, *ids[max(len(ids) - positions + 1, 0) :]]


def _named(tokenizer: PreTrainedTokenizerBase, token_id: int, logits: Tensor, log_total: Tensor) -> dict[str, Any]:
    logit = logits[token_id]
    probability = (logit - log_total).exp()
    return {
        "id": token_id,
        "token": token_text(tokenizer, token_id),
        "logit": float(logit),
        "probability": float(probability),
    }
