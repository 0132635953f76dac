"""What happens to a model from being built to being used: copies, precisions, new tokens, exported graphs."""

import copy
import pickle

import pytest
import torch
from tiny_backpacks import VOCABULARY, padded_batch, tiny_backpack, tiny_config, token_ids
from transformers import AutoModelForCausalLM, GenerationConfig

from modeling_sensia import BackpackForCausalLM

IDS = token_ids(2, 9)
#: With as many senses, the sense network's hidden layer is what inference keeps; with fewer, the senses.
NUM_SENSES = 8
#: GPT-2 starts these smaller, the deeper the trunk.
RESIDUAL_PROJECTIONS = ("attn.c_proj.weight", "0.mlp.c_proj.weight", "1.mlp.c_proj.weight")


@pytest.fixture(scope="module", params=["gpt2", "llama", "qwen3"])
def model(request):
    return tiny_backpack(tiny_config(request.param, num_senses=NUM_SENSES), seed=3)


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    place = tmp_path_factory.mktemp("saved")
    model.save_pretrained(place)
    return place


@torch.no_grad()
def logits_of(model, ids=IDS, **inputs):
    return model(ids, **inputs).logits


def equal(found, expected):
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def generate(model, ids, **options):
    settings = GenerationConfig(max_new_tokens=6, do_sample=False, pad_token_id=0, **options)
    return model.generate(ids, generation_config=settings)


def is_tied(model):
    return model.lm_head.weight is model.get_input_embeddings().weight


class TestCopies:
    """Of the configuration and of the model, in memory and as bytes."""

    @pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda config: pickle.loads(pickle.dumps(config))])
    def test_of_a_configuration_are_whole_and_of_their_own(self, model, duplicate):
        again = duplicate(model.config)
        assert again.to_dict() == model.config.to_dict()
        again.vocab_size = 5
        assert model.config.trunk_config.vocab_size == VOCABULARY

    @pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
    def test_of_a_model_say_the_same_and_stay_tied(self, model, duplicate):
        again = duplicate(model)
        equal(logits_of(again), logits_of(model))
        assert is_tied(again)

    def test_of_a_loaded_model_can_be_pickled(self, model, folder):
        again = pickle.loads(pickle.dumps(BackpackForCausalLM.from_pretrained(folder)))
        equal(logits_of(again), logits_of(model))

    def test_share_no_weight(self, model):
        expected = logits_of(model)
        again = copy.deepcopy(model)
        with torch.no_grad():
            for weight in again.parameters():
                weight.add_(1)
        equal(logits_of(model), expected)

    @pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
    def test_carry_no_sense_table(self, model, duplicate):
        original = copy.deepcopy(model)
        original.precompute_senses()
        assert duplicate(original).backpack.sense_table is None
        assert original.backpack.sense_table is not None


class TestPrecision:
    """Asked for when loading, or changed afterwards."""

    @pytest.mark.parametrize(
        ("dtype", "tolerance"), [(torch.bfloat16, 0.05), (torch.float16, 0.01), (torch.float64, 1e-5)], ids=str
    )
    def test_asked_for_keeps_the_tie_and_the_logits(self, model, folder, dtype, tolerance):
        again = BackpackForCausalLM.from_pretrained(folder, dtype=dtype)
        assert is_tied(again)
        expected = logits_of(model).to(dtype)
        difference = (logits_of(again) - expected).abs().max() / expected.abs().max()
        assert difference < tolerance

    def test_asked_for_is_in_both_configurations(self, folder):
        config = BackpackForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).config
        assert (config.dtype, config.trunk_config.dtype) == (torch.bfloat16, torch.bfloat16)

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
    def test_of_the_file_is_taken_by_auto(self, model, tmp_path, dtype):
        copy.deepcopy(model).to(dtype).save_pretrained(tmp_path)
        again = AutoModelForCausalLM.from_pretrained(tmp_path, dtype="auto")
        assert {weight.dtype for weight in again.parameters()} == {dtype}

    @pytest.mark.parametrize("change", ["half", "bfloat16", "double"])
    @pytest.mark.parametrize("cache", [{}, {"cache_implementation": "static"}], ids=["dynamic", "static"])
    def test_changed_generates_with_a_cache_the_likeliest_words(self, model, change, cache):
        # Rounding may turn a close race, so each word's score is compared rather than the words.
        changed = getattr(copy.deepcopy(model), change)()
        text = generate(changed, IDS, **cache)
        scores = logits_of(changed, text, use_cache=False).float()[:, 8:-1]  # those that chose the new words
        chosen = scores.gather(-1, text[:, 9:, None]).squeeze(-1)
        assert (scores.amax(-1) - chosen <= 0.03 * scores.abs().amax()).all()


