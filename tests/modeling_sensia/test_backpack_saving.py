"""Saving and initialising: what a folder holds, who can read it, and which weights a new model starts from."""

import json
import math
import re
from pathlib import Path

import pytest
import torch
from fresh_process import run_fresh
from safetensors import safe_open
from safetensors.torch import save_file
from tiny_backpacks import VOCABULARY, tiny_backpack, tiny_config, token_ids
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModel, AutoModelForCausalLM, PreTrainedTokenizerFast
from travelling_code import CODE_FILES

import modeling_sensia
from modeling_sensia import BackpackForCausalLM, BackpackModel

IDS = token_ids(2, 6)


@pytest.fixture(params=["gpt2", "llama"])
def trunk(request):
    return request.param


def tensor_names(folder):
    names = []
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            names.extend(file.keys())
    return names


def same_state(found, expected):
    torch.testing.assert_close(found.state_dict(), expected.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("loader", [AutoModelForCausalLM, BackpackForCausalLM])
def test_a_saved_causal_model_comes_back(tmp_path, trunk, loader):
    model = tiny_backpack(tiny_config(trunk))
    model.save_pretrained(tmp_path)
    again, info = loader.from_pretrained(tmp_path, output_loading_info=True)
    assert type(again) is BackpackForCausalLM
    assert not any(info.values()), info
    same_state(again, model)
    torch.testing.assert_close(again(IDS).logits, model(IDS).logits, rtol=0, atol=0)


@pytest.mark.parametrize("loader", [AutoModel, BackpackModel])
def test_a_saved_causal_model_serves_as_a_base_model(tmp_path, trunk, loader):
    model = tiny_backpack(tiny_config(trunk))
    model.save_pretrained(tmp_path)
    again, info = loader.from_pretrained(tmp_path, output_loading_info=True)
    assert type(again) is BackpackModel
    assert not any(info.values()), info
    same_state(again, model.backpack)


def test_a_saved_base_model_serves_as_a_causal_model(tmp_path, trunk):
    model = tiny_backpack(tiny_config(trunk), model_class=BackpackModel)
    model.save_pretrained(tmp_path)
    again, info = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values()), info
    same_state(again.backpack, model)
    assert again.lm_head.weight is again.get_input_embeddings().weight


def test_the_tied_weight_is_stored_once(tmp_path, trunk):
    tiny_backpack(tiny_config(trunk)).save_pretrained(tmp_path)
    embedding = "wte" if trunk == "gpt2" else "embed_tokens"
    words = [name for name in tensor_names(tmp_path) if "lm_head" in name or embedding in name]
    assert words == [f"backpack.trunk.{embedding}.weight"]


def test_the_tie_holds_after_loading(tmp_path, trunk):
    tiny_backpack(tiny_config(trunk)).save_pretrained(tmp_path)
    again = BackpackForCausalLM.from_pretrained(tmp_path)
    assert again.lm_head.weight is again.get_input_embeddings().weight


def test_a_model_saved_in_shards_comes_back(tmp_path, trunk):
    model = tiny_backpack(tiny_config(trunk))
    model.save_pretrained(tmp_path, max_shard_size="60KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    same_state(BackpackForCausalLM.from_pretrained(tmp_path), model)


def test_a_folder_holds_weights_configurations_and_code_only(tmp_path):
    tiny_backpack().save_pretrained(tmp_path)
    found = {path.name for path in tmp_path.iterdir()}
    assert found == {"config.json", "generation_config.json", "model.safetensors", "modules.json", *CODE_FILES}


@pytest.mark.parametrize("model_class", [BackpackModel, BackpackForCausalLM])
def test_the_code_is_saved_as_it_is(tmp_path, model_class):
    tiny_backpack(model_class=model_class).save_pretrained(tmp_path)
    package = Path(modeling_sensia.__file__).parent
    for name in CODE_FILES:
        assert (tmp_path / name).read_text() == (package / name).read_text(), name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_the_precision_is_saved(tmp_path, dtype):
    tiny_backpack().to(dtype).save_pretrained(tmp_path)
    again = BackpackForCausalLM.from_pretrained(tmp_path)
    assert {parameter.dtype for parameter in again.parameters()} == {dtype}


def test_another_precision_can_be_asked_for_on_loading(tmp_path):
    tiny_backpack().save_pretrained(tmp_path)
    again = BackpackForCausalLM.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in again.parameters()} == {torch.bfloat16}


def test_the_trunk_takes_the_precision_of_the_rest():
    config = tiny_config("llama", trunk_overrides={"dtype": "bfloat16"})
    assert {parameter.dtype for parameter in BackpackForCausalLM(config).parameters()} == {torch.float32}


