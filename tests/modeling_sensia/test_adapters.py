"""Adapters by peft: the targets that `docs/trunks.md` recommends, trained, saved, loaded, merged and switched off."""

from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from peft import AutoPeftModelForCausalLM, LoraConfig, PeftModel, get_peft_model
from tiny_backpacks import tiny_backpack, tiny_config, token_ids
from transformers import AutoModelForCausalLM, GenerationConfig

pytestmark = [
    # Two orientations of weights in one model; peft sets the right one for each.
    pytest.mark.filterwarnings("ignore:fan_in_fan_out is set:UserWarning"),
    # What it says is what one test is about.
    pytest.mark.filterwarnings("ignore:Input and output embeddings are no longer tied:UserWarning"),
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]

IDS = token_ids(4, 9)
LLAMA_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj", "c_attn")
#: Trunk, targets, and how many weights of a trunk of two layers they adapt.
TARGETS = [
    pytest.param(("gpt2", ("c_attn",), 2 + 1), id="gpt2 attention"),
    pytest.param(("gpt2", ("c_attn", "c_fc", "c_proj"), 2 * 4 + 1 + 4), id="gpt2 all by name"),
    pytest.param(("gpt2", "all-linear", 2 * 4 + 1 + 4), id="gpt2 all"),
    pytest.param(("llama", LLAMA_ATTENTION, 2 * 4 + 1), id="llama attention"),
    pytest.param(("llama", "all-linear", 2 * 7 + 1 + 4), id="llama all"),
]


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory):
    """Folders of base models, by trunk. Eight senses are wider than the sense network's hidden layer."""
    root = tmp_path_factory.mktemp("bases")
    for trunk in ("gpt2", "llama"):
        tiny_backpack(tiny_config(trunk, num_senses=8)).save_pretrained(root / trunk)
    return lambda trunk="gpt2": root / trunk


def base_model(folder):
    return AutoModelForCausalLM.from_pretrained(folder)


def adapted_model(folder, targets, **settings):
    """A Backpack with an adapter that was trained for a few steps, and the losses of those steps."""
    targets = targets if isinstance(targets, str) else list(targets)
    torch.manual_seed(0)
    adapter = LoraConfig(r=4, target_modules=targets, task_type="CAUSAL_LM", **settings)
    model = get_peft_model(base_model(folder), adapter).train()
    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=2e-2)
    losses = []
    for _ in range(4):
        torch.manual_seed(1)
        loss = model(input_ids=IDS, labels=IDS).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return model.eval(), losses


@torch.no_grad()
def logits_of(model):
    return model(input_ids=IDS).logits


def generate(model, **options):
    settings = GenerationConfig(max_new_tokens=6, do_sample=False, pad_token_id=0, **options)
    return model.generate(input_ids=IDS[:, :4], generation_config=settings)


@pytest.fixture(scope="module", params=TARGETS)
def case(request, base_folder):
    trunk, targets, count = request.param
    model, losses = adapted_model(base_folder(trunk), targets)
    return SimpleNamespace(folder=base_folder(trunk), count=count, model=model, losses=losses)


class TestRecommendedTargets:
    def test_adapt_the_weights_that_the_guide_says(self, case):
        assert sum(name.endswith("lora_A.default.weight") for name, _ in case.model.named_parameters()) == case.count

    def test_learn(self, case):
        assert case.losses[-1] < case.losses[0] - 1

    def test_leave_the_base_weights_alone(self, case):
        with case.model.disable_adapter():
            found = logits_of(case.model)
        torch.testing.assert_close(found, logits_of(base_model(case.folder)), rtol=0, atol=0)

    @pytest.mark.parametrize("options", [{"use_cache": True}, {"cache_implementation": "static"}], ids=str)
    def test_generate_with_a_cache_what_they_do_without(self, case, options):
        assert torch.equal(generate(case.model, **options), generate(case.model, use_cache=False))

    @pytest.mark.parametrize("loader", [AutoPeftModelForCausalLM, AutoModelForCausalLM])
    def test_come_back_from_an_adapters_folder(self, case, tmp_path, loader):
        case.model.save_pretrained(tmp_path)
        # The folder names its base model, so one call loads both.
        again = loader.from_pretrained(tmp_path).eval()
        torch.testing.assert_close(logits_of(again), logits_of(case.model), rtol=0, atol=0)

    def test_merge_into_a_plain_backpack_with_the_same_logits(self, case, tmp_path):
        merged = deepcopy(case.model).merge_and_unload()
        torch.testing.assert_close(logits_of(merged), logits_of(case.model), rtol=1e-4, atol=1e-4)
        merged.save_pretrained(tmp_path)
        again, info = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
        assert not any(info.values()), info
        assert again.lm_head.weight is again.get_input_embeddings().weight
        torch.testing.assert_close(logits_of(again), logits_of(merged), rtol=0, atol=0)


def test_an_adapters_folder_holds_the_adapter_only(base_folder, tmp_path):
    adapted_model(base_folder(), "all-linear")[0].save_pretrained(tmp_path / "adapter")
    found = {path.name for path in (tmp_path / "adapter").iterdir()}
    assert found == {"adapter_model.safetensors", "adapter_config.json", "README.md"}


def test_targets_have_to_be_named(base_folder):
    base = base_model(base_folder())
    with pytest.raises(ValueError, match="target_modules"):
        get_peft_model(base, LoraConfig(task_type="CAUSAL_LM"))


