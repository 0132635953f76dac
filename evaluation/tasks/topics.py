"""Topic classification by a linear probe on frozen sentence vectors, within and across languages."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sensia.evaluation.intervals import bootstrap_mean
from sensia.evaluation.sentence_vectors import sentence_vectors


def measure_topics(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    train: Mapping[str, Sequence[str]],
    train_topics: Sequence[str],
    test: Mapping[str, Sequence[str]],
    test_topics: Sequence[str],
    *,
    progress: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """
    Measures the accuracy of a logistic regression of topics on frozen sentence vectors, for each kind of vector.

    Args:
        model (`PreTrainedModel`): a causal language model; by [`sentence_vectors`].
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer.
        train (`Mapping`): `source` and `target`, N parallel sentences in two languages.
        train_topics (`Sequence[str]`): their N topics.
        test (`Mapping`), test_topics (`Sequence[str]`): M test sentences in both languages, and their topics.
        progress (`bool`, *optional*, defaults to `False`): show a progress bar.
        options: `layer` and `pooling_temperature` of [`sentence_vectors`].

    Returns:
        `dict`: `metrics`, for each kind `{kind}_accuracy_transfer` (probe trained on the source language, tested on
        the target language), `{kind}_accuracy_target` (trained and tested on the target language) and
        `{kind}_accuracy_source`; `intervals`, 95 % bootstrap over the test sentences; `chance`, the accuracy of always
        predicting the most frequent training topic.

    Raises:
        ValueError: if sentences and topics differ in number, or there is only one topic.
    """
    for texts, topics in ((train, train_topics), (test, test_topics)):
        if not len(texts["source"]) == len(texts["target"]) == len(topics) > 0:
            counts = len(texts["source"]), len(texts["target"]), len(topics)
            raise ValueError(f"Expected as many sentences in both languages as topics, got {counts}.")
    sides = {
        (part, side): sentence_vectors(model, tokenizer, texts[side], progress=progress, **options)
        for part, texts in (("train", train), ("test", test))
        for side in ("source", "target")
    }
    common = Counter(train_topics).most_common(1)[0][0]
    chance = sum(topic == common for topic in test_topics) / len(test_topics)
    right = {}
    for kind in sides["train", "source"]:
        for name, learned, tested in (
            ("transfer", "source", "target"),
            ("target", "target", "target"),
            ("source", "source", "source"),
        ):
            vectors = sides["train", learned][kind].numpy(), sides["test", tested][kind].numpy()
            said = probe(vectors[0], train_topics, vectors[1])
            right[f"{kind}_accuracy_{name}"] = (said == np.asarray(test_topics)).astype(float).tolist()
    return {
        "metrics": {name: sum(values) / len(values) for name, values in right.items()},
        "intervals": {name: bootstrap_mean(values) for name, values in right.items()},
        "chance": dict.fromkeys(right, chance),
    }


def probe(vectors: np.ndarray, topics: Sequence[str], others: np.ndarray) -> np.ndarray:
    """
    Trains a linear probe and predicts the topics of other vectors.

    Features are standardised; scikit-learn's logistic regression has its default settings, without tuning.

    Args:
        vectors (`np.ndarray` [N, D]): training vectors.
        topics (`Sequence[str]`): their topics, at least two different ones.
        others (`np.ndarray` [M, D]): vectors to classify.

    Returns:
        `np.ndarray` of `str` [M].
    """
    if len(set(topics)) < 2:
        raise ValueError(f"A probe needs two topics or more, got {sorted(set(topics))}.")
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(vectors, topics).predict(others)
