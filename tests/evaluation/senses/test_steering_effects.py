import math

import pytest
import torch

from modeling_sensia.steering import TowardsTopic, find_words
from sensia.evaluation.senses.steering_effects import (
    TopicSetting,
    bootstrap_interval,
    measure_bias,
    measure_topic,
    topic_settings,
)

# Words of the small tokenizer, one token each.
PAIRS = [("is", "are"), ("in", "on"), ("a", "the")]


def words_of_one_token(tokenizer, words):
    return [word for word in words if len(tokenizer(f"a {word}")["input_ids"]) == len(tokenizer("a")["input_ids"]) + 1]


def test_a_topic_is_compared_with_every_control_at_every_strength():
    settings = topic_settings((5, 7), (9,), [0.5, 2.0])
    assert list(settings) == [
        "none", "temperature 0.7", "logit bias 2", "logit bias 4", "topic 0.5", "topic 2",
        "other topic 0.5", "other topic 2",
    ]  # fmt: skip
    assert settings["none"] == TopicSetting()
    assert settings["logit bias 4"].options == {"sequence_bias": [[[5], 4.0], [[7], 4.0]]}
    assert settings["other topic 2"].edits == [TowardsTopic((9,), 2.0)]


def test_an_interval_holds_the_mean_and_narrows_with_more_values():
    values = [float(n % 7) for n in range(70)]
    mean, low, high = bootstrap_interval(values, seed=0)
    assert mean == sum(values) / 70 and low < mean < high
    # Two standard errors to either side, by the formula of the normal distribution.
    error = (sum((value - mean) ** 2 for value in values) / 70 / 70) ** 0.5
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert bootstrap_interval(values[:7], seed=0)[2] - bootstrap_interval(values[:7], seed=0)[1] > 2 * (high - low)


def test_a_strong_bias_on_a_word_makes_texts_repeat_it(backpack, tokenizer):
    (word,) = find_words(tokenizer, words_of_one_token(tokenizer, ["the"]))
    measured = {"steered": [word], "others": [0], "counted": {"the"}, "texts": 3, "tokens": 6}
    setting = TopicSetting(options={"sequence_bias": [[[word], 100.0]]})
    result = measure_topic(backpack, tokenizer, setting, **measured)
    assert result["text"] == " the" * 6
    assert result["counted per 1000 words"] == [1000.0] * 3
    assert result["words counted"].keys() == {"the"} and result["words counted"]["the"] > 0
    assert result["steered words per 1000 tokens"][0] == pytest.approx(1000)
    assert result["repeated"][0] == pytest.approx(1 - 1 / 5)
    with torch.no_grad():
        ids = torch.tensor([[tokenizer.eos_token_id, *tokenizer("The")["input_ids"], *[word] * 6]])
        losses = torch.nn.functional.cross_entropy(backpack(ids).logits[0, -7:-1], ids[0, -6:])
    assert result["perplexity"][0] == pytest.approx(math.exp(losses), rel=1e-4)


def test_a_bias_that_is_taken_out_of_nothing_is_that_of_the_model(backpack, tokenizer):
    pairs = [pair for pair in PAIRS if len(words_of_one_token(tokenizer, pair)) == 2]
    words = words_of_one_token(tokenizer, ["document", "file", "and", "of"])[:2]
    result = measure_bias(backpack, tokenizer, words, pairs, prompts=["The {}"])
    first, second = find_words(tokenizer, pairs[0])
    ratios = []
    for word in words:
        ids = torch.tensor([[tokenizer.eos_token_id, *tokenizer(f"The {word}")["input_ids"]]])
        with torch.no_grad():
            logits = backpack(ids).logits[0, -1]
        ratios.append(math.exp(abs(float(logits[first] - logits[second]))))
    assert result["none"]["ratio"][0] == pytest.approx(sum(ratios) / len(ratios), rel=1e-5)
    assert [row for row in result if row.startswith("sense")] == [f"sense {k}" for k in range(4)]
