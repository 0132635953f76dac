import pytest

from sensia.model_cards.limits import limit_sentences


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


def test_domains_are_those_that_the_data_states(results):
    for source, domain in zip(
        results["datasets"][0]["sources"], ["software manuals", "software manuals", "scripture", None], strict=True
    ):
        source["domain"] = domain
    # 3,000 + 1,000 and 2,500 rows of 10,000; those of the dev file do not count.
    results["datasets"][1]["sources"] = [{"name": "news", "rows": 50_000, "domain": "news"}]
    text = _text(results)
    assert "40% of the training rows are software manuals:" in text
    assert "25% of the training rows are scripture:" in text
    assert "news" not in text


@pytest.mark.parametrize(
    "name", ["kde", "KDE4", "django-docs", "bible", "gunnxx-religious", "quran-notes", "mozilla-l10n"]
)
def test_a_name_of_a_source_says_nothing_of_its_texts(results, name):
    before = _text(results)
    results["datasets"][0]["sources"] = [{"name": name, "rows": 10}]
    assert _text(results) == before
    assert "training rows" not in before


def test_a_tiny_share_is_not_rounded_to_nothing(results):
    results["datasets"][0]["sources"] = [
        {"name": "a", "rows": 1, "domain": "scripture"},
        {"name": "b", "rows": 999},
    ]
    assert "Less than 1% of the training rows are scripture" in _text(results)


def test_rows_that_were_trained_on_are_named(results):
    results["evaluation"][0]["rows_trained_on"] = 0
    assert "also training rows" not in _text(results)
    results["evaluation"][0]["rows_trained_on"] = 12
    assert "12 of the 1,005 rows of NTREX dev are also training rows" in _text(results)


def test_forgotten_english_is_mentioned_unless_measured(results):
    assert "How much English" in _text(results)
    results["evaluation"][0]["after"]["perplexity_source"] = 40.0
    assert "How much English" not in _text(results)


def test_base_model_nature_biases_and_the_callers_limits_always_stand(results):
    text = _text(results)
    assert "base language model" in text
    assert "biases" in text
    assert limit_sentences(results)[-1] == "The pairs were not checked for near-duplicates."
