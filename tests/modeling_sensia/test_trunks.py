"""Decoders of many kinds as trunks: each learns, writes with a cache what it writes without, and comes back."""

import copy

import pytest
import torch
from tiny_backpacks import VOCABULARY, padded_batch, tiny_backpack, tiny_config, token_ids
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

from modeling_sensia import BackpackConfig

NO_DROPOUT = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
#: As small as decoders get, under the names that most configurations share.
SMALL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 48,
    "bos_token_id": 0,
    "eos_token_id": None,
    "pad_token_id": None,
}
GROUPED = {"num_key_value_heads": 2}
#: The documented trunks. Heads that are wider than their share of the hidden size are Qwen3's.
DOCUMENTED = {
    "gpt2": ("gpt2", {**SMALL, "n_inner": 48, **NO_DROPOUT}),
    "llama": ("llama", {**SMALL, "num_key_value_heads": 4}),
    "llama, grouped queries": ("llama", {**SMALL, **GROUPED}),
    "llama, one key for all": ("llama", {**SMALL, "num_key_value_heads": 1}),
    "llama, tied": ("llama", {**SMALL, **GROUPED, "tie_word_embeddings": True}),
    "qwen3": ("qwen3", {**SMALL, **GROUPED, "head_dim": 8}),
    "qwen3, wide heads": ("qwen3", {**SMALL, **GROUPED, "head_dim": 16}),
}
#: Others of every design: positions that are learnt, rotary or partly so; scaled embeddings; several norms; experts.
FURTHER = {
    "falcon": {"num_kv_heads": 2, "new_decoder_architecture": True},
    "gpt_neox": {"hidden_dropout": 0.0},
    "gpt_bigcode": {},
    "mistral": {**GROUPED, "sliding_window": None},
    "qwen2": GROUPED,
    "gemma": {**GROUPED, "head_dim": 16},
    "granite": {**GROUPED, "embedding_multiplier": 3.0, "residual_multiplier": 0.5, "logits_scaling": 4.0},
    "phi": {"num_key_value_heads": 4, "partial_rotary_factor": 0.5},
    "phi3": {**GROUPED, "pad_token_id": 0},
    "olmo2": GROUPED,
    "stablelm": {"num_key_value_heads": 4, "partial_rotary_factor": 0.5},
    "cohere": GROUPED,
    "starcoder2": GROUPED,
    "mixtral": {**GROUPED, "num_local_experts": 4},
    "minicpm3": {
        "q_lora_rank": 16,
        "kv_lora_rank": 16,
        "qk_rope_head_dim": 8,
        "qk_nope_head_dim": 8,
        "v_head_dim": 8,
        "num_key_value_heads": 4,
    },
}
ROWS = [token_ids(9, seed=1), token_ids(4, seed=2)]
IDS, MASK = padded_batch(ROWS, "left")


def build(name, fields, seed=3):
    config = BackpackConfig(trunk_config=AutoConfig.for_model(name, **fields), num_senses=8, sense_dropout=0.0)
    return tiny_backpack(config, seed=seed)


@torch.no_grad()
def logits_of(model, ids=IDS, **inputs):
    return model(ids, **inputs).logits


def generate(model, ids=IDS, mask=MASK, **options):
    settings = GenerationConfig(max_new_tokens=8, do_sample=False, pad_token_id=0, **options)
    return model.generate(ids, attention_mask=mask, generation_config=settings)


