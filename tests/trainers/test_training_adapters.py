from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from modeling_sensia import BackpackForCausalLM
from sensia.trainers import SensiaConfig
from sensia.trainers.lora import AdapterArguments, base_parameters, describe_adapter, with_adapter
from sensia.trainers.publishing import published_files, stage
from sensia.trainers.run_arguments import AdaptArguments
from tests.trainers.scenarios.sensia_run import tiny_model

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

IDS = torch.arange(24).reshape(2, 12)


def adapted(model, name="org/base", **settings):
    return with_adapter(model, AdapterArguments(use_peft=True, **{"lora_r": 4, **settings}), name)


@pytest.fixture
def base(tokenizer, tmp_path):
    tiny_model(tokenizer).save_pretrained(tmp_path / "base")
    return lambda: BackpackForCausalLM.from_pretrained(tmp_path / "base")


@torch.no_grad()
def logits_of(model):
    return model.eval()(input_ids=IDS).logits


def weights_of(model):
    return {name: value.detach().clone() for name, value in model.named_parameters()}


@pytest.fixture
def trained(make_trainer, base):
    def train(settings=None, **run):
        torch.manual_seed(0)
        trainer = make_trainer(adapted(base(), **(settings or {})), **{"max_steps": 3, **run})
        trainer.train()
        return trainer

    return train


class TestArguments:
    def test_without_use_peft_the_model_stays_as_it_is(self, base):
        model = base()
        assert with_adapter(model, AdapterArguments(), "org/base") is model

    def test_everything_linear_is_adapted_unless_told(self, base):
        names = {name for name, _ in adapted(base()).named_parameters() if "lora_A" in name}
        layers = {name.split("base_model.model.backpack.")[1].split(".lora_A")[0] for name in names}
        blocks = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
        senses = ("block.mlp.c_fc", "block.mlp.c_proj", "final_mlp.c_fc", "final_mlp.c_proj")
        assert layers == {
            "weight_network.c_attn",
            *(f"trunk.h.{block}.{layer}" for block in (0, 1) for layer in blocks),
            *(f"sense_network.{layer}" for layer in senses),
        }

    def test_named_targets_are_adapted_alone(self, base):
        names = [name for name, _ in adapted(base(), lora_target_modules=["c_fc"]).named_parameters()]
        assert sum("lora_A" in name for name in names) == 4
        assert all("c_fc" in name for name in names if "lora_" in name)

    @pytest.mark.parametrize("target", ["wte", "lm_head", "trunk.wte"])
    def test_embeddings_and_head_are_refused(self, base, target):
        with pytest.raises(ValueError, match=rf"`lora_target_modules` must not name '{target}'"):
            adapted(base(), lora_target_modules=["c_attn", target])

    @pytest.mark.parametrize(
        ("setting", "value"),
        [("lora_r", 0), ("lora_alpha", 0.0), ("lora_dropout", 1.0), ("lora_target_modules", [])],
    )
    def test_settings_out_of_range_are_refused_by_name(self, setting, value):
        with pytest.raises(ValueError, match=f"`{setting}`"):
            AdapterArguments(use_peft=True, **{setting: value}).check_adapter()

    @pytest.mark.parametrize(
        ("setting", "value"), [("lora_r", 8), ("lora_dropout", 0.1), ("lora_target_modules", ["c_fc"])]
    )
    def test_settings_without_an_adapter_are_refused_by_name(self, setting, value):
        given = {"model": "base", "train_data": "train.jsonl", "target_language": "id", setting: value}
        with pytest.raises(ValueError, match=f"`{setting}` is for adapters"):
            AdaptArguments(**given)

    @pytest.mark.parametrize("freeze", ["sense_network", "sense_vectors"])
    def test_an_adapter_that_polish_freezes_whole_is_refused(self, make_trainer, base, freeze):
        target = r"sense_network.final_mlp.c_fc"
        with pytest.raises(ValueError, match=f"`polish_freeze={freeze}` freezes everything"):
            make_trainer(adapted(base(), lora_target_modules=[target]), polish_freeze=freeze)


class TestTraining:
    def test_moves_the_adapter_and_no_bit_of_the_base(self, trained, base):
        trainer, before = trained(polish_freeze="none"), weights_of(base())
        for name, value in trainer.model.named_parameters():
            plain = name.removeprefix("base_model.model.").replace(".base_layer", "")
            if "lora_B" in name:
                assert value.abs().sum() > 0, name
            elif "lora_A" not in name:
                assert torch.equal(value, before[plain]), name

    def test_keeps_embeddings_and_head_one_weight(self, trained):
        model = trained().model.get_base_model()
        assert model.lm_head.weight is model.get_input_embeddings().weight

    def test_lowers_the_loss(self, trained):
        history = trained(max_steps=25, polish_freeze="none", align_share=1.0, joint_share=0.0).state.log_history
        losses = [entry["loss_ctx"] + entry["loss_sns"] for entry in history if "loss_ctx" in entry]
        assert sum(losses[-5:]) < sum(losses[:5])

    @pytest.mark.parametrize(
        ("freeze", "frozen"),
        [("sense_network", ("sense_network", "weight_network")), ("sense_vectors", ("sense_network",)), ("none", ())],
    )
    def test_polish_freezes_the_part_of_the_adapter_that_it_names(self, make_trainer, base, freeze, frozen):
        trainer = make_trainer(adapted(base()), align_share=0.0, joint_share=0.0, polish_freeze=freeze, max_steps=2)
        before = weights_of(trainer.model)
        trainer.train()
        for name, value in trainer.model.named_parameters():
            stays = "lora_" not in name or any(part in name for part in frozen)
            assert torch.equal(value, before[name]) == stays, name

    @pytest.mark.parametrize("settings", [{}, {"gradient_accumulation_steps": 2}, {"lora_dropout": 0.2}], ids=str)
    def test_resumes_from_an_adapters_checkpoint_to_the_same_bits(self, make_trainer, base, settings):
        run = {"max_steps": 4, "save_strategy": "steps", "save_steps": 2, **settings}
        adapter = {"lora_dropout": run.pop("lora_dropout", 0.0)}
        torch.manual_seed(0)
        whole = make_trainer(adapted(base(), **adapter), **run)
        whole.train()
        torch.manual_seed(1)  # another start, which the checkpoint has to replace
        resumed = make_trainer(adapted(base(), **adapter), **run)
        resumed.train(resume_from_checkpoint=str(Path(whole.args.output_dir, "checkpoint-2")))
        for (name, value), other in zip(whole.model.named_parameters(), resumed.model.parameters(), strict=True):
            assert torch.equal(value, other), name


