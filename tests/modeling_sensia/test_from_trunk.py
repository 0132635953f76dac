"""Wrapping a pretrained decoder: its weights stay, its head goes, the senses are new."""

import logging

import pytest
import torch
from public_backpacks import public_tensors, write_config, write_full
from tiny_backpacks import VOCABULARY, spread_weights, tiny_backpack, token_ids
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

from modeling_sensia import BackpackForCausalLM

IDS = token_ids(3, 9)
SMALL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 48,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GROUPED = {**SMALL, "num_key_value_heads": 2}
#: Kind, configuration, and whether its head is tied to its embeddings.
DECODERS = {
    "gpt2": ("gpt2", SMALL, True),
    "llama": ("llama", GROUPED, False),
    "llama, tied": ("llama", {**GROUPED, "tie_word_embeddings": True}, True),
    "qwen3": ("qwen3", {**GROUPED, "head_dim": 16}, False),
}


def pretrained(kind, fields):
    decoder = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **fields))
    spread_weights(decoder, seed=5)
    return decoder.eval()


@pytest.fixture(scope="module", params=DECODERS)
def case(request, tmp_path_factory):
    """A pretrained decoder, the folder that it was saved in, and whether its head is tied."""
    kind, fields, tied = DECODERS[request.param]
    folder = tmp_path_factory.mktemp(kind)
    decoder = pretrained(kind, fields)
    decoder.save_pretrained(folder)
    return decoder, folder, tied


@pytest.fixture
def wrap(case):
    def wrap(seed=0, **settings):
        torch.manual_seed(seed)
        return BackpackForCausalLM.from_trunk(case[1], **{"num_senses": 8, **settings})

    return wrap


def networks(model):
    return {name: tensor for name, tensor in model.state_dict().items() if "network" in name}


def test_the_trunk_is_the_pretrained_decoder(case, wrap):
    decoder, _, _ = case
    trunk = wrap().backpack.trunk
    assert type(trunk) is type(decoder.base_model)
    torch.testing.assert_close(trunk.state_dict(), decoder.base_model.state_dict(), rtol=0, atol=0)
    with torch.no_grad():
        states = [model(IDS).last_hidden_state for model in (trunk, decoder.base_model)]
    torch.testing.assert_close(*states)  # GPT-2's activation is the fused one


def test_the_head_is_the_decoders_word_embeddings(case, wrap):
    model = wrap()
    assert model.lm_head.weight is model.get_input_embeddings().weight
    torch.testing.assert_close(model.lm_head.weight, case[0].get_input_embeddings().weight, rtol=0, atol=0)


def test_dropping_a_head_of_its_own_is_said(case, wrap, caplog):
    with caplog.at_level(logging.WARNING):
        wrap()
    assert any("head is dropped" in record.getMessage() for record in caplog.records) is not case[2]


def test_the_senses_are_those_of_a_new_model(wrap):
    for name, tensor in networks(wrap()).items():
        if tensor.ndim > 1:
            assert tensor.std().item() == pytest.approx(0.02, rel=0.1), name
            assert abs(tensor.mean().item()) < 0.002, name
        else:
            assert tensor.eq(1.0 if name.endswith("weight") else 0.0).all(), name


def test_a_seed_decides_the_senses(wrap):
    first, again, other = (networks(wrap(seed)) for seed in (0, 0, 1))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert not torch.equal(*(senses["backpack.weight_network.c_attn.weight"] for senses in (first, other)))


def test_the_senses_have_the_sizes_that_are_asked_for(wrap):
    config = wrap(num_senses=4, sense_intermediate_scale=2, sense_dropout=0.3).config
    assert (config.num_senses, config.sense_intermediate_scale, config.sense_dropout) == (4, 2, 0.3)


def test_sixteen_senses_are_the_default(case):
    model = BackpackForCausalLM.from_trunk(case[1])
    assert (model.config.num_senses, model.config.sense_intermediate_scale, model.config.sense_dropout) == (16, 4, 0.1)
    assert model.get_senses(IDS).shape == (3, 16, 9, 32)


def test_nothing_is_left_on_the_meta_device(wrap):
    model = wrap()
    assert {tensor.device.type for tensor in (*model.parameters(), *model.buffers())} == {"cpu"}


def test_the_model_is_in_evaluation_mode_as_loaded_ones_are(wrap):
    assert not any(module.training for module in wrap().modules())


@pytest.mark.parametrize("dtype", [torch.bfloat16, "bfloat16", torch.float64], ids=str)
def test_a_precision_can_be_asked_for(wrap, dtype):
    model = wrap(dtype=dtype)
    expected = dtype if isinstance(dtype, torch.dtype) else torch.bfloat16
    assert {parameter.dtype for parameter in model.parameters()} == {expected}
    assert model(IDS).logits.isfinite().all()


