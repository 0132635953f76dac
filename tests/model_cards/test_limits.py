from model_cards.limits import limit_sentences, source_share


def _text(results):
    return "\n".join(limit_sentences(results))


def test_a_small_model_is_called_small(results):
    assert "With 5.9 million parameters" in _text(results)


def test_a_model_of_ordinary_size_is_not(results):
    results["model"]["parameters"] = 170_000_000
    assert "million parameters" not in _text(results)


def test_fertility_is_given_with_its_ratio(results):
    results["fertility"] = {"source": 1.25, "target": 3.0}
    text = _text(results)
    assert "3.00 tokens on a word of Indonesian and 1.25 on a word of English, a ratio of 2.40" in text
    assert "takes more time in Indonesian" in text


def test_a_target_that_needs_no_more_tokens_is_not_called_slower(results):
    results["fertility"] = {"source": 1.5, "target": 1.5}
    text = _text(results)
    assert "a ratio of 1.00." in text
    assert "takes more time" not in text


def test_unknown_fertility_is_not_mentioned(results):
    results["fertility"] = {"source": 1.3, "target": None}
    assert "tokenizer" not in _text(results)


def test_shares_are_those_of_the_training_rows(results):
    # 3,000 + 1,000 technical and 2,500 religious rows of 10,000; those of the dev file do not count.
    results["datasets"][1]["sources"] = [{"name": "quran", "rows": 50_000}]
    text = _text(results)
    assert "40% of the training rows are software manuals" in text
    assert "25% of the training rows are religious texts" in text


def test_a_share_of_nothing_is_not_mentioned(results):
    results["datasets"][0]["sources"] = [{"name": "smeru", "rows": 10}]
    text = _text(results)
    assert "software manuals" not in text
    assert "religious" not in text


def test_a_share_without_known_sources_is_unknown(results):
    results["datasets"][0]["sources"] = []
    assert source_share(results, ("bible",)) is None


def test_a_tiny_share_is_not_rounded_to_nothing(results):
    results["datasets"][0]["sources"] = [{"name": "quran", "rows": 1}, {"name": "smeru", "rows": 999}]
    assert "Less than 1% of the training rows are religious" in _text(results)


def test_forgotten_english_is_mentioned_unless_measured(results):
    assert "How much English" in _text(results)
    results["evaluation"][0]["after"]["perplexity_source"] = 40.0
    assert "How much English" not in _text(results)


def test_base_model_nature_biases_and_the_callers_limits_always_stand(results):
    text = _text(results)
    assert "base language model" in text
    assert "biases" in text
    assert limit_sentences(results)[-1] == "The pairs were not checked for near-duplicates."
