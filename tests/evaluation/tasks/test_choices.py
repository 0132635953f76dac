import copy

import pytest
import torch

from sensia.evaluation.tasks.choices import Choice, answer_log_likelihoods, measure_choices
from sensia.trainers.lora import AdapterArguments, with_adapter

ITEMS = [
    Choice("Simpan dokumen", ("sebelum menutup jendela.", "Yes"), 0, "karena"),
    Choice("", ("Open the file", "close", "save the whole document now"), 2, "Simpan"),
    Choice("naïve café", ("世界", "Yes"), 1, "Open"),
]


def naive_log_likelihood(model, tokenizer, context, answer):
    """One token at a time, each after everything before it."""
    text = answer if answer[0] in "世 " else f" {answer}"
    read = tokenizer.encode(context, add_special_tokens=False) or [tokenizer.eos_token_id]
    total = 0.0
    for token in tokenizer.encode(text, add_special_tokens=False):
        with torch.no_grad():
            total += float(model(torch.tensor([read])).logits[0, -1].double().log_softmax(-1)[token])
        read = [*read, token]
    return total


@pytest.fixture(params=["backpack", "gpt2"])
def model(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("tokens_per_batch", [1, 30, 4096])
def test_a_log_likelihood_is_the_sum_over_the_answers_tokens_alone(model, tokenizer, tokens_per_batch):
    requests = [(item.context, answer) for item in ITEMS for answer in item.answers]
    found, cut = answer_log_likelihoods(model, tokenizer, requests, tokens_per_batch)
    expected = [naive_log_likelihood(model, tokenizer, *request) for request in requests]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)
    assert cut == 0


def test_answers_that_share_a_context_do_not_see_each_other(model, tokenizer):
    context = "Simpan dokumen sebelum"
    answers = ("and so", "or else not", "and so it went on and on", "then")
    requests = [(context, answer) for answer in answers] + [("", answer) for answer in answers]
    found, cut = answer_log_likelihoods(model, tokenizer, requests)
    expected = [naive_log_likelihood(model, tokenizer, *request) for request in requests]
    assert found.tolist() == pytest.approx(expected, abs=1e-4) and cut == 0


def test_a_backpack_keeps_the_sense_table_that_it_had_and_no_other(backpack, tokenizer):
    answer_log_likelihoods(backpack, tokenizer, [("Simpan", "file")])
    assert backpack.backpack.sense_table is None
    backpack.eval().precompute_senses()
    table = backpack.backpack.sense_table
    answer_log_likelihoods(backpack, tokenizer, [("Simpan", "file")])
    assert backpack.backpack.sense_table is table
    backpack.backpack.sense_table = None


def test_a_backpack_with_an_adapter_answers_without_a_table(backpack, tokenizer):
    requests = [("Simpan", "file"), ("Simpan", "dokumen")]
    expected, _ = answer_log_likelihoods(backpack, tokenizer, requests)
    adapted = with_adapter(copy.deepcopy(backpack), AdapterArguments(use_peft=True), "base")  # begins as nothing
    found, _ = answer_log_likelihoods(adapted, tokenizer, requests)
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-5)


def test_what_is_asked_twice_has_one_value(gpt2, tokenizer):
    found, _ = answer_log_likelihoods(gpt2, tokenizer, [("a", "b"), ("c", "d"), ("a", "b")])
    assert found[0] == found[2] != found[1]


def test_accuracies_are_those_of_the_three_scores(model, tokenizer):
    found = measure_choices(model, tokenizer, ITEMS)
    chosen = {"accuracy": [], "accuracy_per_byte": [], "accuracy_pmi": []}
    for item in ITEMS:
        conditional, prior = (
            [naive_log_likelihood(model, tokenizer, context, answer) for answer in item.answers]
            for context in (item.context, item.neutral)
        )
        per_byte = [value / len(answer.encode()) for value, answer in zip(conditional, item.answers, strict=True)]
        pmi = [value - before for value, before in zip(conditional, prior, strict=True)]
        for places, scores in zip(chosen.values(), (conditional, per_byte, pmi), strict=True):
            places.append(scores.index(max(scores)))
    assert found["answers"] == chosen
    for name, places in chosen.items():
        right = sum(place == item.label for place, item in zip(places, ITEMS, strict=True))
        assert found["metrics"][name] == pytest.approx(right / len(ITEMS))
    assert found["chance"]["accuracy"] == pytest.approx((1 / 2 + 1 / 3 + 1 / 2) / 3)
    assert all(low <= found["metrics"][name] <= high for name, (low, high) in found["intervals"].items())


def test_an_answer_that_ties_is_not_right(gpt2, tokenizer):
    items = [Choice("Open", ("the file", "the file"), label) for label in (0, 1)]
    assert set(measure_choices(gpt2, tokenizer, items)["metrics"].values()) == {0.0}


def test_a_neutral_context_that_is_the_context_leaves_nothing(gpt2, tokenizer):
    items = [Choice("Open", ("the file", "close"), label, "Open") for label in (0, 1)]
    assert measure_choices(gpt2, tokenizer, items)["metrics"]["accuracy_pmi"] == 0.0


def test_a_long_context_is_cut_on_the_left_and_counted(gpt2, tokenizer):
    context = " ".join(["Simpan dokumen sebelum menutup jendela."] * 8)
    ids, answer = tokenizer.encode(context), tokenizer.encode(" Yes")
    assert len(ids) > 48
    found, cut = answer_log_likelihoods(gpt2, tokenizer, [(context, "Yes")])
    with torch.no_grad():
        scores = gpt2(torch.tensor([[*ids, *answer][-49:-1]])).logits[0].double().log_softmax(-1)
    expected = sum(float(scores[place - len(answer), token]) for place, token in enumerate(answer))
    assert (found.item(), cut) == (pytest.approx(expected, rel=1e-5), 1)


def test_an_answer_longer_than_the_positions_is_refused(gpt2, tokenizer):
    with pytest.raises(ValueError, match="does not fit into 48 positions"):
        answer_log_likelihoods(gpt2, tokenizer, [("a", "Simpan dokumen sebelum menutup jendela. " * 8)])


@pytest.mark.parametrize(
    ("answers", "label", "words"),
    [(("one",), 0, "two answers"), (("a", ""), 0, "none empty"), (("a", "b"), 2, "place")],
)
def test_a_question_that_is_none_is_refused(answers, label, words):
    with pytest.raises(ValueError, match=words):
        Choice("context", answers, label)


def test_no_question_is_refused(gpt2, tokenizer):
    with pytest.raises(ValueError, match="no question"):
        measure_choices(gpt2, tokenizer, [])
