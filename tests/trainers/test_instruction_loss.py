"""Instruction pairs in training: the language model loss is on the answers alone."""

import pytest
import torch
from datasets import Dataset

from sensia.corpora import encode_instructions, give_chat_template
from sensia.trainers import ParallelCollator
from sensia.trainers.run_arguments import AdaptArguments
from sensia.trainers.training_data import load_train_pairs

LM_ONLY = {"schedule": "constant", "joint_weights": [0, 0, 1], "label_smoothing_factor": 0.0, "text_rate": 0.5}


@pytest.fixture(scope="module")
def conversations(bitext):
    sides = zip(bitext["source"][:40], bitext["target"][:40], strict=True)
    return [[{"role": "user", "content": en}, {"role": "assistant", "content": other}] for en, other in sides]


@pytest.fixture(scope="module")
def answers(conversations, tokenizer):
    """Rows of at most 40 tokens: some answers are cut."""
    give_chat_template(tokenizer)
    rows = encode_instructions(conversations, tokenizer, max_length=40)[0]
    yield rows
    tokenizer.chat_template = None


def answer_losses(model, rows):
    """Loss of each answer token in nats, from a forward of each row alone."""
    losses = []
    for row in rows:
        ids = torch.tensor(row["target_ids"])
        found = -model(ids[None]).logits[0, :-1].log_softmax(-1).gather(1, ids[1:, None]).squeeze(1)
        losses.append(found[row.get("prompt_tokens", 0) - 1 :] if row.get("prompt_tokens") else found)
    return torch.cat(losses)


def rows_of(batch, answers):
    """The rows of the data that stand in a packed batch, found by their ids."""
    number = int(batch["sentence_ids"].max()) + 1
    sentences = [batch["input_ids"][batch["sentence_ids"] == each].tolist() for each in range(number)]
    known = {tuple(row["target_ids"]): row for row in answers}
    return [known.get(tuple(ids), {"target_ids": ids}) for ids in sentences[batch["num_pairs"] :]]


def test_some_answers_are_cut_and_some_are_whole(answers, tokenizer):
    whole = [row["target_ids"][-1] == tokenizer.eos_token_id for row in answers]
    assert any(whole) and not all(whole)


def test_the_loss_is_the_cross_entropy_of_answers_and_targets(make_trainer, answers):
    trainer = make_trainer(texts=answers, max_steps=10, per_device_train_batch_size=8, **LM_ONLY)
    trainer.state.max_steps, trainer.current_gradient_accumulation_steps = 10, 1
    batch = trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))
    model = trainer.model.double().eval()
    rows = rows_of(batch, answers)
    assert sum("prompt_tokens" in row for row in rows) == 4
    expected = answer_losses(model, rows).mean()
    loss = trainer.compute_loss(model, batch)
    torch.testing.assert_close(loss, expected)
    gradients = (torch.autograd.grad(each, list(model.parameters()), allow_unused=True) for each in (loss, expected))
    for given, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(given, wanted)


@pytest.mark.parametrize("packing", [False, True])
def test_labels_are_the_tokens_of_the_answers(tokenizer, answers, packing):
    batch = ParallelCollator(tokenizer, packing=packing)(list(answers))
    labels = batch["labels"][batch["labels"] != -100].tolist()
    wanted = [token for row in answers for token in row["target_ids"][row["prompt_tokens"] :]]
    assert sorted(labels) == sorted(wanted)


def test_accumulation_and_packing_leave_the_loss_as_it_is(make_trainer, make_model, answers):
    runs = []
    for settings in (
        {"per_device_train_batch_size": 8},
        {"per_device_train_batch_size": 8, "packing": False},
        {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4},
    ):
        trainer = make_trainer(make_model(), texts=answers, **LM_ONLY, **settings)
        trainer.train()
        runs.append([entry["loss_lm"] for entry in trainer.state.log_history if "loss_lm" in entry])
    assert runs[1] == pytest.approx(runs[0], rel=1e-4) and runs[2] == pytest.approx(runs[0], rel=1e-4)


def test_texts_and_pairs_beside_instructions_are_learned_whole(make_trainer, pairs, answers, tokenizer, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"prompt": "satu dua", "completion": "tiga empat"}\n')
    (tmp_path / "t.txt").write_text("Satu dua tiga.\n")
    (tmp_path / "p.jsonl").write_text('{"en": "One.", "id": "Satu."}\n{"en": "Two.", "id": "Dua."}\n')
    args = AdaptArguments(
        "-",
        str(tmp_path / "p.jsonl"),
        "id",
        text_data=[str(tmp_path / "t.txt")],
        instruction_data=[str(tmp_path / "a.jsonl")],
    )
    train = load_train_pairs(args, tokenizer, max_length=64, seed=0)
    assert [part.role for part in train.parts] == ["bitext", "text", "instructions"]
    text, answer = train.texts
    assert text["prompt_tokens"] == 0 and answer["prompt_tokens"] == len(tokenizer("satu dua")["input_ids"]) + 1
    trainer = make_trainer(train=train.pairs, texts=train.texts, text_rate=1.0, per_device_train_batch_size=2)
    batch = next(iter(trainer.get_train_dataloader()))
    unlabelled = (batch["labels"] == -100) & (batch["sentence_ids"] >= 2 * batch["num_pairs"])
    # Of a text only its first token has no label in packed rows; of the answer all tokens of its prompt.
    assert unlabelled.sum() == 1 + answer["prompt_tokens"]


def test_a_wrong_key_of_an_entry_is_named():
    with pytest.raises(ValueError, match="`instruction_data`: unknown key `column` of an entry; known are path"):
        AdaptArguments("-", "p.jsonl", "id", instruction_data=[{"path": "a.jsonl", "column": "text"}])


def test_a_file_of_other_columns_is_named(tokenizer, tmp_path):
    (tmp_path / "p.jsonl").write_text('{"en": "One.", "id": "Satu."}\n')
    args = AdaptArguments("-", str(tmp_path / "p.jsonl"), "id", instruction_data=[str(tmp_path / "p.jsonl")])
    with pytest.raises(ValueError, match=r"p.jsonl, row 1: instructions are in columns .*, got en, id"):
        load_train_pairs(args, tokenizer, max_length=64, seed=0)


def test_instructions_need_a_rate(make_trainer, answers: Dataset):
    with pytest.raises(ValueError, match=r"a `text_rate` needs texts .*`instruction_data`.*got `text_rate` 0"):
        make_trainer(texts=answers)
