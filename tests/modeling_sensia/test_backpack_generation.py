"""Generation: what the cache, the beams and the pads must not change."""

import pytest
import torch
from tiny_backpacks import VOCABULARY, padded_batch, tiny_backpack, tiny_config, token_ids
from transformers import DynamicCache, GenerationConfig, StaticCache, set_seed

NEW_TOKENS = 8
#: Weights that write lively texts; most random ones fall into repeating a token.
SEEDS = {"gpt2": 2, "llama": 3}


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def model(request):
    return tiny_backpack(tiny_config(request.param), seed=SEEDS[request.param])


def generate(model, ids, **kwargs):
    options = {"max_new_tokens": NEW_TOKENS, "do_sample": False, "pad_token_id": 0, **kwargs}
    return model.generate(ids, generation_config=GenerationConfig(**options))


def greedy_by_hand(model, ids):
    for _ in range(NEW_TOKENS):
        ids = torch.cat([ids, model(ids, use_cache=False).logits[:, -1:].argmax(-1)], dim=1)
    return ids


def test_the_texts_that_the_tests_compare_are_lively(model):
    for text in greedy_by_hand(model, token_ids(2, 5))[:, 5:].tolist():
        assert len(set(text)) > 3


@pytest.mark.parametrize(
    "options",
    [{"use_cache": False}, {"use_cache": True}, {"cache_implementation": "static"}],
    ids=["no cache", "dynamic cache", "static cache"],
)
def test_greedy_generation_takes_the_best_token_each_time(model, options):
    ids = token_ids(2, 5)
    assert torch.equal(generate(model, ids, **options), greedy_by_hand(model, ids))


def test_beam_search_finds_the_same_with_and_without_a_cache(model):
    ids = token_ids(2, 5)
    found = [generate(model, ids, num_beams=3, use_cache=use_cache) for use_cache in (True, False)]
    assert torch.equal(*found)


def test_beam_search_finds_a_text_at_least_as_likely_as_the_greedy_one(model):
    ids = token_ids(1, 5)

    def log_likelihood(sequence):
        logits = model(sequence[:, :-1]).logits.log_softmax(-1)[:, 4:]
        return logits.gather(-1, sequence[:, 5:, None]).sum()

    beams = generate(model, ids, num_beams=4)
    assert log_likelihood(beams) >= log_likelihood(greedy_by_hand(model, ids)) - 1e-4


def test_sampling_draws_the_same_with_and_without_a_cache(model):
    texts = []
    for use_cache in (True, False):
        set_seed(3)
        texts.append(generate(model, token_ids(2, 5), do_sample=True, top_k=0, use_cache=use_cache))
    assert torch.equal(*texts)


def test_sampling_repeats_under_a_seed_only(model):
    texts = []
    for seed in (3, 3, 4):
        set_seed(seed)
        texts.append(generate(model, token_ids(2, 5), do_sample=True, top_k=0).tolist())
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize("cache", [{}, {"cache_implementation": "static"}], ids=["dynamic", "static"])
def test_a_left_padded_batch_generates_what_its_rows_do_alone(model, cache):
    rows = [token_ids(9, seed=1), token_ids(4, seed=2), token_ids(1, seed=3)]
    ids, mask = padded_batch(rows, "left")
    options = GenerationConfig(max_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=0, **cache)
    texts = model.generate(ids, attention_mask=mask, generation_config=options)
    for text, row in zip(texts, rows, strict=True):
        assert torch.equal(text[9:], greedy_by_hand(model, row[None])[0, len(row) :])


def test_a_left_padded_batch_searches_beams_as_its_rows_do_alone(model):
    rows = [token_ids(7, seed=1), token_ids(4, seed=2)]
    ids, mask = padded_batch(rows, "left")
    options = GenerationConfig(max_new_tokens=4, num_beams=3, do_sample=False, pad_token_id=0)
    texts = model.generate(ids, attention_mask=mask, generation_config=options)
    for text, row in zip(texts, rows, strict=True):
        alone = model.generate(row[None], attention_mask=torch.ones(1, len(row)), generation_config=options)
        assert torch.equal(text[7:], alone[0, len(row) :])


def test_generation_goes_on_from_a_returned_cache(model):
    ids = token_ids(2, 5)
    first = generate(model, ids, max_new_tokens=3, return_dict_in_generate=True)
    options = GenerationConfig(max_new_tokens=NEW_TOKENS - 3, do_sample=False, pad_token_id=0)
    rest = model.generate(first.sequences, past_key_values=first.past_key_values, generation_config=options)
    assert torch.equal(rest, greedy_by_hand(model, ids))


