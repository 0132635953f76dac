import pytest

from sensia.model_cards.comparison import comparison_rows, format_change, format_value, metric_notes


def test_rows_hold_the_results_own_values(results):
    entry = results["evaluation"][0]
    rows = {label: (before, after) for label, before, after, _ in comparison_rows(entry)}
    assert rows["Perplexity"] == (184233.71, 57.2381)
    assert rows["Sense recall@1, mean"] == (0.00199, 0.9064677)
    assert len(rows) == len(entry["after"])


def test_rows_say_which_way_is_better(results):
    better = {label: way for label, _, _, way in comparison_rows(results["evaluation"][0])}
    assert better["Perplexity"] == better["Bits per byte"] == "lower"
    assert better["Context recall@1, source to target"] == "higher"
    assert better["Sense entropy, target (nats)"] is None


def test_rows_do_not_depend_on_the_order_of_the_metrics(results):
    entry = results["evaluation"][0]
    turned = {side: dict(reversed(entry[side].items())) for side in ("before", "after")}
    assert comparison_rows(entry) == comparison_rows(turned)


def test_a_metric_measured_once_keeps_its_row():
    rows = comparison_rows({"before": {"perplexity": 9.5}, "after": {"xcopa_accuracy": 0.51}})
    assert rows == [("Perplexity", 9.5, None, "lower"), ("Xcopa accuracy", None, 0.51, "higher")]


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("perplexity", 57.2381, "57.24"),
        ("perplexity", 999.96, "1000.0"),
        ("perplexity", 184233.71, "184,234"),
        ("bits_per_byte", 1.5, "1.500"),
        ("bits_per_byte", 0.0123456, "0.01235"),
        ("sense_recall@1", 0.0019900, "0.0020"),
        ("Sense recall@1, mean", 0.9064677, "0.9065"),
        ("sense_recall@1", 1, "1.0000"),
        ("tokens", 51234, "51,234"),
        ("entropy_source", 0.0, "0"),
        ("entropy_source", 0.0000012345, "1.234e-06"),
        ("perplexity", None, "not measured"),
    ],
)
def test_values_show_at_least_four_digits(metric, value, text):
    assert format_value(metric, value) == text


@pytest.mark.parametrize(
    ("metric", "before", "after", "text"),
    [
        ("sense_recall@1", 0.1, 0.85, "+0.7500"),
        ("perplexity", 60.0, 47.5, "-12.50"),
        ("perplexity", 60.0, 60.0, "0"),
        ("perplexity", None, 60.0, ""),
        ("perplexity", 60.0, None, ""),
    ],
)
def test_changes_are_signed(metric, before, after, text):
    assert format_change(metric, before, after) == text


def test_only_metrics_that_occur_are_explained():
    notes = metric_notes([{"before": {}, "after": {"context_recall@1": 0.5}}])
    assert len(notes) == 1
    assert notes[0].startswith("Recall@1")