class Behaviour:
    """What is asked of every trunk; `model` is a fixture of the classes below."""

    def test_learns(self, model):
        pupil = copy.deepcopy(model).train()
        optimizer = torch.optim.AdamW(pupil.parameters(), lr=1e-3)
        losses = []
        for _ in range(3):
            loss = pupil(IDS, attention_mask=MASK, labels=IDS).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        assert losses[2] < losses[1] < losses[0]

    def test_looks_at_the_past_alone(self, model):
        changed = IDS.clone()
        changed[:, 6:] = (changed[:, 6:] + 5) % VOCABULARY
        before, after = logits_of(model), logits_of(model, changed)
        torch.testing.assert_close(after[:, :6], before[:, :6], rtol=1e-4, atol=1e-4)
        assert not torch.allclose(after[:, 6:], before[:, 6:])

    def test_reads_a_padded_row_as_it_does_alone(self, model):
        found = logits_of(model, attention_mask=MASK)[1, -4:]
        torch.testing.assert_close(found, logits_of(model, ROWS[1][None])[0], rtol=1e-3, atol=1e-3)

    @pytest.mark.parametrize("options", [{"use_cache": True}, {"cache_implementation": "static"}], ids=str)
    def test_writes_with_a_cache_what_it_does_without(self, model, options):
        assert torch.equal(generate(model, **options), generate(model, use_cache=False))

    def test_writes_for_a_padded_row_what_it_does_alone(self, model):
        alone = generate(model, ROWS[1][None], None, use_cache=False)
        assert torch.equal(generate(model)[1, 9:], alone[0, 4:])

    def test_comes_back_with_its_logits(self, model, tmp_path):
        model.save_pretrained(tmp_path)
        again, info = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
        assert not any(info.values()), info
        assert again.lm_head.weight is again.get_input_embeddings().weight
        torch.testing.assert_close(logits_of(again), logits_of(model), rtol=0, atol=0)


class TestDocumentedTrunk(Behaviour):
    @pytest.fixture(params=DOCUMENTED)
    def model(self, request):
        return build(*DOCUMENTED[request.param])

    def test_writes_lively_texts_in_these_tests(self, model):
        assert len(set(generate(model)[:, 9:].flatten().tolist())) > 3


@pytest.mark.slow
class TestFurtherTrunk(Behaviour):
    @pytest.fixture(params=FURTHER)
    def model(self, request):
        return build(request.param, {**SMALL, **FURTHER[request.param]})


def test_the_cache_has_the_trunks_heads_and_widths():
    model = build(*DOCUMENTED["qwen3, wide heads"])
    layers = model(IDS, use_cache=True).past_key_values.layers
    assert [layer.keys.shape for layer in layers[:2]] == [(2, 2, 9, 16)] * 2
    assert layers[2].keys.shape == (2, 1, 9, 32)


# Gemma's embedding module multiplies by the square root of the hidden size, Granite's trunk multiplies its inputs.
SCALED = {"gemma": ({"head_dim": 8}, 32**0.5), "granite": ({"embedding_multiplier": 3.0}, 1.0)}


