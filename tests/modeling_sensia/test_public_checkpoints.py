"""Checkpoints in the public layout: every form of the file loads, gives the published outputs and is saved as ours."""

import json
import os
from itertools import chain, combinations

import pytest
import torch
from fresh_process import run_fresh
from naive_backpack import naive_backpack
from public_backpacks import (
    FORMS,
    NUM_HEADS,
    NUM_SENSES,
    POSITION_NAMES,
    VOCABULARY,
    WORD_NAMES,
    all_names,
    legacy_buffers,
    public_tensors,
    write_config,
    write_deduplicated,
    write_full,
    write_named,
    write_pickled,
    write_shards,
)
from safetensors import safe_open

from modeling_sensia import BackpackConfig, BackpackForCausalLM, BackpackModel

IDS = [3, 17, 3, 60, 8, 41]


def subsets(names):
    """All non-empty ones."""
    return list(chain.from_iterable(combinations(names, size) for size in range(1, len(names) + 1)))


@pytest.fixture(scope="module")
def tensors():
    return public_tensors()


def naive(tensors, inverse_layer_scaling=True):
    exact = {name: tensor.double() for name, tensor in tensors.items()}
    return naive_backpack(exact, IDS, NUM_SENSES, NUM_HEADS, inverse_layer_scaling)


@pytest.fixture(scope="module")
def expected(tensors):
    return naive(tensors)


def close(found, expected):
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=2e-5)


@torch.no_grad()
def logits(model):
    return model(torch.tensor([IDS])).logits[0]


@torch.no_grad()
def mixture(model):
    return model(torch.tensor([IDS])).last_hidden_state[0]


@pytest.mark.parametrize("form", FORMS)
class TestForm:
    def test_gives_the_published_logits(self, tmp_path, tensors, expected, form):
        model = BackpackForCausalLM.from_pretrained(FORMS[form](tmp_path, tensors))
        close(logits(model), expected.logits)

    def test_gives_the_published_senses_and_contextualization(self, tmp_path, tensors, expected, form):
        model = BackpackForCausalLM.from_pretrained(FORMS[form](tmp_path, tensors))
        output = model(torch.tensor([IDS]), output_senses=True, output_contextualization=True)
        close(output.senses[0], expected.senses)
        close(output.contextualization[0], expected.contextualization)

    def test_gives_the_published_mixture_without_a_head(self, tmp_path, tensors, expected, form):
        model = BackpackModel.from_pretrained(FORMS[form](tmp_path, tensors))
        close(mixture(model), expected.mixture)

    def test_leaves_nothing_missing_or_over(self, tmp_path, tensors, form):
        folder = FORMS[form](tmp_path, tensors)
        for model_class in (BackpackForCausalLM, BackpackModel):
            _, info = model_class.from_pretrained(folder, output_loading_info=True)
            assert not any(info.values()), info

    def test_ties_the_head_to_the_word_embeddings(self, tmp_path, tensors, form):
        model = BackpackForCausalLM.from_pretrained(FORMS[form](tmp_path, tensors))
        assert model.lm_head.weight is model.get_input_embeddings().weight

    def test_loads_in_another_precision(self, tmp_path, tensors, form):
        model = BackpackForCausalLM.from_pretrained(FORMS[form](tmp_path, tensors), dtype=torch.float64)
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float64}
        close(logits(model), naive(tensors).logits)


def test_the_layout_has_the_published_count_of_names(tensors):
    # 167 names of 12 layers, of which each layer has 12.
    assert len(all_names(tensors)) == 167 - 10 * 12


def named_subset(tensors, words, positions):
    whole = all_names(tensors)
    dropped = {*WORD_NAMES, *POSITION_NAMES} - {*words, *positions}
    return {name: tensor for name, tensor in whole.items() if name not in dropped}


#: Each name as the only one of its group, which is when it must serve for the others.
SUBSETS = [
    *(((name,), tuple(POSITION_NAMES)) for name in WORD_NAMES),
    *((tuple(WORD_NAMES), (name,)) for name in POSITION_NAMES),
]


@pytest.mark.parametrize(("words", "positions"), SUBSETS, ids=lambda names: "+".join(n.split(".")[-2] for n in names))
class TestTiedNames:
    def test_any_of_them_serve_the_causal_model(self, tmp_path, tensors, expected, words, positions):
        folder = write_named(tmp_path, named_subset(tensors, words, positions))
        close(logits(BackpackForCausalLM.from_pretrained(folder)), expected.logits)

    def test_any_of_them_serve_the_base_model(self, tmp_path, tensors, expected, words, positions):
        folder = write_named(tmp_path, named_subset(tensors, words, positions))
        close(mixture(BackpackModel.from_pretrained(folder)), expected.mixture)


@pytest.mark.parametrize("model_class", [BackpackForCausalLM, BackpackModel])
def test_masks_of_older_files_are_dropped(tmp_path, tensors, expected, model_class):
    folder = write_pickled(tmp_path, tensors | legacy_buffers())
    model, info = model_class.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values()), info
    found = logits(model) if model_class is BackpackForCausalLM else mixture(model)
    close(found, expected.logits if model_class is BackpackForCausalLM else expected.mixture)


