"""The `evaluate` modules, loaded by path as their users load them."""

import math

import evaluate
import pytest
import torch

from sensia.evaluation import perplexity
from sensia.evaluation.perplexity import negative_log_likelihood
from sensia.evaluation.retrieval import retrieval_metrics


def test_bitext_retrieval_is_that_of_the_package():
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(30, 4, generator=generator)
    target = source + torch.randn(30, 4, generator=generator)
    metric = evaluate.load("evaluation/metrics/bitext_retrieval")
    found = metric.compute(predictions=source.numpy(), references=target.numpy())
    assert found == pytest.approx(retrieval_metrics(source, target))
    assert 0 < found["recall@1"] < 1


def test_bitext_retrieval_takes_batches_and_neighbours():
    source = torch.eye(4)
    metric = evaluate.load("evaluation/metrics/bitext_retrieval")
    for row in range(0, 4, 2):
        metric.add_batch(predictions=source[row : row + 2].numpy(), references=source[row : row + 2].numpy())
    assert metric.compute(neighbours=2)["margin_recall@1"] == 1


def test_bits_per_byte_are_those_of_perplexity(gpt2, tokenizer):
    texts = ["Simpan dokumen.", "naïve café, 世界"]
    nll, tokens = negative_log_likelihood(gpt2, tokenizer, texts)
    metric = evaluate.load("evaluation/metrics/bits_per_byte")
    found = metric.compute(predictions=nll.tolist(), tokens=tokens.tolist(), references=texts)
    assert found == pytest.approx(perplexity(gpt2, tokenizer, texts), rel=1e-5)
    assert found["bits_per_byte"] == pytest.approx(
        nll.sum().item() / math.log(2) / sum(len(text.encode()) for text in texts)
    )