def test_a_seed_decides_the_first_weights(trunk):
    states = []
    for seed in (7, 7, 8):
        torch.manual_seed(seed)
        states.append(BackpackForCausalLM(tiny_config(trunk)).state_dict())
    torch.testing.assert_close(states[0], states[1], rtol=0, atol=0)
    name = "backpack.sense_network.final_mlp.c_proj.weight"
    assert not torch.equal(states[0][name], states[2][name])


def test_a_seed_decides_the_weights_that_a_file_lacks(tmp_path):
    missing = "backpack.weight_network.c_attn.weight"
    model = tiny_backpack()
    kept = {name: tensor for name, tensor in model.state_dict().items() if name != missing}
    model.save_pretrained(tmp_path, state_dict=kept)
    found = []
    for _ in range(2):
        torch.manual_seed(7)
        again, info = BackpackForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
        found.append(again.state_dict())
        assert info["missing_keys"] == {missing}
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)
    assert found[0][missing].std().item() == pytest.approx(0.02, rel=0.1)


def test_loading_leaves_no_weight_at_its_first_value(tmp_path, trunk):
    # Every weight of these models is away from what initialisation would write.
    model = tiny_backpack(tiny_config(trunk))
    model.save_pretrained(tmp_path)
    torch.manual_seed(7)
    same_state(BackpackForCausalLM.from_pretrained(tmp_path), model)


@pytest.fixture(scope="module")
def new_model():
    torch.manual_seed(0)
    return BackpackForCausalLM(tiny_config(trunk_overrides={"n_embd": 48, "initializer_range": 0.03}))


@pytest.mark.parametrize(
    "name",
    [
        "backpack.trunk.wte.weight",
        "backpack.sense_network.block.mlp.c_fc.weight",
        "backpack.sense_network.block.mlp.c_proj.weight",
        "backpack.sense_network.final_mlp.c_fc.weight",
        "backpack.sense_network.final_mlp.c_proj.weight",
        "backpack.weight_network.c_attn.weight",
    ],
)
def test_new_matrices_are_normal_with_the_initializer_range(new_model, name):
    weight = new_model.state_dict()[name]
    assert weight.std().item() == pytest.approx(0.03, rel=0.05)
    assert abs(weight.mean().item()) < 0.002


def test_the_trunks_residual_projections_shrink_with_its_depth(new_model):
    weight = new_model.state_dict()["backpack.trunk.h.0.mlp.c_proj.weight"]
    assert weight.std().item() == pytest.approx(0.03 / math.sqrt(2 * 2), rel=0.05)


def test_new_biases_are_zero(new_model):
    biases = [tensor for name, tensor in new_model.state_dict().items() if name.endswith("bias")]
    assert len(biases) > 10
    assert not any(bias.any() for bias in biases)


def test_new_norms_scale_by_one(new_model):
    vectors = {name: tensor for name, tensor in new_model.state_dict().items() if tensor.ndim == 1}
    scales = [tensor for name, tensor in vectors.items() if name.endswith("weight")]
    assert len(scales) == 3 + 2 * 2 + 1
    assert all(scale.eq(1).all() for scale in scales)


def test_a_new_model_ties_its_head(trunk):
    model = BackpackForCausalLM(tiny_config(trunk))
    assert model.lm_head.weight is model.get_input_embeddings().weight


def test_a_model_without_memory_can_be_built(trunk):
    with torch.device("meta"):
        model = BackpackForCausalLM(tiny_config(trunk))
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    assert model.lm_head.weight is model.get_input_embeddings().weight


def test_a_model_built_without_memory_has_the_parameters_of_a_real_one(trunk):
    with torch.device("meta"):
        planned = BackpackForCausalLM(tiny_config(trunk))
    real = BackpackForCausalLM(tiny_config(trunk))
    assert [(n, p.shape) for n, p in planned.named_parameters()] == [(n, p.shape) for n, p in real.named_parameters()]


def test_the_default_size_is_the_published_one():
    with torch.device("meta"):
        model = BackpackForCausalLM(modeling_sensia.BackpackConfig())
    assert sum(parameter.numel() for parameter in model.parameters()) == 170_083_584


