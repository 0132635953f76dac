import datasets
import pytest

from sensia.corpora import encode_texts


def texts(*lines):
    return datasets.Dataset.from_dict({"text": list(lines)})


def test_windows_are_the_tokens_of_the_text_and_eos(tokenizer):
    text = "Pemerintah Indonesia mengatakan bahwa hal itu akan dilakukan."
    ids = [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    rows, report = encode_texts(texts(text, " Ya. "), tokenizer, max_length=7)
    windows = [row["target_ids"] for row in rows if row["row"] == 0]
    assert len(ids) > 14 and all(len(window) == 7 for window in windows[:-1]) and len(windows[-1]) <= 7
    kept = [token for window in windows for token in window]
    assert kept == ids[: len(kept)] and len(ids) - len(kept) <= 1
    assert [row["source_ids"] for row in rows] == [[]] * len(rows)
    assert (report.total, report.kept) == (2, 2)


def test_no_window_is_of_one_token(tokenizer):
    text = "Dua kata"
    length = len(tokenizer(text, add_special_tokens=False)["input_ids"])
    rows, _ = encode_texts(texts(text), tokenizer, max_length=length)
    assert [len(row["target_ids"]) for row in rows] == [length]


def test_blank_texts_are_dropped_and_counted(tokenizer):
    rows, report = encode_texts(texts("Satu.", "", " \n", "Dua."), tokenizer, max_length=9)
    assert sorted(set(rows["row"])) == [0, 3]
    assert (report.total, report.kept, report.dropped) == (4, 2, {"empty": 2})


def test_nothing_but_blanks_is_refused(tokenizer):
    with pytest.raises(ValueError, match="all 2 are blank"):
        encode_texts(texts("", " "), tokenizer, max_length=9)


def test_windows_of_the_source_language_are_on_the_source_side(tokenizer):
    texts = datasets.Dataset.from_dict({"text": ["one two three"]})
    of_source, _ = encode_texts(texts, tokenizer, max_length=64, of_source=True)
    of_target, _ = encode_texts(texts, tokenizer, max_length=64)
    assert of_source["source_ids"][:] == of_target["target_ids"][:] and of_source["target_ids"][:] == [[]]