class TestSaving:
    def test_a_checkpoint_holds_the_adapter_and_no_model(self, trained):
        trainer = trained(save_strategy="steps", save_steps=3)
        names = {path.name for path in Path(trainer.args.output_dir, "checkpoint-3").iterdir()}
        assert {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "optimizer.pt"} <= names
        assert not {"model.safetensors", "README.md", "training_args.bin"} & names

    def test_the_final_folder_is_a_whole_model_with_the_adapter_beside_it(self, trained, base):
        trainer = trained()
        expected = logits_of(trainer.model)
        trainer.save_model(str(trainer.final_folder))
        model, info = AutoModelForCausalLM.from_pretrained(trainer.final_folder, output_loading_info=True)
        assert type(model) is BackpackForCausalLM and not any(info.values()), info
        assert model.lm_head.weight is model.get_input_embeddings().weight
        torch.testing.assert_close(logits_of(model), expected, rtol=1e-4, atol=1e-5)
        beside = PeftModel.from_pretrained(base(), trainer.final_folder / "adapter")
        torch.testing.assert_close(logits_of(beside), expected, rtol=0, atol=0)
        assert (logits_of(base()) - expected).abs().max() > 1e-3

    def test_saving_changes_nothing_in_the_model_that_trains(self, trained):
        trainer = trained()
        before = weights_of(trainer.model)
        trainer.save_model(str(trainer.final_folder))
        after = weights_of(trainer.model)
        assert before.keys() == after.keys() and all(torch.equal(after[name], before[name]) for name in before)

    def test_what_is_published_is_the_model_its_code_and_the_adapter(self, trained):
        trainer = trained()
        trainer.save_model(str(trainer.final_folder))
        names = {name.as_posix() for name in published_files(trainer.final_folder)}
        assert {"adapter/adapter_config.json", "adapter/adapter_model.safetensors"} <= names
        assert {"config.json", "model.safetensors", "modeling_backpack.py", "tokenizer.json"} <= names
        assert {path.name for path in trainer.final_folder.rglob("*") if path.is_file()} == {
            Path(name).name for name in names
        }

    def test_a_push_on_the_way_keeps_the_adapter_out_of_the_repositorys_root(self, trained, tmp_path):
        trainer = trained(save_strategy="steps", save_steps=3)
        staged = stage(Path(trainer.args.output_dir, "checkpoint-3"), tmp_path / "staged")
        names = {name.as_posix() for name in published_files(staged)}
        assert {"adapter/adapter_config.json", "adapter/adapter_model.safetensors", "tokenizer.json"} == {
            name for name in names if not name.startswith("tokenizer_config")
        }
        kept = load_file(staged / "adapter/adapter_model.safetensors")
        assert kept.keys() == load_file(Path(trainer.args.output_dir, "checkpoint-3/adapter_model.safetensors")).keys()

    def test_no_file_names_the_folder_of_the_base_model(self, make_trainer, base, tmp_path):
        trainer = make_trainer(adapted(base(), name=str(tmp_path / "base")), max_steps=1)
        trainer.train()
        trainer.save_model(str(trainer.final_folder))
        for path in trainer.final_folder.rglob("*.json"):
            assert str(tmp_path) not in path.read_text(encoding="utf-8"), path


class TestDescription:
    def test_counts_what_is_trained(self, base):
        model, plain = adapted(base(), lora_target_modules=["c_fc"]), base()
        # A layer [in, out] gets r (in + out) parameters: two blocks of the trunk, two of the sense network; D = 32.
        expected = 4 * 4 * (32 + 4 * 32)
        described = describe_adapter(model)
        assert described == {
            "method": "LoRA",
            "rank": 4,
            "alpha": 32,
            "dropout": 0.0,
            "targets": ["c_fc"],
            "trained_parameters": expected,
            "share": expected / plain.num_parameters(),
        }
        assert base_parameters(model) == plain.num_parameters()

    def test_is_none_without_an_adapter(self, base):
        assert describe_adapter(base()) is None


def test_config_of_the_trainer_is_left_alone(tmp_path):
    assert not {"use_peft", "lora_r"} & vars(SensiaConfig(output_dir=str(tmp_path))).keys()
