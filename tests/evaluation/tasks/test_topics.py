import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from sensia.evaluation.sentence_vectors import sentence_vectors
from sensia.evaluation.tasks.topics import measure_topics, probe

SOURCE = ["open the file", "save the file", "close the file", "the virus spreads", "a virus kills", "virus tests"]
TARGET = ["buka berkas", "simpan berkas", "tutup berkas", "virus menyebar", "virus membunuh", "uji virus"]
TOPICS = ["computers"] * 3 + ["health"] * 3
TEST = {"source": ["the file", "the virus", "no file"], "target": ["berkas itu", "virus itu", "tanpa berkas"]}
TEST_TOPICS = ["computers", "health", "computers"]


def test_a_probe_is_logistic_regression_on_standardised_vectors():
    generator = np.random.default_rng(0)
    topics = np.array(list("abc") * 20)
    means = {"a": 0.0, "b": 1.5, "c": 3.0}
    vectors = generator.normal(size=(60, 4)) * 5 + np.array([means[topic] for topic in topics])[:, None] * 5 + 7
    others = generator.normal(size=(30, 4)) * 5 + 14
    middle, spread = vectors.mean(0), vectors.std(0)
    plain = LogisticRegression(max_iter=1000).fit((vectors - middle) / spread, topics)
    assert probe(vectors, topics, others).tolist() == plain.predict((others - middle) / spread).tolist()


def test_transfer_learns_on_the_source_and_is_tested_on_the_target(backpack, tokenizer):
    found = measure_topics(backpack, tokenizer, {"source": SOURCE, "target": TARGET}, TOPICS, TEST, TEST_TOPICS)
    vectors = {
        name: sentence_vectors(backpack, tokenizer, texts)["sense"].numpy()
        for name, texts in {"source": SOURCE, "target": TARGET, "asked": TEST["target"]}.items()
    }
    for name, learned in (("transfer", "source"), ("target", "target")):
        said = probe(vectors[learned], TOPICS, vectors["asked"])
        expected = np.mean([topic == right for topic, right in zip(said, TEST_TOPICS, strict=True)])
        assert found["metrics"][f"sense_accuracy_{name}"] == pytest.approx(expected)
    assert len(found["metrics"]) == 9


def test_chance_is_saying_the_most_frequent_training_topic(gpt2, tokenizer):
    train = {"source": [*SOURCE, "file"], "target": [*TARGET, "berkas"]}
    found = measure_topics(gpt2, tokenizer, train, [*TOPICS, "computers"], TEST, TEST_TOPICS)
    assert set(found["chance"].values()) == {2 / 3}
    assert set(found["metrics"]) == set(found["chance"]) and len(found["chance"]) == 6


def test_frozen_means_frozen(gpt2, tokenizer):
    before = {name: weight.clone() for name, weight in gpt2.state_dict().items()}
    measure_topics(gpt2, tokenizer, {"source": SOURCE, "target": TARGET}, TOPICS, TEST, TEST_TOPICS)
    assert all(torch.equal(before[name], weight) for name, weight in gpt2.state_dict().items())


def test_what_does_not_match_is_refused(gpt2, tokenizer):
    with pytest.raises(ValueError, match="as many sentences"):
        measure_topics(gpt2, tokenizer, {"source": SOURCE, "target": TARGET[:-1]}, TOPICS, TEST, TEST_TOPICS)
    with pytest.raises(ValueError, match="two topics"):
        probe(np.ones((2, 2)), ["a", "a"], np.ones((1, 2)))
