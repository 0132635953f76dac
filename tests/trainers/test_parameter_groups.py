from pathlib import Path

import pytest
import torch
from torch.distributed.fsdp import fully_shard
from transformers import AutoConfig

from modeling_sensia import BackpackConfig, BackpackForCausalLM
from sensia.trainers import SensiaConfig
from sensia.trainers.lora import AdapterArguments, with_adapter
from sensia.trainers.parameter_groups import decaying_parameter_names, set_learning_rates

SIZES = {
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32},
    **{
        trunk: {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
        for trunk in ("llama", "qwen3", "mistral", "cohere", "phi", "starcoder2")
    },
}
RATES = {"learning_rate": 1e-2, "sense_learning_rate": 3e-3, "trunk_learning_rate": 5e-4}


def backpack(trunk="gpt2"):
    extra = {} if trunk == "gpt2" else {"num_key_value_heads": 2, "sliding_window": None, "pad_token_id": 0}
    known = AutoConfig.for_model(trunk).to_dict()
    sizes = {name: value for name, value in {**SIZES[trunk], **extra}.items() if trunk == "gpt2" or name in known}
    fields = {"model_type": trunk, "vocab_size": 60, "bos_token_id": 0, "eos_token_id": 0, **sizes}
    return BackpackForCausalLM(BackpackConfig(trunk_config=fields, num_senses=4))


def optimizer_of(trainer):
    return trainer.create_optimizer()


def group_of(optimizer, parameter):
    [found] = [group for group in optimizer.param_groups if any(each is parameter for each in group["params"])]
    return found


def part_of(name):
    """Where a parameter stands, by its name alone."""
    if any(part in name for part in ("sense_network", "weight_network")):
        return "sense_learning_rate"
    return "learning_rate" if "wte" in name or "lm_head" in name else "trunk_learning_rate"


class TestDecay:
    @pytest.mark.parametrize("trunk", SIZES)
    def test_is_for_matrices_that_are_no_embeddings(self, trunk):
        model = backpack(trunk)
        embeddings = {id(model.get_input_embeddings().weight), id(model.lm_head.weight)}
        if trunk == "gpt2":
            embeddings.add(id(model.backpack.trunk.wpe.weight))
        expected = [
            name for name, weight in model.named_parameters() if weight.ndim > 1 and id(weight) not in embeddings
        ]
        assert decaying_parameter_names(model) == expected
        assert expected

    def test_is_for_an_adapters_matrices(self):
        model = with_adapter(backpack(), AdapterArguments(use_peft=True), "base")
        trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
        assert trained and trained <= set(decaying_parameter_names(model))

    def test_is_the_trainers_rule(self, make_trainer):
        trainer = make_trainer(weight_decay=0.1)
        optimizer, decaying = optimizer_of(trainer), decaying_parameter_names(trainer.model)
        for name, parameter in trainer.model.named_parameters():
            assert group_of(optimizer, parameter)["weight_decay"] == (0.1 if name in decaying else 0), name

    def test_leaves_a_norm_without_a_gradient_alone(self, make_trainer):
        trainer = make_trainer(weight_decay=0.5)
        optimizer = optimizer_of(trainer)
        norm, matrix = trainer.model.backpack.trunk.ln_f.weight, trainer.model.backpack.weight_network.c_attn.weight
        before = norm.detach().clone(), matrix.detach().clone()
        norm.grad, matrix.grad = torch.zeros_like(norm), torch.zeros_like(matrix)
        optimizer.step()
        assert torch.equal(norm, before[0]) and not torch.equal(matrix, before[1])


