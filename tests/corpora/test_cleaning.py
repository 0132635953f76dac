import datasets
import pytest
from transformers import PreTrainedTokenizerFast

from sensia.corpora import CleaningReport, clean_pairs, read_pairs

ROWS = [
    ("Good morning.", "Selamat pagi."),
    ("", "Kosong"),
    ("Blank", "  \n"),
    ("Number", None),
    ("Good morning.", "Selamat pagi."),
    ("Good morning.", "Selamat pagi!"),
    ("Far too long " * 10, "Terlalu panjang"),
]


def pairs(rows):
    names = ("source", "target", "origin")
    return datasets.Dataset.from_list(
        [dict(zip(names, (*row, f"corpus{i}"), strict=True)) for i, row in enumerate(rows)]
    )


def count_tokens(tokenizer, text):
    return len(tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids)


def test_every_reason_is_counted(tokenizer):
    _, report = clean_pairs(pairs(ROWS), tokenizer, max_length=20)
    expected = {"empty": 2, "not_text": 1, "duplicate": 1, "too_long": 1}
    assert (report.total, report.kept, report.dropped) == (7, 2, expected)


def test_what_is_kept_keeps_its_order_and_its_corpus(tokenizer):
    cleaned, _ = clean_pairs(pairs(ROWS), tokenizer, max_length=20)
    assert cleaned.column_names == ["source_ids", "target_ids", "source_bytes", "target_bytes", "row", "origin"]
    assert cleaned["origin"][:] == ["corpus0", "corpus5"]


def test_ids_are_the_tokens_of_the_text_and_eos(tokenizer):
    cleaned, _ = clean_pairs(pairs([(" Good morning. ", "Selamat pagi.")]), tokenizer, max_length=50)
    assert cleaned[0]["source_ids"][-1] == tokenizer.eos_token_id
    assert tokenizer.decode(cleaned[0]["source_ids"][:-1]) == "Good morning."
    assert tokenizer.decode(cleaned[0]["target_ids"][:-1]) == "Selamat pagi."


def test_the_bytes_of_the_target_are_counted_without_surrounding_space(tokenizer):
    cleaned, _ = clean_pairs(pairs([("Coffee", " kopi é ")]), tokenizer, max_length=50)
    assert cleaned["target_bytes"][:] == [7]


def test_the_bytes_of_the_source_are_counted_without_surrounding_space(tokenizer):
    cleaned, _ = clean_pairs(pairs([(" café ", "kopi")]), tokenizer, max_length=50)
    assert cleaned["source_bytes"][:] == [5]


def test_no_special_token_but_eos_is_added(dev_rows):
    from tokenizers import ByteLevelBPETokenizer
    from tokenizers.processors import TemplateProcessing

    model = ByteLevelBPETokenizer()
    model.train_from_iterator(
        [dev_rows[0]["en"]], vocab_size=300, special_tokens=["<eos>", "<bos>"], show_progress=False
    )
    model._tokenizer.post_processor = TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    adding = PreTrainedTokenizerFast(tokenizer_object=model._tokenizer, eos_token="<eos>", bos_token="<bos>")
    assert adding("a")["input_ids"][0] == 1
    cleaned, _ = clean_pairs(pairs([("a b", "c d")]), adding, max_length=50)
    assert 1 not in cleaned[0]["source_ids"]


def test_the_longest_side_allowed_counts_eos(tokenizer):
    length = count_tokens(tokenizer, "Selamat pagi.")
    assert length > count_tokens(tokenizer, "Hi")
    row = [("Hi", "Selamat pagi.")]
    _, report = clean_pairs(pairs(row), tokenizer, max_length=length + 1)
    assert report.kept == 1
    with pytest.raises(ValueError, match="too_long 1"):
        clean_pairs(pairs(row), tokenizer, max_length=length)


def test_sides_of_too_different_lengths_are_dropped(tokenizer):
    rows = [("a", "b"), ("a", "b c d e f g h i")]
    ratio = count_tokens(tokenizer, rows[1][1]) - 1
    _, report = clean_pairs(pairs(rows), tokenizer, max_length=50, max_length_ratio=ratio)
    assert report.dropped == {"length_ratio": 1}


