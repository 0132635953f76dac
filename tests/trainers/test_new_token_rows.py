"""New tokens' embeddings while a model learns."""

from functools import partial

import pytest
import torch

from sensia.trainers.frozen_reference import FrozenReference
from sensia.trainers.lora import AdapterArguments, with_adapter
from tests.trainers.scenarios.sensia_run import tiny_model

NEW = list(range(300, 400))


@pytest.fixture
def make_new(make_trainer):
    """A trainer for which the last tokens of the vocabulary are new."""

    def make(model=None, **settings):
        kinds = make_trainer_kinds(NEW)
        return make_trainer(model, kinds=kinds, **settings)

    return make


def make_trainer_kinds(ids):
    from sensia.trainers import SensiaConfig, SensiaTrainer

    return SensiaConfig, partial(SensiaTrainer, new_token_ids=ids)


def rows(model):
    return model.get_input_embeddings().weight.detach().clone()


def weights(model):
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def test_in_the_first_steps_only_new_rows_change(make_new):
    trainer = make_new(max_steps=4, new_tokens_alone=1 - 1e-9)
    before = weights(trainer.model)
    trainer.train()
    after = weights(trainer.model)
    name = next(name for name in before if name.endswith("wte.weight"))
    changed = {each for each in before if not torch.equal(before[each], after[each])}
    assert changed == {name}
    same = (before[name] == after[name]).all(1)
    assert same[:300].all()
    assert not same[300:400].all()


def test_after_the_first_steps_everything_learns(make_new):
    trainer = make_new(max_steps=4, new_tokens_alone=0.5, polish_freeze="none")
    before = weights(trainer.model)
    trainer.train()
    after = weights(trainer.model)
    assert all(not torch.equal(before[name], after[name]) for name in before if "c_fc" in name)


def test_the_learning_rate_of_new_rows_scales_their_update_alone(make_new):
    moved = {}
    for rate in (1e-2, 3e-2):
        torch.manual_seed(0)
        trainer = make_new(max_steps=1, learning_rate=1e-2, new_token_learning_rate=rate)
        before = rows(trainer.model)
        trainer.train()
        moved[rate] = rows(trainer.model) - before
    torch.testing.assert_close(moved[3e-2][300:400], 3 * moved[1e-2][300:400], rtol=1e-4, atol=1e-6)
    assert torch.equal(moved[3e-2][:300], moved[1e-2][:300])


def test_with_an_adapter_only_new_rows_of_the_embeddings_learn(make_new, make_model, tmp_path):
    model = with_adapter(make_model(), AdapterArguments(use_peft=True, lora_r=4), "org/base")
    before = rows(model)
    trainer = make_new(model, max_steps=3)
    trainer.train()
    after = rows(trainer.model)
    assert torch.equal(before[:300], after[:300])
    assert not torch.equal(before[300:400], after[300:400])


def test_the_adapter_of_a_model_with_new_tokens_is_saved_merged_alone(make_new, make_model, tmp_path):
    from modeling_sensia import BackpackForCausalLM

    model = with_adapter(make_model(), AdapterArguments(use_peft=True, lora_r=4), "org/base")
    trainer = make_new(model, max_steps=2)
    trainer.train()
    trainer.save_model(str(tmp_path / "final"))
    ids = torch.tensor([[1, 305, 399, 7]])
    loaded = BackpackForCausalLM.from_pretrained(tmp_path / "final").eval()
    with torch.no_grad():
        expected = trainer.model.eval()(input_ids=ids).logits
        torch.testing.assert_close(loaded(input_ids=ids).logits, expected, rtol=1e-4, atol=1e-5)
    assert not list((tmp_path / "final").glob("**/adapter_config.json"))


def test_a_checkpoint_of_an_adapter_brings_back_the_new_rows(make_new, make_model, tmp_path):
    def run():
        torch.manual_seed(0)
        model = with_adapter(make_model(), AdapterArguments(use_peft=True, lora_r=4), "org/base")
        saving = {"save_strategy": "steps", "save_steps": 2, "output_dir": str(tmp_path / "run")}
        return make_new(model, max_steps=2, learning_rate=1e-2, **saving)

    first = run()
    before = rows(first.model)
    first.train()
    again = run()
    again.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-2"))
    assert not torch.equal(rows(first.model), before)
    assert torch.equal(rows(again.model), rows(first.model))
    assert again.model.get_base_model().lm_head.weight is again.model.get_input_embeddings().weight


@pytest.mark.parametrize("settings", [{"new_tokens_alone": 0.1}, {"new_token_learning_rate": 1e-3}])
def test_settings_for_new_tokens_are_refused_without_new_tokens(make_trainer, settings):
    with pytest.raises(ValueError, match=f"`{next(iter(settings))}` is for new tokens"):
        make_trainer(**settings)


def test_the_frozen_copy_expects_no_new_token(tokenizer):
    model = tiny_model(tokenizer)
    ids = torch.tensor([[5, 6, 7, 8]])
    sources = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    sources |= {"places": torch.arange(4), "places_in_batch": torch.arange(4)}
    copy = FrozenReference(model, torch.device("cpu"), NEW)
    reference = copy.predictions(sources, copy.encode(sources), 4)
    given = (reference.states @ reference.head.T).softmax(-1)  # [4, V]
    with torch.no_grad():
        logits = model.eval()(input_ids=ids).logits[0]
    logits[:, NEW] = -torch.inf
    torch.testing.assert_close(given, logits.softmax(-1))
