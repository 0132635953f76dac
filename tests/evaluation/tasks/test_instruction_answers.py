"""Likelihood of held-out answers: each equals the sum that one forward of its row gives."""

import json
import math

import pytest
import torch

from sensia.corpora.instructions import CHAT_TEMPLATE
from sensia.evaluation.tasks.instructions import measure_instructions
from sensia.evaluation.tasks.registry import Task


@pytest.fixture
def chatting(tokenizer):
    yield tokenizer
    tokenizer.chat_template = None


def asked(question, answer):
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


CONVERSATIONS = [
    asked("one two", "satu dua"),
    [*asked("one two", "satu"), *asked("three", "tiga empat")],
    asked("five", "lima"),
]


def bits(model, tokenizer, question, answer):
    """Bits of an answer after the text of a question, in which the end of text closes each turn."""
    before, after = ([tokenizer(part)["input_ids"] for part in text.split("|")] for text in (question, answer))
    before = [token for part in before for token in (*part, tokenizer.eos_token_id)]
    ids = torch.tensor([[*before, *after[0]]])
    logits = model(ids[:, :-1]).logits[0].log_softmax(-1)
    return -logits[torch.arange(ids.shape[1] - 1), ids[0, 1:]][len(before) - 1 :].sum().item() / math.log(2)


def test_answers_are_scored_after_their_own_and_another_question(backpack, chatting):
    found = measure_instructions(backpack, chatting, CONVERSATIONS, tokens_per_batch=20)
    whole = "one two|satu|three"
    own = [("one two", "satu dua"), ("one two", "satu"), (whole, "tiga empat"), ("five", "lima")]
    other = [(whole, "satu dua"), (whole, "satu"), ("five", "tiga empat"), ("one two", "lima")]
    size = sum(len(answer) for _, answer in own)
    for name, rows in (("answer_bits_per_byte", own), ("other_question_bits_per_byte", other)):
        expected = sum(bits(backpack, chatting, *row) for row in rows) / size
        assert found["metrics"][name] == pytest.approx(expected, rel=1e-5)
        low, high = found["intervals"][name]
        assert low <= expected <= high
    assert found["cut"] == 0 and chatting.chat_template == CHAT_TEMPLATE


def test_a_long_question_is_cut_on_the_left(backpack, chatting):
    long = asked("one two three four five six seven " * 5, "satu")
    assert measure_instructions(backpack, chatting, [long, asked("five", "lima")])["cut"] == 1


def test_a_long_answer_and_a_single_question_are_refused(backpack, chatting):
    with pytest.raises(ValueError, match="does not fit into 48 positions"):
        measure_instructions(backpack, chatting, [asked("one", "satu dua tiga " * 20), asked("five", "lima")])
    with pytest.raises(ValueError, match="at least two different questions are needed, got 2 answers to one"):
        measure_instructions(backpack, chatting, [asked("one", "satu"), asked("one", "dua")])


def test_it_is_a_task_of_score(tmp_path, backpack, chatting):
    lines = [json.dumps({"messages": turns}) for turns in CONVERSATIONS]
    (tmp_path / "held-out.jsonl").write_text("\n".join(lines))
    loaded = Task("answers", "instructions", "held-out.jsonl", {"limit": 2}).load(tmp_path)
    assert loaded.data[0]["rows"] == 2
    found = loaded.measure(backpack, chatting, False)["metrics"]
    assert found == measure_instructions(backpack, chatting, CONVERSATIONS[:2])["metrics"]