def test_an_adapter_trains_under_gradient_checkpointing(base_folder):
    model = adapted_model(base_folder(), "all-linear")[0].train()
    torch.manual_seed(1)
    model(input_ids=IDS, labels=IDS).loss.backward()
    expected = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
    model.zero_grad()
    model.enable_input_require_grads()
    model.base_model.model.activation_checkpointing_enable({"use_reentrant": True})
    torch.manual_seed(1)
    model(input_ids=IDS, labels=IDS).loss.backward()
    found = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    assert len(expected) == 2 * (2 * 4 + 1 + 4)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("trunk", "embedding"), [("gpt2", "wte"), ("llama", "embed_tokens")])
def test_new_tokens_learn_in_every_place_of_the_tied_embeddings(base_folder, tmp_path, trunk, embedding):
    folder = base_folder(trunk)
    model, losses = adapted_model(folder, ("c_attn",), trainable_token_indices={embedding: [3, 4, 5]})
    assert losses[-1] < losses[0]
    expected = logits_of(model)
    model.save_pretrained(tmp_path / "adapter")
    again = PeftModel.from_pretrained(base_model(folder), tmp_path / "adapter")
    torch.testing.assert_close(logits_of(again), expected, rtol=0, atol=0)
    merged = model.merge_and_unload()
    assert merged.lm_head.weight is merged.get_input_embeddings().weight
    torch.testing.assert_close(logits_of(merged), expected, rtol=1e-4, atol=1e-4)
    changed = (merged.lm_head.weight != base_model(folder).lm_head.weight).any(1).nonzero().flatten()
    assert changed.tolist() == [3, 4, 5]


@pytest.mark.parametrize("name", ["sense_network", "weight_network"])
def test_a_whole_network_can_be_trained_beside_the_adapter(base_folder, tmp_path, name):
    folder = base_folder()
    model = adapted_model(folder, ("c_attn",) if name == "sense_network" else ("c_fc",), modules_to_save=[name])[0]
    expected = logits_of(model)
    assert torch.equal(generate(model), generate(model, use_cache=False))
    model.save_pretrained(tmp_path / "adapter")
    again = PeftModel.from_pretrained(base_model(folder), tmp_path / "adapter")
    torch.testing.assert_close(logits_of(again), expected, rtol=0, atol=0)
    torch.testing.assert_close(logits_of(model.merge_and_unload()), expected, rtol=1e-4, atol=1e-4)


def test_a_whole_network_trained_beside_the_adapter_can_be_switched_off(base_folder):
    folder = base_folder()
    model = adapted_model(folder, ("c_attn",), modules_to_save=["sense_network"])[0]
    with model.disable_adapter():
        found = logits_of(model)
    torch.testing.assert_close(found, logits_of(base_model(folder)), rtol=0, atol=0)


def test_embeddings_that_an_adapter_unties_are_refused_when_the_merged_model_is_loaded(base_folder, tmp_path):
    model = adapted_model(base_folder(), ("c_attn",), modules_to_save=["wte"])[0]
    model.merge_and_unload().save_pretrained(tmp_path / "merged")
    with pytest.raises(ValueError, match="`tie_word_embeddings` must be true"):
        AutoModelForCausalLM.from_pretrained(tmp_path / "merged")


class TestSenseTable:
    def test_serves_an_adapter_that_leaves_the_senses_alone(self, base_folder):
        folder = base_folder()
        model = adapted_model(folder, ("c_attn",))[0]
        expected = logits_of(model)
        model.precompute_senses()
        torch.testing.assert_close(logits_of(model), expected, rtol=1e-5, atol=1e-5)
        with model.disable_adapter():
            found = logits_of(model)
        assert model.base_model.model.backpack.sense_table is not None
        torch.testing.assert_close(found, logits_of(base_model(folder)), rtol=1e-5, atol=1e-5)

    def test_is_refused_where_an_adapter_changes_the_senses(self, base_folder):
        # Adapters are switched on and off, and others chosen, without a change of any weight.
        model = adapted_model(base_folder(), "all-linear")[0]
        with pytest.raises(ValueError, match="adapters of the senses merged"):
            model.precompute_senses()

    @pytest.mark.parametrize(
        "settings", [{"modules_to_save": ["sense_network"]}, {"trainable_token_indices": {"wte": [3]}}], ids=str
    )
    def test_is_refused_where_the_senses_are_trained_beside_an_adapter(self, base_folder, settings):
        model = adapted_model(base_folder(), ("c_attn",), **settings)[0]
        with pytest.raises(ValueError, match="adapters of the senses merged"):
            model.precompute_senses()

    def test_holds_the_senses_of_a_merged_adapter(self, base_folder):
        merged = adapted_model(base_folder(), "all-linear")[0].merge_and_unload()
        expected = logits_of(merged)
        merged.precompute_senses()
        torch.testing.assert_close(logits_of(merged), expected, rtol=1e-5, atol=1e-5)
        assert merged.backpack.sense_table is not None

    def test_of_a_plain_model_is_dropped_when_an_adapter_of_the_senses_is_loaded(self, base_folder, tmp_path):
        folder = base_folder()
        model = adapted_model(folder, "all-linear")[0]
        model.save_pretrained(tmp_path / "adapter")
        base = base_model(folder)
        base.precompute_senses()
        again = PeftModel.from_pretrained(base, tmp_path / "adapter")
        torch.testing.assert_close(logits_of(again), logits_of(model), rtol=1e-5, atol=1e-5)
        with again.disable_adapter():
            found = logits_of(again)
        torch.testing.assert_close(found, logits_of(base_model(folder)), rtol=1e-5, atol=1e-5)