class TestResizing:
    """To more tokens, padded to a multiple."""

    @pytest.fixture
    def resized(self, model):
        resized = copy.deepcopy(model)
        resized.precompute_senses()
        resized.resize_token_embeddings(VOCABULARY + 5, pad_to_multiple_of=16)
        return resized

    new_words = torch.tensor([[VOCABULARY, VOCABULARY + 4, 111, 3]])

    def test_gives_a_head_and_a_configuration_of_that_multiple(self, resized):
        assert resized.lm_head.out_features == resized.config.vocab_size == 112
        assert is_tied(resized)

    @pytest.mark.parametrize("options", [{"use_cache": True}, {"cache_implementation": "static"}], ids=str)
    def test_generates_from_new_words_with_a_cache_what_it_does_without(self, resized, options):
        without = generate(resized, self.new_words, use_cache=False)
        assert torch.equal(generate(resized, self.new_words, **options), without)

    def test_drops_the_sense_table(self, resized):
        assert logits_of(resized, self.new_words).shape == (1, 4, 112)
        assert resized.backpack.sense_table is None
        assert resized.precompute_senses().shape[0] == 112

    def test_comes_back_with_its_generation(self, resized, tmp_path):
        resized.save_pretrained(tmp_path)
        again = AutoModelForCausalLM.from_pretrained(tmp_path)
        assert torch.equal(generate(again, self.new_words), generate(resized, self.new_words))

    def test_leaves_a_model_that_learns_the_new_words(self, resized):
        resized.train()(self.new_words, labels=self.new_words).loss.backward()
        gradient = resized.get_input_embeddings().weight.grad
        assert gradient.shape == (112, 32)
        assert gradient[VOCABULARY].any()


class TestBuiltOnTheMetaDevice:
    """Without memory first, with weights afterwards."""

    @pytest.fixture
    def empty(self, model):
        with torch.device("meta"):
            planned = BackpackForCausalLM(copy.deepcopy(model.config))
        empty = planned.to_empty(device="cpu")
        with torch.no_grad():
            for tensor in (*empty.parameters(), *empty.buffers()):
                tensor.fill_(float("nan"))
        return empty.eval()

    def test_a_model_is_initialised_as_any_other(self, model, empty):
        empty.init_weights()
        assert logits_of(empty).isfinite().all()
        other = BackpackForCausalLM(copy.deepcopy(model.config))
        for name, tensor in other.state_dict().items():
            if tensor.ndim > 1 and not name.endswith(RESIDUAL_PROJECTIONS):
                assert empty.state_dict()[name].std().item() == pytest.approx(tensor.std().item(), rel=0.15), name

    def test_a_model_stays_tied(self, empty):
        empty.init_weights()
        assert is_tied(empty)

    def test_a_model_takes_a_state_dict(self, model, empty):
        empty.init_weights()  # the buffers that are no weights
        empty.load_state_dict(model.state_dict())
        equal(logits_of(empty), logits_of(model))


class TestTrunkAlone:
    """A file that has the trunk and none of the senses."""

    @pytest.fixture
    def load(self, model, tmp_path):
        trunk = {name: tensor for name, tensor in model.state_dict().items() if ".trunk." in name}
        model.save_pretrained(tmp_path, state_dict=trunk)

        def load(seed):
            torch.manual_seed(seed)
            return BackpackForCausalLM.from_pretrained(tmp_path, output_loading_info=True)

        return load

    def test_is_said_to_lack_every_sense_weight(self, model, load):
        expected = {name for name in model.state_dict() if "network" in name}
        assert load(0)[1]["missing_keys"] == expected

    def test_gets_senses_by_the_seed(self, load):
        states = [load(seed)[0].state_dict() for seed in (7, 7, 8)]
        equal(states[0], states[1])
        matrices = [name for name, tensor in states[0].items() if "network" in name and tensor.ndim > 1]
        assert len(matrices) == 5
        assert not any(torch.equal(states[0][name], states[2][name]) for name in matrices)

    def test_gets_senses_as_a_new_model_has_them(self, load):
        new = {name: tensor for name, tensor in load(0)[0].state_dict().items() if "network" in name}
        for name, tensor in new.items():
            if tensor.ndim > 1:
                assert tensor.std().item() == pytest.approx(0.02, rel=0.1), name
            else:
                assert tensor.eq(1.0 if name.endswith("weight") else 0.0).all(), name