class TestLearningRates:
    @pytest.mark.parametrize("given", [(), ("sense_learning_rate",), ("trunk_learning_rate",), tuple(RATES)[1:]])
    def test_every_parameter_is_in_one_group_with_its_rate(self, make_trainer, given):
        rates = {name: RATES[name] for name in ("learning_rate", *given)}
        trainer = make_trainer(weight_decay=0.1, **rates)
        optimizer = optimizer_of(trainer)
        for name, parameter in trainer.model.named_parameters():
            assert group_of(optimizer, parameter)["lr"] == rates.get(part_of(name), RATES["learning_rate"]), name
        count = sum(len(group["params"]) for group in optimizer.param_groups)
        assert count == len(list(trainer.model.parameters()))

    def test_without_any_the_groups_are_the_trainers_two(self, make_trainer):
        assert len(optimizer_of(make_trainer()).param_groups) == 2

    @pytest.mark.parametrize("scheduler", ["linear", "cosine", "constant_with_warmup", "polynomial", "inverse_sqrt"])
    def test_keep_their_ratio_along_the_schedule(self, make_trainer, scheduler):
        trainer = make_trainer(lr_scheduler_type=scheduler, max_steps=8, warmup_steps=3, **RATES)
        trainer.create_optimizer_and_scheduler(8)
        seen = set()
        for _ in range(6):
            trainer.optimizer.step()
            trainer.lr_scheduler.step()
            by_group = {group["initial_lr"]: group["lr"] for group in trainer.optimizer.param_groups}
            assert set(by_group) == set(RATES.values())
            shares = [rate / initial for initial, rate in by_group.items()]
            assert shares == pytest.approx([shares[0]] * 3) and shares[0] > 0
            seen.add(round(shares[0], 6))
        assert len(seen) > 1

    def test_the_logged_rate_is_learning_rate(self, make_trainer):
        trainer = make_trainer(lr_scheduler_type="constant", max_steps=1, **RATES)
        trainer.train()
        assert trainer.state.log_history[0]["learning_rate"] == RATES["learning_rate"]

    def test_a_part_without_a_rate_to_speak_of_hardly_moves(self, make_trainer):
        trainer = make_trainer(sense_learning_rate=0.0, max_steps=2, weight_decay=0.1)
        before = {name: value.clone() for name, value in trainer.model.named_parameters()}
        trainer.train()
        for name, value in trainer.model.named_parameters():
            assert torch.equal(value, before[name]) == (part_of(name) == "sense_learning_rate"), name

    def test_come_back_from_a_checkpoint_to_the_same_bits(self, make_trainer, make_model):
        settings = {**RATES, "weight_decay": 0.1, "max_steps": 4, "save_strategy": "steps", "save_steps": 2}
        whole = make_trainer(make_model(), **settings)
        whole.train()
        resumed = make_trainer(make_model(), **settings)
        resumed.train(resume_from_checkpoint=str(Path(whole.args.output_dir, "checkpoint-2")))
        for (name, value), other in zip(whole.model.named_parameters(), resumed.model.parameters(), strict=True):
            assert torch.equal(value, other), name

    @pytest.mark.parametrize("optim", ["adamw_torch", "adafactor", "sgd", "rmsprop", "adagrad"])
    def test_work_with_the_trainers_optimizers(self, make_trainer, optim):
        trainer = make_trainer(optim=optim, max_steps=2, **RATES)
        trainer.train()
        assert {group["initial_lr"] for group in trainer.optimizer.param_groups} == set(RATES.values())

    def test_are_those_of_the_part_that_an_adapter_trains(self, tmp_path):
        model = with_adapter(backpack(), AdapterArguments(use_peft=True), "base")
        optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], lr=1e-2)
        set_learning_rates(optimizer, model, SensiaConfig(output_dir=str(tmp_path), **RATES))
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                assert group_of(optimizer, parameter)["lr"] == RATES[part_of(name)], name

    def test_for_nothing_that_trains_are_refused(self, tmp_path):
        adapter = AdapterArguments(use_peft=True, lora_target_modules=["c_fc"])
        model = with_adapter(backpack(), adapter, "base")
        for name, parameter in model.named_parameters():
            parameter.requires_grad_("trunk" in name and parameter.requires_grad)
        optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], lr=1e-2)
        with pytest.raises(ValueError, match="`sense_learning_rate` is given, but nothing is trained"):
            set_learning_rates(optimizer, model, SensiaConfig(output_dir=str(tmp_path), sense_learning_rate=1e-3))

    def test_for_an_optimizer_that_hides_its_parameters_are_refused(self, tmp_path):
        model = backpack()
        optimizer = torch.optim.AdamW([torch.zeros(1)], lr=1e-2)
        with pytest.raises(ValueError, match=r"needs an optimizer that has all parameters.*optim="):
            set_learning_rates(optimizer, model, SensiaConfig(output_dir=str(tmp_path), trunk_learning_rate=1e-3))

    def test_below_zero_are_refused(self, tmp_path):
        with pytest.raises(ValueError, match="`sense_learning_rate` must be 0 or more, got -1"):
            SensiaConfig(output_dir=str(tmp_path), sense_learning_rate=-1.0)


@pytest.fixture
def one_process_group(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_sharded_parameters_are_grouped_as_whole_ones_are(one_process_group, tmp_path):
    model = backpack("llama")
    decaying = decaying_parameter_names(model)
    for layer in model.backpack.trunk.layers:
        fully_shard(layer)
    fully_shard(model)
    assert decaying_parameter_names(model) == decaying
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATES["learning_rate"])
    set_learning_rates(optimizer, model, SensiaConfig(output_dir=str(tmp_path), use_cpu=True, **RATES))
    for name, parameter in model.named_parameters():
        expected = part_of(name.replace("embed_tokens", "wte"))
        assert group_of(optimizer, parameter)["lr"] == RATES[expected], name
