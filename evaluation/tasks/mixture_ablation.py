"""The worth of the learned mixture as a score: what a model loses where the mixture is replaced."""

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from modeling_sensia import BackpackForCausalLM
from sensia.evaluation.senses.mixture import ablate_mixture


def measure_mixture_ablation(
    model: BackpackForCausalLM, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]
) -> dict[str, Any]:
    """
    Measures what each token costs more where the mixture of senses is replaced, as in the mixture ablation of the
    SENSIA paper (arXiv 2601.10310); see [`ablate_mixture`].

    Args:
        model ([`BackpackForCausalLM`]), tokenizer: the model.
        texts (`Sequence[str]`): N texts.

    Returns:
        `dict`: `metrics`, nats per token over the untouched model, by variant; `intervals`, 95 % bootstrap over texts;
        `chance`, empty; `tokens`, their number.

    Raises:
        ValueError: if there is no token to predict.
    """
    found = ablate_mixture(model, tokenizer, texts)
    variants = {name: each for name, each in found["variants"].items() if name != "untouched"}
    return {
        "metrics": {name: each["change"] for name, each in variants.items()},
        "intervals": {name: each["interval"] for name, each in variants.items()},
        "chance": {},
        "tokens": found["tokens"],
    }
