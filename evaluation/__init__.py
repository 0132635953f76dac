"""Evaluation of models by metrics that can be compared across tokenizers and languages."""

from .bitext import evaluate_bitext
from .perplexity import perplexity
from .retrieval import retrieval_recall

__all__ = ["evaluate_bitext", "perplexity", "retrieval_recall"]
