"""Sense fine-tuning: what is chosen, what is learned, and what is saved."""

import json

import pytest
import torch
from steering_oracles import SENSES, logits, words_tokenizer
from tiny_backpacks import VOCABULARY
from torch.nn import functional as F

from modeling_sensia.sense_editing import choose_senses
from modeling_sensia.steering import AddToSenses, ScaleSenses, Steering, edit_senses

EXAMPLES = [("word5 word9", "word17"), ("word41 word3", "word60 word2")]
TEXTS = ["word7 word5 word30 word12", "word9 word77 word8"]
OPTIONS = {"senses_per_example": 3, "steps": 20, "learning_rate": 0.1}


@pytest.fixture(scope="module")
def tokenizer():
    tokenizer = words_tokenizer()
    tokenizer.eos_token = "word0"
    return tokenizer


@pytest.fixture(scope="module")
def edit(model, tokenizer):
    return edit_senses(model, tokenizer, EXAMPLES, TEXTS, **OPTIONS)


def answer_nats(model, tokenizer, prompt, answer):
    rows = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, answer)]
    ids = torch.tensor([[0, *rows[0], *rows[1]]])
    with torch.no_grad():
        scores = model(ids, use_cache=False).logits[0, len(rows[0]) : -1].log_softmax(-1)
    return -scores.gather(-1, ids[0, 1 + len(rows[0]) :, None]).sum().item()


def test_the_answers_become_likelier_and_the_weights_stay(model, tokenizer, edit):
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    before = [answer_nats(model, tokenizer, *example) for example in EXAMPLES]
    again = edit_senses(model, tokenizer, EXAMPLES, TEXTS, **OPTIONS)
    with Steering([again]).applied(model):
        after = [answer_nats(model, tokenizer, *example) for example in EXAMPLES]
    assert all(new < old - 0.3 for new, old in zip(after, before, strict=True))
    assert again == edit
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_only_senses_of_the_prompts_are_edited_so_many_for_each(edit):
    assert set(edit.token_ids) <= {5, 9, 41, 3}
    assert 3 <= len(edit.token_ids) <= 6


def test_senses_are_chosen_by_the_gradient_on_the_example_over_that_on_text(model):
    """A loss that is linear in the senses has its coefficients as gradient."""
    generator = torch.Generator().manual_seed(0)
    example, text = (torch.randn(VOCABULARY, SENSES, 32, generator=generator) for _ in range(2))

    def linear(weights):
        ids = torch.arange(VOCABULARY)
        return lambda: (model.backpack._compute_senses(ids) * weights).sum()

    scores = example.norm(dim=-1) / (0.5 + text.norm(dim=-1))  # [V, K]
    flat = sorted(((scores[t, k].item(), (t, k)) for t in (5, 9) for k in range(SENSES)), reverse=True)
    found = choose_senses(model, [[9, 5]], [linear(example)], linear(text), 3, 0.5)
    assert found == sorted(pair for _, pair in flat[:3])


def test_a_heavier_regulariser_changes_plain_text_less(model, tokenizer):
    def changed(weight):
        edit = edit_senses(model, tokenizer, EXAMPLES, ["word5 word9 word5 word3 word41"], kl_weight=weight, **OPTIONS)
        before = logits(model, [0, 5, 9, 5, 3, 41]).log_softmax(-1)
        with Steering([edit]).applied(model):
            after = logits(model, [0, 5, 9, 5, 3, 41]).log_softmax(-1)
        return F.kl_div(after, before, reduction="batchmean", log_target=True).item()

    assert changed(100.0) < changed(0.0) / 2


def test_an_edit_adds_its_vectors_to_the_senses(model):
    vectors = torch.arange(64.0).view(2, 32) / 10
    before = model.get_senses(torch.tensor([[5, 9]]))[0]  # [K, L, D]
    with Steering([AddToSenses([5, 9], [1, 3], vectors)]).applied(model):
        after = model.get_senses(torch.tensor([[5, 9]]))[0]
    wanted = before.clone()
    wanted[1, 0] += vectors[0]
    wanted[3, 1] += vectors[1]
    torch.testing.assert_close(after, wanted)