@pytest.mark.parametrize("cuts", [(1, 8), (4, 5), (2, 3, 4), (1,) * 9], ids=str)
def test_a_text_read_in_pieces_gives_the_logits_of_the_whole(model, cuts):
    ids = token_ids(2, 9)
    cache, pieces = None, []
    for piece in ids.split(cuts, dim=1):
        output = model(piece, past_key_values=cache, use_cache=True)
        cache, pieces = output.past_key_values, [*pieces, output.logits]
    torch.testing.assert_close(torch.cat(pieces, 1), model(ids).logits, rtol=1e-4, atol=1e-5)


def test_a_padded_text_read_in_pieces_gives_the_logits_of_the_whole(model):
    ids, mask = padded_batch([token_ids(9, seed=1), token_ids(5, seed=2)], "left")
    first = model(ids[:, :6], attention_mask=mask[:, :6])
    second = model(ids[:, 6:], attention_mask=mask, past_key_values=first.past_key_values)
    expected = model(ids, attention_mask=mask).logits[:, 6:]
    torch.testing.assert_close(second.logits, expected, rtol=1e-4, atol=1e-5)


def test_a_static_cache_read_in_pieces_gives_the_logits_of_the_whole(model):
    ids = token_ids(2, 9)
    cache = StaticCache(config=model.config, max_cache_len=12)
    pieces = [model(piece, past_key_values=cache).logits for piece in ids.split((4, 3, 2), dim=1)]
    torch.testing.assert_close(torch.cat(pieces, 1), model(ids).logits, rtol=1e-4, atol=1e-5)


def test_the_cache_has_one_layer_more_than_the_trunk(model):
    cache = model(token_ids(2, 5)).past_key_values
    assert isinstance(cache, DynamicCache)
    assert model.config.trunk_config.num_hidden_layers == 2
    assert len(cache.layers) == model.config.num_hidden_layers == 3


def test_the_last_layer_of_the_cache_holds_keys_and_senses(model):
    ids = token_ids(2, 5)
    output = model(ids, output_senses=True)
    mixing = output.past_key_values.layers[-1]
    # One head of all senses side by side; four senses are no more numbers than the hidden layer before them.
    assert mixing.keys.shape == (2, 1, 5, 4 * 8)
    torch.testing.assert_close(mixing.values[:, 0], output.senses.transpose(1, 2).flatten(2))


def test_senses_and_contextualization_reach_back_through_the_cache(model):
    ids = token_ids(2, 6)
    cache = model(ids[:, :4]).past_key_values
    output = model(ids[:, 4:], past_key_values=cache, output_senses=True, output_contextualization=True)
    whole = model(ids, output_senses=True, output_contextualization=True)
    torch.testing.assert_close(output.senses, whole.senses)
    torch.testing.assert_close(output.contextualization, whole.contextualization[:, :, 4:])


def test_without_use_cache_no_cache_comes_back(model):
    assert model(token_ids(1, 5), use_cache=False).past_key_values is None


def test_without_use_cache_a_given_cache_is_read_and_not_returned(model):
    ids = token_ids(1, 6)
    cache = model(ids[:, :4]).past_key_values
    output = model(ids[:, 4:], past_key_values=cache, use_cache=False)
    assert output.past_key_values is None
    torch.testing.assert_close(output.logits, model(ids).logits[:, 4:], rtol=1e-4, atol=1e-5)


def test_the_configuration_decides_on_the_cache():
    assert tiny_backpack(tiny_config(use_cache=False))(token_ids(1, 5)).past_key_values is None


def test_the_trunks_end_of_text_ends_generation():
    free = tiny_backpack(seed=SEEDS["gpt2"])
    text = greedy_by_hand(free, token_ids(1, 5))[0, 5:].tolist()
    end = next(token for place, token in enumerate(text) if place > 0 and token not in text[:place])
    stopping = tiny_backpack(tiny_config(trunk_overrides={"eos_token_id": end}), seed=SEEDS["gpt2"])
    found = stopping.generate(token_ids(1, 5), max_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=0)
    assert found[0, 5:].tolist() == text[: text.index(end) + 1]


def test_generation_knows_the_trunks_special_tokens():
    config = tiny_config(trunk_overrides={"bos_token_id": 3, "eos_token_id": 4, "pad_token_id": 5})
    special = tiny_backpack(config).generation_config
    assert (special.bos_token_id, special.eos_token_id, special.pad_token_id) == (3, 4, 5)


def test_generation_projects_the_last_position_only(model):
    shapes = []
    hook = model.lm_head.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape)))
    generate(model, token_ids(2, 5), max_new_tokens=3)
    hook.remove()
    assert shapes == [(2, 1, VOCABULARY)] * 3