def test_a_checkpoint_in_shards_loads(tmp_path, tensors, expected):
    whole = all_names(tensors)
    shards = [{name: whole[name] for name in list(whole)[start::3]} for start in range(3)]
    close(logits(BackpackForCausalLM.from_pretrained(write_shards(tmp_path, *shards))), expected.logits)


PAIRS = [pair for group in (WORD_NAMES, POSITION_NAMES) for pair in combinations(group, 2)]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: "+".join(name.split(".")[-2] for name in pair))
@pytest.mark.parametrize("form", ["pickled", "safetensors", "shards"])
def test_aliases_that_disagree_are_refused_by_name(tmp_path, tensors, pair, form):
    words = [name for name in pair if name in WORD_NAMES] or WORD_NAMES[:1]
    positions = [name for name in pair if name in POSITION_NAMES] or POSITION_NAMES[:1]
    named = named_subset(tensors, words, positions)
    named[pair[1]] = named[pair[1]] + torch.eye(*named[pair[1]].shape) * 1e-3
    if form == "pickled":
        torch.save(named, write_config(tmp_path) / "pytorch_model.bin")
    elif form == "safetensors":
        write_named(tmp_path, named)
    else:
        write_shards(tmp_path, {pair[1]: named.pop(pair[1])}, named)
    with pytest.raises(ValueError, match="must be one tensor") as error:
        BackpackForCausalLM.from_pretrained(tmp_path)
    assert all(f"`{name}`" in str(error.value) for name in pair)


def test_a_checkpoint_trained_without_scaling_is_served_by_the_switch(tmp_path, tensors):
    folder = write_full(tmp_path, tensors)
    model = BackpackForCausalLM.from_pretrained(folder, scale_attn_by_inverse_layer_idx=False)
    close(logits(model), naive(tensors, inverse_layer_scaling=False).logits)


def test_scaling_matters_in_these_tests(tensors, expected):
    assert (naive(tensors, inverse_layer_scaling=False).logits - expected.logits).abs().max() > 0.1


def test_the_switch_is_saved(tmp_path, tensors):
    (tmp_path / "public").mkdir()
    folder = write_full(tmp_path / "public", tensors)
    model = BackpackForCausalLM.from_pretrained(folder, scale_attn_by_inverse_layer_idx=False)
    model.save_pretrained(tmp_path / "ours")
    written = json.loads((tmp_path / "ours" / "config.json").read_text())
    assert written["trunk_config"]["scale_attn_by_inverse_layer_idx"] is False
    close(logits(BackpackForCausalLM.from_pretrained(tmp_path / "ours")), naive(tensors, False).logits)


@pytest.mark.parametrize("model_class", [BackpackForCausalLM, BackpackModel])
def test_a_loaded_checkpoint_is_saved_under_our_names(tmp_path, tensors, model_class):
    (tmp_path / "public").mkdir()
    model_class.from_pretrained(write_pickled(tmp_path / "public", tensors)).save_pretrained(tmp_path / "ours")
    with safe_open(tmp_path / "ours" / "model.safetensors", framework="pt") as file:
        names = set(file.keys())
    assert names == set(model_class(BackpackConfig.from_pretrained(tmp_path / "ours")).state_dict()) - {
        "lm_head.weight"
    }
    assert not [name for name in names if "gpt2_model" in name or "sense_weight_net" in name or "_embeddings" in name]


def test_a_loaded_checkpoint_saved_in_shards_comes_back(tmp_path, tensors, expected):
    (tmp_path / "public").mkdir()
    model = BackpackForCausalLM.from_pretrained(write_pickled(tmp_path / "public", tensors))
    model.save_pretrained(tmp_path / "ours", max_shard_size="50KB")
    assert len(list((tmp_path / "ours").glob("*.safetensors"))) > 2
    close(logits(BackpackForCausalLM.from_pretrained(tmp_path / "ours")), expected.logits)


def test_a_loaded_checkpoint_saved_comes_back_in_a_fresh_process(tmp_path, tensors, expected):
    (tmp_path / "public").mkdir()
    model = BackpackForCausalLM.from_pretrained(write_deduplicated(tmp_path / "public", tensors))
    model.save_pretrained(tmp_path / "ours")
    code = (
        "import sys, torch, modeling_sensia, transformers\n"
        "model = transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1])\n"
        f"torch.save(model(torch.tensor([{IDS}])).logits[0].detach(), sys.argv[2])\n"
    )
    run_fresh(code, tmp_path / "ours", tmp_path / "logits.pt", folder=tmp_path)
    close(torch.load(tmp_path / "logits.pt", weights_only=True), expected.logits)


def test_a_trained_checkpoint_saved_comes_back(tmp_path, tensors):
    (tmp_path / "public").mkdir()
    model = BackpackForCausalLM.from_pretrained(write_full(tmp_path / "public", tensors)).eval()
    model(torch.tensor([IDS]), labels=torch.tensor([IDS])).loss.backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    model.save_pretrained(tmp_path / "ours")
    torch.testing.assert_close(logits(BackpackForCausalLM.from_pretrained(tmp_path / "ours")), logits(model))


