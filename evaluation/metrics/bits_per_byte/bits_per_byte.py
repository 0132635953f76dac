"""Bits per byte as an `evaluate` module: `evaluate.load("evaluation/metrics/bits_per_byte")`."""

import datasets
import evaluate

from sensia.evaluation.perplexity import perplexity_from_sums

_DESCRIPTION = """
Perplexity and bits per byte from the summed negative log-likelihoods of texts. Bits per byte divide by the UTF-8 bytes
of the texts, so that models with different tokenizers compare.
"""

_INPUTS = """
Args:
    predictions (`list[float]`): negative log-likelihood of each text, summed over its tokens, in nats.
    tokens (`list[int]`): number of tokens that each was summed over.
    references (`list[str]`): the texts.

Returns:
    `perplexity`, `bits_per_byte` and `tokens`.
"""


class BitsPerByte(evaluate.Metric):
    """Bits per byte; see the module's description."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_INPUTS,
            features=datasets.Features(
                {
                    "predictions": datasets.Value("float64"),
                    "tokens": datasets.Value("int64"),
                    "references": datasets.Value("string"),
                }
            ),
        )

    def _compute(self, predictions, tokens, references) -> dict[str, float]:
        size = sum(len(text.encode("utf-8")) for text in references)
        return perplexity_from_sums(sum(predictions), sum(tokens), size)
