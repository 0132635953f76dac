"""Pairs with a prompt before each side."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sensia.corpora import clean_pairs, read_pairs

PROMPT = {"en": "Say yes.", "id": "Bilang ya."}
RESPONSE = {"en": "Yes", "id": "Ya"}


def read(source, **options):
    return read_pairs(str(source), source_language="en", target_language="id", **options)


def clean(source, tokenizer, **options):
    return clean_pairs(read(source, **options), tokenizer, max_length=60)


def ids(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("pair", [{"translation": RESPONSE}, RESPONSE], ids=["nested", "two columns"])
def test_ids_are_prompt_line_end_response_and_eos_with_exact_boundaries(write_lines, tokenizer, pair, streaming):
    path = write_lines("a.jsonl", {"prompt": PROMPT, **pair})
    (row,) = clean(path, tokenizer, streaming=streaming)[0]
    for side, language in (("source_ids", "en"), ("target_ids", "id")):
        head, response = ids(tokenizer, PROMPT[language] + "\n"), ids(tokenizer, RESPONSE[language])
        assert row[side] == [*head, *response, tokenizer.eos_token_id]
    assert row["prompt_tokens"] == len(ids(tokenizer, PROMPT["id"] + "\n"))
    assert row["target_bytes"] == len("Bilang ya.\nYa")


@pytest.mark.parametrize("streaming", [False, True])
def test_prompts_of_parquet(tmp_path, tokenizer, streaming):
    table = pa.table({"translation": [RESPONSE, RESPONSE], "prompt": [PROMPT, None]})
    pq.write_table(table, tmp_path / "a.parquet")
    rows = list(clean(tmp_path / "a.parquet", tokenizer, streaming=streaming)[0])
    assert [row["prompt_tokens"] for row in rows] == [len(ids(tokenizer, "Bilang ya.\n")), 0]


def test_a_pair_without_a_prompt_is_read_as_any_other(write_lines, tokenizer):
    path = write_lines("a.jsonl", {"prompt": PROMPT, **RESPONSE}, {"prompt": None, "en": "No", "id": "Tidak"})
    row = clean(path, tokenizer)[0][1]
    assert row["prompt_tokens"] == 0
    assert row["target_ids"] == [*ids(tokenizer, "Tidak"), tokenizer.eos_token_id]


def test_prompts_count_towards_the_longest_side(write_lines, tokenizer):
    path = write_lines(
        "a.jsonl", {"prompt": {"en": "Say yes. " * 9, "id": "Ya"}, **RESPONSE}, RESPONSE | {"prompt": None}
    )
    assert clean_pairs(read(path), tokenizer, max_length=20)[1].dropped == {"too_long": 1}


def test_a_prompt_on_one_side_is_an_empty_side(write_lines, tokenizer):
    one_sided = {"prompt": {"en": "Say yes.", "id": ""}, **RESPONSE}
    not_text = {"prompt": {"en": "Say yes.", "id": 5}, **RESPONSE}
    path = write_lines("a.jsonl", {"prompt": PROMPT, **RESPONSE}, one_sided, not_text)
    assert clean(path, tokenizer)[1].dropped == {"empty": 1, "not_text": 1}


def test_a_prompt_for_one_language_is_refused(write_lines):
    with pytest.raises(ValueError, match=r"line 1: field 'prompt' must map language codes to texts.*got str"):
        read(write_lines("a.jsonl", {"prompt": "Say yes.", **RESPONSE}))
    with pytest.raises(ValueError, match=r"no field 'prompt.id'.*there is 'prompt.en'"):
        read(write_lines("a.jsonl", {"prompt": {"en": "Say yes."}, **RESPONSE}))


def test_a_prompt_that_begins_in_a_later_record_is_refused(write_lines):
    with pytest.raises(ValueError, match="line 2: a 'prompt', but the first record of the file has none"):
        read(write_lines("a.jsonl", RESPONSE, {"prompt": PROMPT, **RESPONSE}))


def test_a_column_named_prompt_can_be_a_side(write_lines):
    path = write_lines("a.jsonl", {"prompt": "Yes", "id": "Ya"})
    assert read(path, source_column="prompt").column_names == ["source", "target"]


def test_pairs_without_prompts_have_no_prompt_tokens(write_lines, tokenizer):
    assert "prompt_tokens" not in clean(write_lines("a.jsonl", RESPONSE), tokenizer)[0].column_names