def missing_cases():
    """The first tensor of each module of the first layer, and all names of a tied one."""
    tied = {*WORD_NAMES, *POSITION_NAMES}
    names = [name for name in public_tensors() if name not in tied and "h.1" not in name]
    of_modules = {name.split(".")[1:-2][-1]: name for name in reversed(names)}
    return [*of_modules.values(), WORD_NAMES, POSITION_NAMES]


@pytest.mark.parametrize("missing", missing_cases(), ids=lambda case: case if isinstance(case, str) else case[0])
@pytest.mark.parametrize("model_class", [BackpackForCausalLM, BackpackModel])
def test_a_missing_tensor_is_refused_by_name(tmp_path, tensors, missing, model_class):
    dropped = [missing] if isinstance(missing, str) else missing
    folder = write_named(
        tmp_path, {name: tensor for name, tensor in all_names(tensors).items() if name not in dropped}
    )
    ours = dropped[0].replace("gpt2_model", "trunk").replace("sense_weight_net", "weight_network")
    with pytest.raises(ValueError, match="does not fit") as error:
        model_class.from_pretrained(folder)
    assert ours.removeprefix("backpack.") in str(error.value)


@pytest.mark.parametrize(
    "leftover",
    ["backpack.gpt2_model.h.7.ln_1.weight", "backpack.sense_network.extra.weight", "score.weight"],
)
def test_a_tensor_without_a_place_is_refused_by_name(tmp_path, tensors, leftover):
    folder = write_named(tmp_path, all_names(tensors) | {leftover: torch.zeros(3)})
    with pytest.raises(ValueError, match="left over") as error:
        BackpackForCausalLM.from_pretrained(folder)
    assert leftover.replace("gpt2_model", "trunk") in str(error.value)


def test_a_tensor_of_another_shape_is_refused(tmp_path, tensors):
    name = "backpack.sense_weight_net.c_attn.bias"
    with pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
        BackpackForCausalLM.from_pretrained(write_named(tmp_path, all_names(tensors) | {name: torch.zeros(5)}))


class Bomb:
    """Makes a folder where it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("name", ["bomb", "lm_head.weight"])
def test_code_in_a_pickle_is_not_run(tmp_path, tensors, name):
    folder = write_config(tmp_path)
    torch.save(all_names(tensors) | {name: Bomb(tmp_path / "exploded")}, folder / "pytorch_model.bin")
    with pytest.raises(Exception, match="Weights only load failed"):
        BackpackForCausalLM.from_pretrained(folder)
    assert not (tmp_path / "exploded").exists()


def test_the_configuration_becomes_ours(tmp_path):
    config = BackpackConfig.from_pretrained(write_config(tmp_path))
    assert (config.model_type, config.architectures) == ("backpack", ["BackpackForCausalLM"])
    assert (config.num_senses, config.sense_dropout, config.sense_activation) == (NUM_SENSES, 0.1, "gelu_new")
    assert (config.trunk_config.model_type, config.trunk_config.n_layer, config.vocab_size) == ("gpt2", 2, VOCABULARY)
    assert config.scale_attn_by_inverse_layer_idx is True
    assert config.auto_map["AutoModelForCausalLM"] == "modeling_backpack.BackpackForCausalLM"


def test_the_trunk_keeps_no_reference_to_the_public_code(tmp_path):
    trunk = BackpackConfig.from_pretrained(write_config(tmp_path)).trunk_config.to_dict()
    assert not {"auto_map", "num_senses", "sense_intermediate_scale"} & set(trunk)
    assert trunk["architectures"] is None


def test_fields_that_the_configuration_leaves_out_take_the_public_defaults(tmp_path):
    (tmp_path / "config.json").write_text('{"architectures": ["BackpackGPT2LMHeadModel"], "model_type": "gpt2"}')
    config = BackpackConfig.from_pretrained(tmp_path)
    assert (config.num_senses, config.vocab_size, config.max_position_embeddings) == (16, 50264, 512)
    assert config.scale_attn_by_inverse_layer_idx is True


@pytest.mark.parametrize(
    "changes",
    [{"model_type": "backpack-gpt2"}, {"auto_map": {"AutoConfig": "backpack_config.BackpackConfig"}}],
    ids=str,
)
def test_an_export_that_divides_the_mixture_is_sent_to_the_converter(tmp_path, changes):
    write_config(tmp_path, **changes)
    with pytest.raises(ValueError, match="conversion_backpack"):
        BackpackConfig.from_pretrained(tmp_path)


def test_the_configuration_is_known_by_its_senses(tmp_path):
    config = BackpackConfig.from_pretrained(write_config(tmp_path, architectures=None))
    assert (config.num_senses, config.trunk_config.model_type) == (NUM_SENSES, "gpt2")


def test_generation_knows_the_end_of_text(tmp_path, tensors):
    model = BackpackForCausalLM.from_pretrained(write_full(tmp_path, tensors))
    assert (model.generation_config.bos_token_id, model.generation_config.eos_token_id) == (58, 58)
