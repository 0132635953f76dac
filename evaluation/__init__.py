"""Evaluation of models by metrics that can be compared across tokenizers and languages."""

from sensia.evaluation.bitext import evaluate_bitext
from sensia.evaluation.perplexity import perplexity
from sensia.evaluation.retrieval import retrieval_recall

__all__ = ["evaluate_bitext", "perplexity", "retrieval_recall"]
