"""Instruction pairs: the layouts that people have, the chat template, and the rows that learn the answers."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transformers import AutoTokenizer

from sensia.corpora import encode_instructions, give_chat_template, read_instructions
from sensia.corpora.instructions import CHAT_TEMPLATE, answer_ids

ASKED = [{"role": "user", "content": "Apa itu kucing?"}, {"role": "assistant", "content": "Seekor hewan."}]
LONGER = [
    {"role": "system", "content": "Jawab dengan singkat."},
    *ASKED,
    {"role": "user", "content": "Dan anjing?"},
    {"role": "assistant", "content": "Juga hewan."},
]


@pytest.fixture
def chatting(tokenizer):
    give_chat_template(tokenizer)
    yield tokenizer
    tokenizer.chat_template = None


def ids(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": ASKED},
        {"instruction": "Apa itu kucing?", "input": "", "output": "Seekor hewan."},
        {"instruction": " Apa itu kucing?\n", "output": "Seekor hewan. ", "text": "not read"},
        {"prompt": "Apa itu kucing?", "completion": "Seekor hewan."},
        {"prompt": ASKED[:1], "completion": ASKED[1:]},
    ],
    ids=["messages", "alpaca", "alpaca without input", "prompt", "prompt of turns"],
)
def test_every_layout_gives_the_same_turns(write_lines, row):
    assert read_instructions(write_lines("a.jsonl", row)) == [ASKED]


def test_the_input_of_alpaca_follows_on_a_line_of_its_own(write_lines):
    path = write_lines("a.jsonl", {"instruction": "Terjemahkan.", "input": "A cat.", "output": "Kucing."})
    assert read_instructions(path)[0][0]["content"] == "Terjemahkan.\nA cat."


def test_an_array_and_parquet_are_read(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([{"messages": LONGER}, {"messages": ASKED}]))
    pq.write_table(pa.table({"messages": [LONGER, ASKED]}), tmp_path / "a.parquet")
    assert read_instructions(str(tmp_path / "a.json")) == read_instructions(str(tmp_path / "a.parquet"))
    assert read_instructions(str(tmp_path / "a.json")) == [LONGER, ASKED]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (
            {"question": "a", "answer": "b"},
            r"row 2: instructions are in columns `messages` or .* got question, answer",
        ),
        ({"prompt": "a", "completion": 5}, "row 2: what is said must be text, got int"),
        ({"messages": "a"}, "row 2: `messages` must be a list of turns"),
        ({"messages": ASKED[:1]}, "row 2: user and assistant must speak in turn, with an answer; got user"),
        ({"messages": ASKED[::-1]}, "speak in turn, with an answer; got assistant, user"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "must be one of system, user, assistant, got 'tool'"),
    ],
)
def test_a_row_that_is_no_conversation_is_named(write_lines, row, told):
    with pytest.raises(ValueError, match=told):
        read_instructions(write_lines("a.jsonl", {"messages": ASKED}, row))


def test_a_row_is_the_turns_each_closed_by_the_end_of_text(chatting):
    row = encode_instructions([ASKED], chatting, max_length=99)[0][0]
    question, answer, end = ids(chatting, "Apa itu kucing?"), ids(chatting, "Seekor hewan."), chatting.eos_token_id
    assert row == {
        "source_ids": [],
        "target_ids": [*question, end, *answer, end],
        "prompt_tokens": len(question) + 1,
        "row": 0,
    }


def test_what_generate_gets_is_what_was_trained_on(chatting):
    row = encode_instructions([ASKED], chatting, max_length=99)[0][0]
    asked = chatting.apply_chat_template(ASKED[:1], add_generation_prompt=True, return_dict=False)
    assert row["target_ids"][: row["prompt_tokens"]] == asked


def test_each_answer_is_a_row_after_all_turns_before_it(chatting):
    rows, report = encode_instructions([ASKED, LONGER], chatting, max_length=99)
    assert rows["row"][:] == [0, 1, 1] and report.kept == 3
    system = ids(chatting, "Jawab dengan singkat.\nApa itu kucing?")
    assert rows[1]["target_ids"][: len(system)] == system
    last = rows[2]["target_ids"]
    assert last[: len(rows[1]["target_ids"])] == rows[1]["target_ids"]
    assert last[rows[2]["prompt_tokens"] :] == [*ids(chatting, "Juga hewan."), chatting.eos_token_id]


def test_an_answer_that_does_not_fit_is_cut_and_has_no_end(chatting):
    whole = encode_instructions([ASKED], chatting, max_length=99)[0][0]["target_ids"]
    row = encode_instructions([ASKED], chatting, max_length=len(whole) - 1)[0][0]
    assert row["target_ids"] == whole[:-1] and row["target_ids"][-1] != chatting.eos_token_id


def test_rows_without_an_answer_to_learn_are_dropped_and_counted(chatting):
    spelled = [ASKED[0], {"role": "assistant", "content": "Ya.<|endoftext|>"}]
    empty = [ASKED[0], {"role": "assistant", "content": " "}]
    prompt = len(answer_ids(chatting, ASKED)[0])
    longer = [{"role": "user", "content": "Apa itu kucing? Apa itu kucing?"}, ASKED[1]]
    report = encode_instructions([ASKED, spelled, empty, longer], chatting, max_length=prompt + 1)[1]
    assert (report.kept, report.dropped) == (1, {"special_token": 1, "empty": 1, "too_long": 1})


def test_nothing_left_is_refused_in_one_line(chatting):
    with pytest.raises(ValueError, match=r"no answer is left with max_length=2: kept 0 of 1.*too_long 1"):
        encode_instructions([ASKED], chatting, max_length=2)


def test_the_template_is_saved_with_the_tokenizer_and_adds_no_token(chatting, tmp_path):
    size = len(chatting)
    chatting.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.chat_template == CHAT_TEMPLATE and len(loaded) == size


def test_the_template_marks_the_answers(chatting):
    found = chatting.apply_chat_template(LONGER, return_dict=True, return_assistant_tokens_mask=True)
    marked = [
        token for token, is_answer in zip(found["input_ids"], found["assistant_masks"], strict=True) if is_answer
    ]
    end = chatting.eos_token_id
    assert marked == [*ids(chatting, "Seekor hewan."), end, *ids(chatting, "Juga hewan."), end]


def test_a_template_of_its_own_is_kept(chatting):
    chatting.chat_template = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + eos_token }}{% endfor %}"
    give_chat_template(chatting)
    row = encode_instructions([ASKED], chatting, max_length=99)[0][0]
    assert row["target_ids"][: len(ids(chatting, "user: Apa itu kucing?"))] == ids(chatting, "user: Apa itu kucing?")


def test_a_template_that_rewrites_the_question_is_refused(chatting):
    chatting.chat_template = "{{ messages | length }}{{ messages[-1]['content'] + eos_token }}"
    with pytest.raises(ValueError, match="writes a question in another way once its answer follows"):
        encode_instructions([ASKED], chatting, max_length=99)