FRESH_USER = """
import json, pathlib, sys, torch
sys.modules["modeling_sensia"] = None  # importing the package fails from here on
from transformers import AutoModel, AutoModelForCausalLM, pipeline

folder, second, results = map(pathlib.Path, sys.argv[1:])
ids = torch.tensor(json.loads((folder / "ids.json").read_text()))
causal = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
base = AutoModel.from_pretrained(folder, trust_remote_code=True)
writer = pipeline("text-generation", model=str(folder), trust_remote_code=True)
text = writer(["w3 w4 w5", "w6"], max_new_tokens=5, do_sample=False, batch_size=2)
causal.save_pretrained(second)
again = AutoModelForCausalLM.from_pretrained(second, trust_remote_code=True)
again_base = AutoModel.from_pretrained(second, trust_remote_code=True)
torch.save(
    {
        "modules": [type(model).__module__ for model in (causal, base, again)],
        "logits": causal(ids).logits.detach(),
        "mixture": base(ids).last_hidden_state.detach(),
        "again": again(ids).logits.detach(),
        "again mixture": again_base(ids).last_hidden_state.detach(),
        "texts": [row[0]["generated_text"] for row in text],
        "saved": sorted(path.name for path in second.iterdir()),
        "auto_map": json.loads((second / "config.json").read_text())["auto_map"],
    },
    results,
)
"""


def word_tokenizer():
    """Token k is the word `wk`."""
    vocabulary = {f"w{token}": token for token in range(VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="w0", eos_token="w1", unk_token="w0", padding_side="left"
    )


@pytest.fixture(scope="module")
def fresh_user(tmp_path_factory):
    """A saved model, and what somebody without this package gets from its folder."""
    root = tmp_path_factory.mktemp("fresh")
    model = tiny_backpack(tiny_config(trunk_overrides={"eos_token_id": 1, "pad_token_id": 0}), seed=2)
    folder = root / "saved"
    model.save_pretrained(folder)
    word_tokenizer().save_pretrained(folder)
    (folder / "ids.json").write_text(json.dumps(IDS.tolist()))
    run_fresh(FRESH_USER, folder, root / "second", root / "results.pt", folder=root)
    return model, torch.load(root / "results.pt", weights_only=True)


class TestFreshUser:
    def test_runs_the_code_of_the_folder(self, fresh_user):
        _, results = fresh_user
        assert all(module.startswith("transformers_modules.") for module in results["modules"])

    def test_gets_the_logits(self, fresh_user):
        model, results = fresh_user
        torch.testing.assert_close(results["logits"], model(IDS).logits)

    def test_gets_the_mixture_from_the_base_model(self, fresh_user):
        model, results = fresh_user
        torch.testing.assert_close(results["mixture"], model.backpack(IDS).last_hidden_state)

    def test_writes_with_a_pipeline(self, fresh_user):
        model, results = fresh_user
        for prompt, text in zip(["w3 w4 w5", "w6"], results["texts"], strict=True):
            ids = torch.tensor([[int(word[1:]) for word in prompt.split()]])
            expected = model.generate(ids, max_new_tokens=5, do_sample=False)[0].tolist()
            assert re.findall(r"w\d+", text) == [f"w{token}" for token in expected if token > 1]

    def test_saves_the_code_again(self, fresh_user):
        _, results = fresh_user
        assert set(CODE_FILES) < set(results["saved"])
        assert results["auto_map"] == tiny_config().auto_map

    def test_gets_the_same_from_what_was_saved_again(self, fresh_user):
        _, results = fresh_user
        torch.testing.assert_close(results["again"], results["logits"], rtol=0, atol=0)
        torch.testing.assert_close(results["again mixture"], results["mixture"], rtol=0, atol=0)


FRESH_TOKENIZER = """
import builtins, sys
sys.modules["modeling_sensia"] = None  # importing the package fails from here on
def ask(question):
    raise SystemExit(f"asked: {question}")
builtins.input = ask
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1], trust_remote_code=False)
assert tokenizer("w3 w4").input_ids == [3, 4]
assert not any(name.startswith("transformers_modules.") for name in sys.modules)
"""


def test_the_tokenizer_loads_without_the_folders_code_and_nobody_is_asked(tmp_path):
    tiny_backpack().save_pretrained(tmp_path / "saved")
    word_tokenizer().save_pretrained(tmp_path / "saved")
    run_fresh(FRESH_TOKENIZER, tmp_path / "saved", folder=tmp_path)


def test_a_file_that_names_the_tied_head_too_loads(trunk, tmp_path):
    model = tiny_backpack(tiny_config(trunk))
    model.save_pretrained(tmp_path)
    save_file({name: value.clone() for name, value in model.state_dict().items()}, tmp_path / "model.safetensors")
    assert "lm_head.weight" in tensor_names(tmp_path)
    same_state(BackpackForCausalLM.from_pretrained(tmp_path), model)
