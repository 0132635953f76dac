"""The configuration: what it keeps, what its properties read and write, and which trunks it refuses."""

import json

import pytest
import torch
from tiny_backpacks import VOCABULARY, tiny_backpack, tiny_config, token_ids
from transformers import AutoConfig, GPT2Config, LlamaConfig, MistralConfig, Qwen2Config, T5Config
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from modeling_sensia import BackpackConfig, BackpackForCausalLM, BackpackModel

AUTO_MAP = {
    "AutoConfig": "configuration_backpack.BackpackConfig",
    "AutoModel": "modeling_backpack.BackpackModel",
    "AutoModelForCausalLM": "modeling_backpack.BackpackForCausalLM",
}


def test_the_default_is_the_public_english_backpack():
    config = BackpackConfig()
    assert (config.num_senses, config.sense_intermediate_scale, config.layer_norm_epsilon) == (16, 4, 1e-5)
    assert (config.vocab_size, config.hidden_size, config.max_position_embeddings) == (50264, 768, 512)
    assert config.trunk_config.model_type == "gpt2"
    assert config.scale_attn_by_inverse_layer_idx is True
    assert config.num_hidden_layers == 13


@pytest.mark.parametrize("trunk", ["gpt2", "llama"])
def test_a_saved_configuration_comes_back_whole(tmp_path, trunk):
    config = tiny_config(
        trunk,
        num_senses=3,
        sense_intermediate_scale=2,
        sense_activation="relu",
        sense_dropout=0.3,
        layer_norm_epsilon=1e-6,
        use_cache=False,
        trunk_overrides={"eos_token_id": 4, "bos_token_id": 5, "pad_token_id": 6},
    )
    config.save_pretrained(tmp_path)
    again = BackpackConfig.from_pretrained(tmp_path)
    assert again.to_dict() == config.to_dict()
    assert type(again.trunk_config) is type(config.trunk_config)


def test_the_auto_class_reads_a_saved_configuration(tmp_path):
    tiny_config().save_pretrained(tmp_path)
    assert type(AutoConfig.from_pretrained(tmp_path)) is BackpackConfig


def test_a_dict_and_a_configuration_give_the_same_trunk():
    fields = {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 50, "bos_token_id": 0, "eos_token_id": 1}
    from_dict = BackpackConfig(trunk_config={"model_type": "gpt2", **fields})
    assert from_dict.to_dict() == BackpackConfig(trunk_config=GPT2Config(**fields)).to_dict()


def test_a_trunk_dict_without_a_type_is_a_gpt2():
    assert BackpackConfig(trunk_config={"n_embd": 64, "n_head": 4}).trunk_config.model_type == "gpt2"


@pytest.mark.parametrize(
    ("name", "trunk_name", "value"),
    [
        ("vocab_size", "vocab_size", 120),
        ("hidden_size", "n_embd", 64),
        ("max_position_embeddings", "n_positions", 96),
        ("num_attention_heads", "n_head", 8),
        ("initializer_range", "initializer_range", 0.1),
        ("bos_token_id", "bos_token_id", 11),
        ("eos_token_id", "eos_token_id", 12),
        ("pad_token_id", "pad_token_id", 13),
        ("scale_attn_by_inverse_layer_idx", "scale_attn_by_inverse_layer_idx", False),
    ],
)
class TestTrunkProperty:
    def test_is_read_from_the_trunk(self, name, trunk_name, value):
        config = tiny_config()
        setattr(config.trunk_config, trunk_name, value)
        assert getattr(config, name) == value

    def test_is_written_to_the_trunk(self, name, trunk_name, value):
        config = tiny_config()
        setattr(config, name, value)
        assert getattr(config.trunk_config, trunk_name) == value

    def test_can_be_given_on_construction(self, name, trunk_name, value):
        config = BackpackConfig(trunk_config=tiny_config().trunk_config, num_senses=4, **{name: value})
        assert getattr(config.trunk_config, trunk_name) == value

    def test_survives_saving(self, name, trunk_name, value, tmp_path):
        config = tiny_config()
        setattr(config, name, value)
        config.save_pretrained(tmp_path)
        assert getattr(BackpackConfig.from_pretrained(tmp_path).trunk_config, trunk_name) == value