def test_the_precision_of_the_file_is_kept(case, tmp_path):
    kind = case[0].config.model_type
    pretrained(kind, GROUPED if kind != "gpt2" else SMALL).bfloat16().save_pretrained(tmp_path)
    model = BackpackForCausalLM.from_trunk(tmp_path, dtype="auto")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


def test_the_trunks_special_tokens_are_kept(wrap):
    model = wrap()
    assert (model.config.bos_token_id, model.config.eos_token_id) == (1, 2)
    assert model.generation_config.eos_token_id == 2


def test_the_model_learns(wrap):
    model = wrap().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(4):
        torch.manual_seed(0)
        loss = model(IDS, labels=IDS).loss
        loss.backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize("options", [{"use_cache": True}, {"cache_implementation": "static"}], ids=str)
def test_the_model_writes_with_a_cache_what_it_does_without(wrap, options):
    model = wrap()
    spread_weights(model, seed=3)

    def generate(**options):
        settings = GenerationConfig(max_new_tokens=6, do_sample=False, pad_token_id=0, eos_token_id=None, **options)
        return model.generate(IDS, generation_config=settings)

    assert torch.equal(generate(**options), generate(use_cache=False))


def test_the_model_is_saved_as_any_backpack(wrap, tmp_path):
    model = wrap()
    model.save_pretrained(tmp_path)
    again, info = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values()), info
    torch.testing.assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(again(IDS).logits, model(IDS).logits, rtol=0, atol=0)


def test_a_decoder_in_shards_and_in_a_subfolder_is_found(case, tmp_path):
    decoder = case[0]
    decoder.save_pretrained(tmp_path / "inner", max_shard_size="20KB")
    trunk = BackpackForCausalLM.from_trunk(tmp_path, subfolder="inner").backpack.trunk
    torch.testing.assert_close(trunk.state_dict(), decoder.base_model.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("kind", "fields", "reason"),
    [
        ("mistral", {**GROUPED, "sliding_window": 8}, "`mistral` trunk with `sliding_window`"),
        ("bert", SMALL, "`bert` trunk cannot carry senses: it is not a causal language model"),
        ("qwen3_next", GROUPED, "`qwen3_next` trunk with layers"),
        ("mamba", {"vocab_size": VOCABULARY, "hidden_size": 32}, "`mamba` trunk with layers"),
        ("t5", {"vocab_size": VOCABULARY, "d_model": 32}, "`t5` trunk with `is_encoder_decoder`"),
    ],
)
def test_a_decoder_that_cannot_carry_senses_is_refused_before_its_weights_are_read(tmp_path, kind, fields, reason):
    AutoConfig.for_model(kind, **fields).save_pretrained(tmp_path)  # there are no weights
    with pytest.raises(ValueError, match=reason):
        BackpackForCausalLM.from_trunk(tmp_path)


def test_a_wrong_number_of_senses_is_refused(case):
    with pytest.raises(ValueError, match=r"`num_senses` must lie in \[1, hidden_size = 32\], got 33"):
        BackpackForCausalLM.from_trunk(case[1], num_senses=33)


def test_a_file_without_all_of_the_trunk_is_refused(case, tmp_path):
    decoder = case[0]
    names = [name for name in decoder.state_dict() if ".1." in name]
    kept = {name: tensor for name, tensor in decoder.state_dict().items() if name != names[0]}
    decoder.save_pretrained(tmp_path, state_dict=kept)
    with pytest.raises(ValueError, match=names[0].split(".", 1)[1]):
        BackpackForCausalLM.from_trunk(tmp_path)


def test_a_backpack_is_refused(tmp_path):
    tiny_backpack().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="Backpack"):
        BackpackForCausalLM.from_trunk(tmp_path)


def test_a_public_backpack_is_refused(tmp_path):
    write_full(tmp_path, public_tensors())
    write_config(tmp_path)
    with pytest.raises(ValueError, match="Backpack"):
        BackpackForCausalLM.from_trunk(tmp_path)


def test_an_attention_that_is_asked_for_is_the_whole_models(wrap):
    model = wrap(attn_implementation="eager")
    assert (model.config._attn_implementation, model.backpack.trunk.config._attn_implementation) == ("eager", "eager")


def test_the_decoders_generation_settings_stay(case, tmp_path):
    case[0].save_pretrained(tmp_path)
    GenerationConfig(eos_token_id=[2, 5], do_sample=True, top_k=7).save_pretrained(tmp_path)
    model = BackpackForCausalLM.from_trunk(tmp_path, num_senses=8)
    assert (model.generation_config.eos_token_id, model.generation_config.top_k) == ([2, 5], 7)


@pytest.mark.parametrize("name", ["device_map", "output_loading_info"])
def test_what_cannot_be_passed_on_is_refused_by_name(wrap, name):
    with pytest.raises(ValueError, match=name):
        wrap(**{name: "auto"})