class TestExport:
    """By `torch.export`, which the cache is left out of."""

    @staticmethod
    def export(model, strict, inputs, **shapes):
        named = {name: shapes.get(name) for name in (*inputs, "use_cache")}
        program = torch.export.export(
            model, (), {**inputs, "use_cache": False}, strict=strict, dynamic_shapes=named if shapes else None
        )
        return lambda **given: program.module()(**given, use_cache=False).logits

    @pytest.mark.parametrize(
        "strict", [pytest.param(True, marks=pytest.mark.slow), False], ids=["strict", "not strict"]
    )
    @pytest.mark.filterwarnings("ignore:While compiling, we found certain side effects:UserWarning")
    def test_gives_the_logits(self, model, strict):
        exported = self.export(model, strict, {"input_ids": IDS})
        torch.testing.assert_close(exported(input_ids=IDS), logits_of(model))

    @pytest.mark.slow
    def test_takes_padded_batches_of_other_sizes(self, model):
        sizes = {0: torch.export.Dim("rows", min=1, max=16), 1: torch.export.Dim("length", min=2, max=48)}
        inputs = {"input_ids": IDS, "attention_mask": torch.ones_like(IDS)}
        exported = self.export(model, False, inputs, input_ids=sizes, attention_mask=sizes)
        ids, mask = padded_batch([token_ids(12, seed=1), token_ids(4, seed=2), token_ids(7, seed=3)], "left")
        found = exported(input_ids=ids, attention_mask=mask)
        torch.testing.assert_close(found, logits_of(model, ids, attention_mask=mask), rtol=1e-4, atol=1e-5)

    @pytest.mark.slow
    def test_of_a_model_with_a_sense_table_gives_the_logits(self, model):
        with torch.no_grad():
            tabled = copy.deepcopy(model)
            tabled.precompute_senses()
            exported = self.export(tabled, False, {"input_ids": IDS})
            torch.testing.assert_close(exported(input_ids=IDS), logits_of(model))


class TestCounts:
    def test_of_parameters_count_the_tied_weight_once(self, model):
        tensors = {tensor.data_ptr(): tensor.numel() for tensor in model.state_dict().values()}
        assert model.num_parameters() == sum(tensors.values())

    def test_of_memory_are_the_weights_bytes(self, model):
        buffers = sum(buffer.numel() * buffer.itemsize for buffer in model.buffers())
        assert model.get_memory_footprint() == 4 * model.num_parameters() + buffers

    def test_name_parameters_by_their_place(self, model):
        assert model.get_parameter_or_buffer("lm_head.weight") is model.get_input_embeddings().weight
        projection = model.get_parameter_or_buffer("backpack.sense_network.final_mlp.c_proj.weight")
        assert projection.shape == (4 * 32, NUM_SENSES * 32)


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_a_frozen_trunk_can_be_checkpointed_where_inputs_require_gradients(model, use_reentrant):
    def gradient(checkpointed):
        tuned = copy.deepcopy(model).train().requires_grad_(False)
        tuned.backpack.weight_network.requires_grad_(True)
        tuned.enable_input_require_grads()
        if checkpointed:
            tuned.activation_checkpointing_enable({"use_reentrant": use_reentrant})
        torch.manual_seed(0)
        tuned(IDS, labels=IDS).loss.backward()
        return tuned.backpack.weight_network.c_attn.weight.grad

    assert gradient(False).any()
    torch.testing.assert_close(gradient(True), gradient(False), rtol=1e-4, atol=1e-6)


def test_a_variant_saved_in_shards_comes_back(model, tmp_path):
    model.save_pretrained(tmp_path, variant="fp32", max_shard_size="60KB")
    assert len(list(tmp_path.glob("model.fp32-*.safetensors"))) > 2
    equal(logits_of(AutoModelForCausalLM.from_pretrained(tmp_path, variant="fp32")), logits_of(model))


def test_a_larger_vocabulary_of_a_configuration_can_start_anew(model, folder):
    config = copy.deepcopy(model.config)
    config.vocab_size = 120
    again, info = BackpackForCausalLM.from_pretrained(
        folder, config=config, ignore_mismatched_sizes=True, output_loading_info=True
    )
    assert is_tied(again)
    assert again.lm_head.weight.shape == (120, 32)
    embedding = "wte" if config.trunk_config.model_type == "gpt2" else "embed_tokens"
    assert [name for name, *_ in info["mismatched_keys"]] == [f"backpack.trunk.{embedding}.weight"]