def test_nothing_kept_is_an_error_with_the_counts(tokenizer):
    with pytest.raises(ValueError, match=r"no pair is left.*kept 0 of 2 pairs; dropped: empty 1, not_text 1"):
        clean_pairs(pairs([("", "a"), (None, "b")]), tokenizer, max_length=9)


def test_a_stream_is_counted_as_it_passes(tokenizer):
    stream, report = clean_pairs(pairs(ROWS).to_iterable_dataset(), tokenizer, max_length=20)
    assert report.total == 0
    assert [row["origin"] for row in stream] == ["corpus0", "corpus4", "corpus5"]
    assert (report.total, report.kept) == (7, 3)
    assert report.dropped == {"empty": 2, "not_text": 1, "too_long": 1}


def test_a_stream_gives_the_same_tokens_as_the_loaded_pairs(tokenizer, bitext):
    path = str(bitext / "en-id.ntrex-dev.parquet")
    loaded, streamed = (
        clean_pairs(
            read_pairs(path, source_language="en", target_language="id", streaming=streaming), tokenizer, max_length=64
        )
        for streaming in (False, True)
    )
    assert list(streamed[0]) == list(loaded[0])
    assert streamed[1] == loaded[1]
    assert 0 < loaded[1].kept < loaded[1].total == 1005


def test_counts_are_the_same_when_the_result_comes_from_the_cache(tokenizer, bitext):
    pairs_read = read_pairs(str(bitext / "en-id.ntrex-dev.parquet"), source_language="en", target_language="id")
    reports = [clean_pairs(pairs_read, tokenizer, max_length=70)[1] for _ in range(2)]
    assert reports[0] == reports[1]


def test_a_report_reads_as_a_sentence():
    report = CleaningReport(total=1200, kept=1000, dropped={"too_long": 150, "empty": 50})
    assert str(report) == "kept 1,000 of 1,200 pairs; dropped: empty 50, too_long 150"


def test_a_tokenizer_without_eos_is_refused(tokenizer):
    without = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer)
    with pytest.raises(ValueError, match="no eos token"):
        clean_pairs(pairs(ROWS), without, max_length=20)


def test_a_limit_with_no_room_for_a_token_is_refused(tokenizer):
    with pytest.raises(ValueError, match="max_length must be at least 2"):
        clean_pairs(pairs(ROWS), tokenizer, max_length=1)


def test_a_ratio_below_one_is_refused(tokenizer):
    with pytest.raises(ValueError, match="max_length_ratio must be at least 1"):
        clean_pairs(pairs(ROWS), tokenizer, max_length=20, max_length_ratio=0.5)


def test_data_that_are_not_pairs_are_refused(tokenizer):
    with pytest.raises(ValueError, match=r"no column \['target'\]"):
        clean_pairs(datasets.Dataset.from_dict({"source": ["a"]}), tokenizer, max_length=20)


@pytest.mark.parametrize("streaming", [False, True])
def test_kept_pairs_know_their_row(tokenizer, streaming):
    data = pairs(ROWS).to_iterable_dataset() if streaming else pairs(ROWS)
    cleaned, _ = clean_pairs(data, tokenizer, max_length=20)
    assert [row["row"] for row in cleaned] == ([0, 4, 5] if streaming else [0, 5])


def test_rows_of_a_stream_go_on_from_batch_to_batch(tokenizer):
    texts = [(f"Number {row}.", f"Nomor {row}.") for row in range(2500)]
    stream, _ = clean_pairs(pairs(texts).to_iterable_dataset(), tokenizer, max_length=20)
    assert [row["row"] for row in stream] == list(range(2500))


@pytest.mark.parametrize(
    ("rows", "advice"),
    [([("Hello", " "), ("Bye", "\n")], "both columns hold text"), ([("a " * 30, "b")], "raise max_length")],
    ids=["a language that is all blank", "all too long"],
)
def test_nothing_kept_says_what_to_do(tokenizer, rows, advice):
    with pytest.raises(ValueError, match=f"kept 0 of {len(rows)} pairs; dropped: .*{advice}"):
        clean_pairs(pairs(rows), tokenizer, max_length=9)


def test_a_pair_of_one_token_a_side_is_kept(tokenizer):
    cleaned, _ = clean_pairs(pairs([("a", "b")]), tokenizer, max_length=2)
    assert [len(cleaned[0][side]) for side in ("source_ids", "target_ids")] == [2, 2]
