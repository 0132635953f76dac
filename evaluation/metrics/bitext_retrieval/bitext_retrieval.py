"""Bitext retrieval as an `evaluate` module: `evaluate.load("evaluation/metrics/bitext_retrieval")`."""

import datasets
import evaluate
import torch

from sensia.evaluation.retrieval import retrieval_metrics

_DESCRIPTION = """
Whether each sentence's vector finds its translation's among all: recall@1, recall@5 and mean reciprocal rank by
cosine, and recall@1 with a ratio margin, whose complement is the error rate of xsim. Exact, in both directions; a
translation that ties with another candidate stands behind it.
"""

_CITATION = """
@inproceedings{artetxe2019margin,
  title     = {Margin-based Parallel Corpus Mining with Multilingual Sentence Embeddings},
  author    = {Artetxe, Mikel and Schwenk, Holger},
  booktitle = {Proceedings of the 57th Annual Meeting of the Association for Computational Linguistics},
  year      = {2019},
  url       = {https://aclanthology.org/P19-1309}
}
"""

_INPUTS = """
Args:
    predictions (`list` of `list[float]`): vectors of N sentences.
    references (`list` of `list[float]`): vectors of their translations, in the same order.
    neighbours (`int`, *optional*, defaults to 4): neighbours of the margin.

Returns:
    `recall@1`, `recall@5`, `mrr`, `margin_recall@1`: means of both directions, and each with `_source_to_target` and
    `_target_to_source`; all in [0, 1].
"""


class BitextRetrieval(evaluate.Metric):
    """Bitext retrieval; see the module's description."""

    def _info(self) -> evaluate.MetricInfo:
        vector = datasets.Sequence(datasets.Value("float32"))
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": vector, "references": vector}),
        )

    def _compute(self, predictions, references, neighbours: int = 4) -> dict[str, float]:
        return retrieval_metrics(torch.tensor(predictions), torch.tensor(references), neighbours=neighbours)
