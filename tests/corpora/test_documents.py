from itertools import pairwise

import pytest

from sensia.corpora import clean_pairs, join_documents, read_pairs

LINES = [
    ("One.", "Satu.", 1),
    ("Two.", "Dua.", 1),
    ("Three.", "Tiga.", 1),
    ("Four.", "Empat.", 2),
    ("Five.", "Lima.", 2),
]


def read(path, **options):
    return read_pairs(str(path), source_language="en", target_language="id", **options)


def lines(rows=LINES):
    return [{"en": source, "id": target, "doc": doc} for source, target, doc in rows]


def joined(path, tokenizer, max_length=60, **options):
    rows = join_documents(read(path, **options), tokenizer, max_length=max_length)
    return [(row["source"], row["target"], row["row"]) for row in rows]


@pytest.mark.parametrize("streaming", [False, True])
def test_pairs_of_a_document_become_one(write_lines, tokenizer, streaming):
    path = write_lines("a.jsonl", *lines())
    assert joined(path, tokenizer, streaming=streaming) == [
        ("One. Two. Three.", "Satu. Dua. Tiga.", 0),
        ("Four. Five.", "Empat. Lima.", 3),
    ]


def test_no_joined_side_is_too_long_and_each_is_as_long_as_it_can_be(bitext, tokenizer):
    pairs = read(bitext / "en-id.ntrex-dev.parquet")
    longer = join_documents(pairs, tokenizer, max_length=200)
    _, alone = clean_pairs(pairs, tokenizer, max_length=200)
    cleaned, report = clean_pairs(longer, tokenizer, max_length=200)
    assert report.dropped.get("too_long", 0) == alone.dropped.get("too_long", 0)
    assert len(cleaned) < len(pairs) / 2
    for first, second in pairwise(longer):
        if first["doc"] == second["doc"]:
            following = pairs[second["row"]]
            sides = [f"{first[side]} {following[side]}" for side in ("source", "target")]
            assert max(len(tokenizer(side)["input_ids"]) for side in sides) + 1 > 200 - 3
    assert cleaned["row"][:] == sorted(cleaned["row"])


def test_nothing_is_lost_or_reordered(bitext, tokenizer):
    pairs = read(bitext / "en-id.ntrex-dev.parquet")
    longer = join_documents(pairs, tokenizer, max_length=120)
    assert " ".join(longer["target"]).split() == " ".join(pairs["target"]).split()


def test_documents_of_different_files_are_not_joined(write_lines, tokenizer, tmp_path):
    write_lines("train.1.jsonl", *lines(LINES[:1]))
    write_lines("train.2.jsonl", *lines(LINES[1:2]))
    assert joined(tmp_path, tokenizer) == [("One.", "Satu.", 0), ("Two.", "Dua.", 1)]


def test_a_blank_side_is_passed_on_and_parts_its_neighbours(write_lines, tokenizer):
    rows = [LINES[0], ("Two.", " ", 1), LINES[2], ("Six.", None, 1), ("Seven.", 7, 1)]
    found = join_documents(read(write_lines("a.jsonl", *lines(rows))), tokenizer, max_length=60)
    assert [row["source"] for row in found] == ["One.", "Two.", "Three.", "Six.", "Seven."]
    assert clean_pairs(found, tokenizer, max_length=60)[1].dropped == {"empty": 2, "not_text": 1}


def test_pairs_of_no_document_are_not_joined(write_lines, tokenizer):
    path = write_lines("a.jsonl", *lines([("One.", "Satu.", None), ("Two.", "Dua.", None)]))
    assert len(joined(path, tokenizer)) == 2


def test_pairs_without_documents_are_refused(write_lines, tokenizer):
    with pytest.raises(ValueError, match="needs a column 'doc'"):
        joined(write_lines("a.jsonl", {"en": "Yes", "id": "Ya"}), tokenizer)


def test_instruction_pairs_are_refused(write_lines, tokenizer):
    with pytest.raises(ValueError, match="cannot be joined"):
        joined(
            write_lines("a.jsonl", {"en": "Yes", "id": "Ya", "doc": 1, "prompt": {"en": "a", "id": "b"}}), tokenizer
        )