@pytest.mark.parametrize("name", SCALED)
class TestScaledEmbeddings:
    @pytest.fixture
    def model(self, name):
        return build(name, {**SMALL, **GROUPED, **SCALED[name][0]})

    def test_are_scaled_once_by_the_trunk(self, model, name):
        trunk = model.backpack.trunk
        by_ids = trunk(input_ids=IDS).last_hidden_state
        by_embeddings = trunk(inputs_embeds=model.get_input_embeddings()(IDS)).last_hidden_state
        torch.testing.assert_close(by_embeddings, by_ids)

    def test_reach_the_senses_as_the_embedding_module_gives_them(self, model, name):
        embeddings = model.get_input_embeddings().weight[IDS] * SCALED[name][1]
        expected = model.backpack.sense_network(embeddings).unflatten(-1, (8, 32)).transpose(1, 2)
        torch.testing.assert_close(model.get_senses(IDS), expected, rtol=1e-4, atol=1e-5)

    def test_score_words_unscaled(self, model, name):
        mixture = model.backpack(IDS).last_hidden_state
        expected = mixture @ model.get_input_embeddings().weight.T
        torch.testing.assert_close(logits_of(model), expected.detach())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gemma2", "`gemma2` trunk with `sliding_window`"),
        ("gemma3_text", "`gemma3_text` trunk with `sliding_window`"),
        ("cohere2", "`cohere2` trunk with `sliding_window`"),
        ("olmo3", "`olmo3` trunk with `sliding_window`"),
        ("gpt_oss", "`gpt_oss` trunk with `sliding_window`"),
        ("mamba2", r"`mamba2` trunk with layers \['linear_attention'\]"),
        ("falcon_mamba", r"`falcon_mamba` trunk with layers \['linear_attention'\]"),
        ("qwen3_next", "`qwen3_next` trunk with layers"),
        ("zamba", "`zamba` trunk with layers"),
        ("zamba2", "`zamba2` trunk with layers"),
        ("bamba", "`bamba` trunk with layers"),
        ("falcon_h1", "`falcon_h1` trunk with layers"),
        ("nemotron_h", "`nemotron_h` trunk with layers"),
        ("granitemoehybrid", "`granitemoehybrid` trunk with layers"),
        ("minimax", "`minimax` trunk with layers"),
        ("marian", "`marian` trunk with `is_encoder_decoder`"),
        ("mbart", "`mbart` trunk with `is_encoder_decoder`"),
        ("pegasus", "`pegasus` trunk with `is_encoder_decoder`"),
        ("whisper", "`whisper` trunk with `is_encoder_decoder`"),
        ("prophetnet", "`prophetnet` trunk with `add_cross_attention`"),
    ],
)
def test_a_decoder_that_cannot_carry_senses_is_refused_by_name(name, reason):
    with pytest.raises(ValueError, match=reason):
        BackpackConfig(trunk_config=AutoConfig.for_model(name))


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("mixtral", {"sliding_window": 8}),
        ("qwen2_moe", {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0}),
        ("starcoder2", {"sliding_window": 8}),
        ("lfm2", {"layer_types": ["conv", "full_attention"]}),
    ],
)
def test_a_decoder_is_refused_for_what_it_does_rather_than_for_its_name(name, fields):
    with pytest.raises(ValueError, match=f"`{name}` trunk with"):
        BackpackConfig(trunk_config=AutoConfig.for_model(name, **SMALL, **fields))


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        pytest.param("bert-generation", {}, id="an encoder: `is_decoder` is false"),
        pytest.param("gemma", {"use_bidirectional_attention": True}, id="sees the future"),
        pytest.param("falcon", {"alibi": True}, id="biases its mask, which a static cache comes without"),
        pytest.param("git", {}, id="counts positions of images"),
    ],
)
def test_a_trunk_that_gives_wrong_texts_is_refused(name, fields):
    with pytest.raises(ValueError, match=f"`{name}` trunk"):
        BackpackConfig(trunk_config=AutoConfig.for_model(name, **fields))


def test_a_backpack_is_refused_as_a_trunk():
    with pytest.raises(ValueError, match="`backpack` trunk"):
        BackpackConfig(trunk_config=tiny_config())


EAGER_ONLY = {
    "gptj": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 48, "rotary_dim": 8},
    "codegen": {
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 4,
        "n_positions": 48,
        "n_ctx": 48,
        "rotary_dim": 8,
        "pad_token_id": None,
    },
}


@pytest.mark.parametrize("name", EAGER_ONLY)
def test_a_trunk_without_fused_attention_writes_with_a_static_cache(name):
    model = build(name, {"vocab_size": VOCABULARY, "bos_token_id": 0, "eos_token_id": None, **EAGER_ONLY[name]})
    assert torch.equal(generate(model, cache_implementation="static"), generate(model, use_cache=False))


@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen3"])
def test_attentions_can_be_returned_with_a_static_cache(name):
    model = build(*DOCUMENTED[name])
    text = generate(model, cache_implementation="static", output_attentions=True, return_dict_in_generate=True)
    assert torch.equal(text.sequences, generate(model, use_cache=False))


def test_a_trunk_without_a_pad_token_has_none():
    config = BackpackConfig(trunk_config=AutoConfig.for_model("codegen"))
    assert config.to_dict()["pad_token_id"] is None