def test_key_value_heads_are_the_trunks():
    config = tiny_config("llama")
    assert config.num_key_value_heads == 2
    config.num_key_value_heads = 4
    assert config.trunk_config.num_key_value_heads == 4


def test_the_layers_are_the_trunks_and_one():
    config = tiny_config()
    assert (config.num_hidden_layers, config.trunk_config.n_layer) == (3, 2)
    config.num_hidden_layers = 6
    assert config.trunk_config.n_layer == 5


def test_the_special_tokens_stand_where_generation_and_other_tools_look(tmp_path):
    tiny_config(trunk_overrides={"bos_token_id": 3, "eos_token_id": 4, "pad_token_id": 5}).save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    assert [written[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")] == [3, 4, 5]


def test_the_auto_map_names_all_three_classes():
    assert tiny_config().auto_map == AUTO_MAP


@pytest.mark.parametrize("model_class", [BackpackModel, BackpackForCausalLM])
def test_the_auto_map_names_all_three_classes_whichever_was_saved(tmp_path, model_class):
    tiny_backpack(model_class=model_class).save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["auto_map"] == AUTO_MAP


def test_code_references_of_another_repository_are_dropped():
    assert tiny_config(auto_map={"AutoModel": "other/repository--modeling_other.Other"}).auto_map == AUTO_MAP


@pytest.mark.parametrize("trunk", ["gpt2", "llama"])
@pytest.mark.parametrize(("size", "multiple", "expected"), [(110, None, 110), (100, 16, 112), (50, None, 50)])
class TestResizing:
    def resized(self, trunk, size, multiple):
        model = tiny_backpack(tiny_config(trunk))
        model.resize_token_embeddings(size, pad_to_multiple_of=multiple)
        return model

    def test_keeps_the_tie(self, trunk, size, multiple, expected):
        model = self.resized(trunk, size, multiple)
        assert model.lm_head.weight is model.get_input_embeddings().weight
        assert model.lm_head.weight.shape == (expected, 32)

    def test_writes_the_trunks_vocabulary(self, trunk, size, multiple, expected):
        model = self.resized(trunk, size, multiple)
        assert model.config.vocab_size == model.config.trunk_config.vocab_size == expected

    def test_survives_saving(self, trunk, size, multiple, expected, tmp_path):
        model = self.resized(trunk, size, multiple)
        model.save_pretrained(tmp_path)
        again = BackpackForCausalLM.from_pretrained(tmp_path)
        ids = token_ids(2, 6) % 50
        assert again(ids).logits.shape == (2, 6, expected)
        torch.testing.assert_close(again(ids).logits, model(ids).logits)

    def test_keeps_the_scores_of_old_tokens(self, trunk, size, multiple, expected):
        ids = token_ids(2, 6) % 50
        before = tiny_backpack(tiny_config(trunk))(ids).logits
        after = self.resized(trunk, size, multiple)(ids).logits
        kept = min(VOCABULARY, expected)
        torch.testing.assert_close(after[..., :kept], before[..., :kept])


def test_the_base_model_can_be_resized():
    model = tiny_backpack(model_class=BackpackModel)
    model.resize_token_embeddings(110)
    assert model.config.trunk_config.vocab_size == model.trunk.wte.weight.shape[0] == 110


@pytest.mark.parametrize(
    ("trunk", "reason"),
    [
        (MistralConfig(), "`mistral` trunk with `sliding_window`"),
        (Qwen2Config(use_sliding_window=True, num_hidden_layers=32), "`qwen2` trunk with `sliding_window`"),
        (
            Qwen2Config(layer_types=["full_attention", "sliding_attention"], num_hidden_layers=2),
            r"`qwen2` trunk with layers \['full_attention', 'sliding_attention'\]",
        ),
        (AutoConfig.for_model("gpt_neo"), "`gpt_neo` trunk with `window_size`"),
        (AutoConfig.for_model("llama4_text"), "`llama4_text` trunk with `attention_chunk_size`"),
        (GPT2Config(add_cross_attention=True), "`gpt2` trunk with `add_cross_attention`"),
        (T5Config(), "`t5` trunk with `is_encoder_decoder`"),
        (AutoConfig.for_model("bart"), "`bart` trunk with `is_encoder_decoder`"),
        (AutoConfig.for_model("mamba"), r"`mamba` trunk with layers \['linear_attention'\]"),
        (AutoConfig.for_model("jamba"), "`jamba` trunk with layers"),
        (AutoConfig.for_model("recurrent_gemma"), "`recurrent_gemma` trunk"),
        (
            AutoConfig.for_model("rwkv"),
            "`rwkv` trunk cannot carry senses: its configuration has no num_attention_heads",
        ),
        (AutoConfig.for_model("xlstm"), "`xlstm` trunk .* has no num_attention_heads"),
        (AutoConfig.for_model("bloom"), "`bloom` trunk .* has no max_position_embeddings"),
        (AutoConfig.for_model("openai-gpt"), "`openai-gpt` trunk .* has no use_cache"),
        (AutoConfig.for_model("gemma3"), "`gemma3` trunk .* has no vocab_size"),
        (AutoConfig.for_model("vit"), "`vit` trunk .* has no vocab_size"),
    ],
    ids=lambda value: getattr(value, "model_type", ""),
)
def test_a_trunk_that_does_not_attend_to_everything_before_is_refused_by_name(trunk, reason):
    with pytest.raises(ValueError, match=reason):
        BackpackConfig(trunk_config=trunk)


@pytest.mark.parametrize("name", ["bert", "roberta", "xlm-roberta", "electra"])
def test_an_encoder_is_refused_by_name(name):
    assert name in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    with pytest.raises(ValueError, match=f"`{name}` trunk cannot carry senses: it is not a causal language model"):
        BackpackConfig(trunk_config=AutoConfig.for_model(name))


def test_a_refused_trunk_is_refused_as_a_dict_too():
    with pytest.raises(ValueError, match="`mistral` trunk with `sliding_window`"):
        BackpackConfig(trunk_config={"model_type": "mistral"})


def test_a_refused_trunk_is_refused_when_a_configuration_is_read(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "backpack", "trunk_config": {"model_type": "mistral"}}')
    with pytest.raises(ValueError, match="`mistral` trunk with `sliding_window`"):
        AutoConfig.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "trunk",
    [
        MistralConfig(sliding_window=None),
        Qwen2Config(),
        LlamaConfig(),
        *(AutoConfig.for_model(name) for name in ("gpt_neox", "gptj", "qwen3", "phi", "olmo2", "falcon")),
    ],
    ids=lambda trunk: trunk.model_type,
)
def test_a_full_attention_decoder_is_taken(trunk):
    assert BackpackConfig(trunk_config=trunk).hidden_size == trunk.hidden_size


@pytest.mark.parametrize("num_senses", [0, -1, 33])
def test_a_wrong_number_of_senses_is_refused(num_senses):
    with pytest.raises(ValueError, match=rf"`num_senses` must lie in \[1, hidden_size = 32\], got {num_senses}"):
        tiny_config(num_senses=num_senses)


def test_a_wrong_width_of_the_last_sense_mlp_is_refused():
    with pytest.raises(ValueError, match="`sense_intermediate_scale` must be at least 1, got 0"):
        tiny_config(sense_intermediate_scale=0)


@pytest.mark.parametrize("dropout", [-0.1, 1, 1.5])
def test_a_wrong_dropout_is_refused(dropout):
    with pytest.raises(ValueError, match=rf"`sense_dropout` must lie in \[0, 1\), got {dropout}"):
        tiny_config(sense_dropout=dropout)


@pytest.mark.parametrize("temperature", [0, -0.7])
def test_a_wrong_pooling_temperature_is_refused(temperature):
    with pytest.raises(ValueError, match=f"`pooling_temperature` must be positive, got {temperature}"):
        tiny_config(pooling_temperature=temperature)


def test_an_untied_head_is_refused():
    with pytest.raises(ValueError, match="`tie_word_embeddings` must be true"):
        tiny_config(tie_word_embeddings=False)


def test_a_trunk_that_is_no_configuration_is_refused():
    with pytest.raises(ValueError, match="must be a dict or a configuration, got str"):
        BackpackConfig(trunk_config="gpt2")


def test_an_unknown_trunk_is_refused():
    with pytest.raises(ValueError, match="gpt3000"):
        BackpackConfig(trunk_config={"model_type": "gpt3000"})