def test_an_edit_and_its_negative_leave_the_model_as_it_was(model, edit):
    with Steering([edit, -edit]).applied(model):
        torch.testing.assert_close(logits(model), logits_outside(model), rtol=1e-4, atol=1e-4)
    with Steering([edit]).applied(model):
        assert (logits(model) - logits_outside(model)).abs().max() > 0.01


def logits_outside(model):
    edit, model.backpack.sense_edit = model.backpack.sense_edit, None
    try:
        return logits(model)
    finally:
        model.backpack.sense_edit = edit


def test_a_learned_edit_is_read_back_with_the_others(edit, tokenizer, tmp_path):
    steering = Steering([ScaleSenses([0], 0.5), edit, -edit])
    steering.save(tmp_path / "capital.json", tokenizer)
    assert Steering.load(tmp_path / "capital.json", tokenizer) == steering
    assert sorted(path.name for path in tmp_path.iterdir()) == ["capital.json", "capital.safetensors"]


def test_vectors_of_another_steering_are_refused(edit, tokenizer, tmp_path):
    for name, each in (("one", edit), ("two", -edit)):
        Steering([each]).save(tmp_path / f"{name}.json", tokenizer)
    (tmp_path / "two.safetensors").replace(tmp_path / "one.safetensors")
    with pytest.raises(ValueError, match=r"one\.safetensors is not the file that was saved with it"):
        Steering.load(tmp_path / "one.json", tokenizer)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tensors": {"file": "../one.safetensors", "sha256": ""}}, "must name a file beside it"),
        ({"tensors": {"file": "none.safetensors", "sha256": ""}}, "cannot be read"),
        ({"tensors": 3}, "must have `file` and `sha256`"),
    ],
)
def test_a_file_that_names_no_vectors_is_refused(edit, tokenizer, tmp_path, change, message):
    Steering([edit]).save(tmp_path / "one.json", tokenizer)
    content = json.loads((tmp_path / "one.json").read_text())
    (tmp_path / "one.json").write_text(json.dumps(content | change))
    with pytest.raises(ValueError, match=message):
        Steering.load(tmp_path / "one.json", tokenizer)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AddToSenses([5], [1], torch.zeros(2, 32)), r"must be \[N, D\] for N tokens and senses"),
        (lambda: AddToSenses([5, 5], [1, 1], torch.zeros(2, 32)), "name a sense twice"),
        (lambda: AddToSenses([5], [1], torch.full((1, 32), torch.nan)), "must be finite"),
    ],
)
def test_wrong_vectors_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("examples", "texts", "options", "message"),
    [
        ([], TEXTS, {}, "at least one example and one text, got 0 and 2"),
        ([("word5", " ")], TEXTS, {}, "must be a prompt and an answer"),
        (EXAMPLES, TEXTS, {"epsilon": 0.0}, "`epsilon` above 0, got 10, 30, 0.0"),
    ],
)
def test_what_cannot_be_learned_is_refused(model, tokenizer, examples, texts, options, message):
    with pytest.raises(ValueError, match=message):
        edit_senses(model, tokenizer, examples, texts, **options)


def test_an_edit_is_learned_on_top_of_active_edits(model, tokenizer):
    outer = Steering([ScaleSenses([0, 1], 0.2)])
    with outer.applied(model):
        before = answer_nats(model, tokenizer, *EXAMPLES[0])
        inner = Steering([edit_senses(model, tokenizer, EXAMPLES[:1], TEXTS, **OPTIONS)])
        with inner.applied(model):
            assert answer_nats(model, tokenizer, *EXAMPLES[0]) < before - 0.3
    assert model.backpack.sense_edit is None
