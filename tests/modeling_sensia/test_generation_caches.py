"""Caches: whatever they keep of the past, a text reads and goes on as it does without one."""

import pytest
import torch
from kept_senses import (
    HIDDEN_SIZE,
    KINDS,
    NEW_TOKENS,
    cache_of,
    case_of,
    close,
    generate,
    greedy_by_hand,
    logits,
    static_cache,
    tabled,
    wide_backpack,
)
from peft import LoraConfig, get_peft_model
from tiny_backpacks import padded_batch, tiny_backpack, tiny_config, token_ids
from transformers import DynamicCache

IDS = token_ids(2, 9)
ROWS = [token_ids(9, seed=1), token_ids(4, seed=2), token_ids(1, seed=3)]
CACHES = {"dynamic": lambda model: DynamicCache(config=model.config), "static": static_cache}
REFUSED = ["offloaded", "offloaded_static", "quantized"]


@pytest.fixture(scope="module", params=KINDS)
def case(request):
    return case_of(request.param)


@pytest.fixture(params=CACHES)
def new_cache(request):
    return CACHES[request.param]


def mixing_layer(model, ids):
    return cache_of(model, ids).layers[-1]


# What is kept


def test_the_mixture_keeps_one_head_of_keys_and_the_least_of_the_senses(case):
    layer = mixing_layer(case.model, IDS)
    assert layer.keys.shape == (2, 1, 9, HIDDEN_SIZE)
    assert layer.values.shape == (2, 1, 9, case.kind.width)


def test_keys_are_as_wide_as_the_senses_together():
    assert mixing_layer(wide_backpack(num_senses=5), IDS).keys.shape == (2, 1, 9, 30)


@pytest.mark.parametrize(("scale", "width"), [(2, 64), (7, 224), (8, 256), (9, 256)])
def test_the_hidden_layer_is_kept_where_it_is_smaller(scale, width):
    model = wide_backpack(sense_intermediate_scale=scale)
    assert mixing_layer(model, IDS).values.shape[-1] == width


def test_senses_are_kept_in_training():
    assert mixing_layer(wide_backpack().train(), IDS).values.shape[-1] == 8 * HIDDEN_SIZE


@pytest.mark.parametrize(("target", "width"), [("final_mlp.c_proj", 8 * HIDDEN_SIZE), ("final_mlp.c_fc", 128)])
def test_senses_are_kept_under_an_adapter_of_their_projection(target, width):
    adapted = get_peft_model(wide_backpack(), LoraConfig(target_modules=[target], init_lora_weights=False)).eval()
    assert mixing_layer(adapted, IDS).values.shape[-1] == width


@pytest.mark.parametrize("target", ["final_mlp.c_proj", "final_mlp.c_fc", "mlp.c_proj", "wte"])
def test_an_adapted_model_writes_with_a_cache_as_without(target):
    torch.manual_seed(0)
    adapted = get_peft_model(wide_backpack(), LoraConfig(target_modules=[target], init_lora_weights=False)).eval()
    assert torch.equal(generate(adapted, IDS), greedy_by_hand(adapted, IDS))


# Generation


def test_the_texts_that_the_tests_compare_are_lively(case):
    assert all(len(set(text)) > 3 for text in greedy_by_hand(case.plain, IDS)[:, 9:].tolist())
    for row in ROWS:
        assert len(set(greedy_by_hand(case.plain, row[None])[0, len(row) :].tolist())) > 2


@pytest.mark.parametrize(
    "options",
    [{"use_cache": False}, {}, {"cache_implementation": "static"}],
    ids=["no cache", "dynamic cache", "static cache"],
)
def test_greedy_generation_takes_the_best_token_each_time(case, options):
    assert torch.equal(generate(case.model, IDS, **options), greedy_by_hand(case.plain, IDS))


@pytest.mark.parametrize("cache", [{}, {"cache_implementation": "static"}], ids=["dynamic", "static"])
def test_a_left_padded_batch_generates_what_its_rows_do_alone(case, cache):
    ids, mask = padded_batch(ROWS, "left")
    texts = generate(case.model, ids, attention_mask=mask, **cache)
    for text, row in zip(texts, ROWS, strict=True):
        assert torch.equal(text[9:], greedy_by_hand(case.plain, row[None])[0, len(row) :])


@pytest.mark.parametrize("size", [4, 20])
@pytest.mark.parametrize("cache", [{}, {"cache_implementation": "static"}], ids=["dynamic", "static"])
def test_a_prompt_read_in_chunks_goes_on_as_the_whole(case, size, cache):
    found = generate(case.model, IDS, prefill_chunk_size=size, **cache)
    assert torch.equal(found, greedy_by_hand(case.plain, IDS))


@pytest.mark.parametrize("cache", [{}, {"cache_implementation": "static"}], ids=["dynamic", "static"])
def test_a_padded_prompt_read_in_chunks_goes_on_as_the_whole(case, cache):
    ids, mask = padded_batch(ROWS, "left")
    found = generate(case.model, ids, attention_mask=mask, prefill_chunk_size=4, **cache)
    assert torch.equal(found, generate(case.plain, ids, attention_mask=mask, use_cache=False))


def test_generation_goes_on_from_a_returned_cache(case):
    first = generate(case.model, IDS, max_new_tokens=3, return_dict_in_generate=True)
    rest = generate(case.model, first.sequences, past_key_values=first.past_key_values, max_new_tokens=NEW_TOKENS - 3)
    assert torch.equal(rest, greedy_by_hand(case.plain, IDS))


@pytest.mark.parametrize("implementation", REFUSED)
def test_caches_that_cannot_hold_senses_here_are_refused_by_name(implementation):
    with pytest.raises(ValueError, match=f'`cache_implementation="{implementation}"`'):
        generate(wide_backpack(), IDS, cache_implementation=implementation)


# Reading in pieces


@pytest.mark.parametrize("cuts", [(2, 3, 4), (1,) * 9], ids=str)
def test_a_text_read_in_pieces_gives_the_logits_of_the_whole(case, cuts, new_cache):
    cache = new_cache(case.model)
    pieces = [logits(case.model, piece, past_key_values=cache) for piece in IDS.split(cuts, dim=1)]
    close(torch.cat(pieces, 1), logits(case.plain, IDS))


def test_a_padded_text_read_in_pieces_gives_the_logits_of_the_whole(case, new_cache):
    ids, mask = padded_batch(ROWS, "left")
    cache = new_cache(case.model)
    logits(case.model, ids[:, :6], attention_mask=mask[:, :6], past_key_values=cache)
    found = logits(case.model, ids[:, 6:], attention_mask=mask, past_key_values=cache)
    real = mask[:, 6:].bool()
    close(found[real], logits(case.plain, ids, attention_mask=mask)[:, 6:][real])


def test_a_text_goes_on_behind_right_pads(case, new_cache):
    ids, mask = padded_batch([ROWS[0][:6], ROWS[1]], "right")
    cache = new_cache(case.model)
    logits(case.model, ids, attention_mask=mask, past_key_values=cache)
    whole_mask = torch.cat([mask, torch.ones(2, 2, dtype=torch.long)], 1)
    found = logits(case.model, IDS[:, :2], attention_mask=whole_mask, past_key_values=cache)
    for index, row in enumerate((ROWS[0][:6], ROWS[1])):
        close(found[index], logits(case.plain, torch.cat([row, IDS[index, :2]])[None])[0, -2:])


def test_a_four_dimensional_mask_is_followed_on_top_of_a_cache(case):
    ids, mask = padded_batch(ROWS, "left")
    cache = DynamicCache(config=case.model.config)
    logits(case.model, ids[:, :6], attention_mask=mask[:, :6], past_key_values=cache)
    allowed = torch.ones(9, 9, dtype=torch.bool).tril()[6:] & mask[:, None, None].bool()  # [B, 1, 3, 9]
    positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, 6:]
    found = logits(case.model, ids[:, 6:], attention_mask=allowed, position_ids=positions, past_key_values=cache)
    real = mask[:, 6:].bool()
    close(found[real], logits(case.plain, ids, attention_mask=mask)[:, 6:][real])


@pytest.mark.parametrize("keep", [1, 2, torch.tensor([0, 2])], ids=["one", "two", "chosen"])
def test_logits_to_keep_keeps_them_on_top_of_a_cache(case, keep):
    cache = cache_of(case.model, IDS[:, :6])
    found = logits(case.model, IDS[:, 6:], past_key_values=cache, logits_to_keep=keep)
    expected = logits(case.plain, IDS)[:, 6:]
    close(found, expected[:, -keep:] if isinstance(keep, int) else expected[:, keep])


# Working on a cache


def test_a_cropped_cache_forgets_the_last_positions(case):
    cache = cache_of(case.model, IDS)
    cache.crop(-4)
    other = token_ids(2, 3, seed=8)
    close(
        logits(case.model, other, past_key_values=cache),
        logits(case.plain, torch.cat([IDS[:, :5], other], 1))[:, 5:],
    )


def test_rows_of_a_cache_can_be_repeated(case):
    cache = cache_of(case.model, IDS[:, :6])
    cache.batch_repeat_interleave(3)
    found = logits(case.model, IDS[:, 6:].repeat_interleave(3, 0), past_key_values=cache)
    close(found, logits(case.plain, IDS)[:, 6:].repeat_interleave(3, 0))


def test_rows_of_a_cache_can_be_selected(case):
    ids = token_ids(3, 9, seed=5)
    cache = cache_of(case.model, ids[:, :6])
    cache.batch_select_indices(torch.tensor([2, 0]))
    found = logits(case.model, ids[[2, 0], 6:], past_key_values=cache)
    close(found, logits(case.plain, ids)[[2, 0], 6:])


def test_rows_of_a_cache_can_be_reordered(case, new_cache):
    cache = cache_of(case.model, IDS[:, :6], new_cache(case.model))
    cache.reorder_cache(torch.tensor([1, 0]))
    close(logits(case.model, IDS[[1, 0], 6:], past_key_values=cache), logits(case.plain, IDS)[[1, 0], 6:])


def test_a_reset_static_cache_starts_again(case):
    cache = cache_of(case.model, token_ids(2, 7, seed=4), static_cache(case.model))
    cache.reset()
    close(logits(case.model, IDS, past_key_values=cache), logits(case.plain, IDS))


def test_a_reset_static_cache_takes_the_senses_of_changed_weights():
    model = wide_backpack(table="all")
    cache = cache_of(model, IDS, static_cache(model))
    cache.reset()
    model.backpack.sense_network.final_mlp.c_proj.weight.data.mul_(1.5)
    found = logits(model, IDS, past_key_values=cache)
    close(found, logits(model.train().eval(), IDS))


# Caches that outlive what they were made with


@pytest.mark.parametrize("table", ["all", "some"])
def test_a_cache_without_table_goes_on_with_one(table, new_cache):
    model = wide_backpack()
    expected = logits(model, IDS)[:, 6:]
    cache = cache_of(model, IDS[:, :6], new_cache(model))
    tabled(model, table)
    close(torch.cat([logits(model, ids, past_key_values=cache) for ids in IDS[:, 6:].split(1, 1)], 1), expected)


@pytest.mark.parametrize("table", ["all", "some"])
def test_a_cache_with_table_goes_on_without_it(table, new_cache):
    model = wide_backpack()
    expected = logits(model, IDS)[:, 6:]
    tabled(model, table)
    cache = cache_of(model, IDS[:, :6], new_cache(model))
    model.train().eval()
    close(torch.cat([logits(model, ids, past_key_values=cache) for ids in IDS[:, 6:].split(1, 1)], 1), expected)


def test_a_cache_of_ids_takes_the_senses_of_changed_weights():
    model = wide_backpack(table="all")
    cache = cache_of(model, IDS[:, :6])
    with torch.no_grad():
        # The trunk, and so the rest of the cache, does not depend on these.
        model.backpack.sense_network.final_mlp.c_proj.weight.mul_(1.5)
    close(logits(model, IDS[:, 6:], past_key_values=cache), logits(model, IDS)[:, 6:])


def test_a_cache_of_training_goes_on_in_evaluation():
    quiet = {"sense_dropout": 0.0, "trunk_overrides": dict.fromkeys(("attn_pdrop", "resid_pdrop", "embd_pdrop"), 0.0)}
    model = wide_backpack(**quiet).train()
    cache = cache_of(model, IDS[:, :6])
    close(logits(model.eval(), IDS[:, 6:], past_key_values=cache), logits(model, IDS)[:, 6:])


def test_a_cache_under_an_adapter_goes_on_after_merging_it():
    torch.manual_seed(0)
    options = LoraConfig(target_modules=["final_mlp.c_proj"], init_lora_weights=False)
    adapted = get_peft_model(wide_backpack(), options).eval()
    expected = logits(adapted, IDS)[:, 6:]
    cache = cache_of(adapted, IDS[:, :6])
    close(logits(adapted.merge_and_unload(), IDS[:, 6:], past_key_values=cache), expected)


def test_a_cache_of_another_model_is_refused():
    cache = cache_of(tiny_backpack(tiny_config(num_senses=2)), IDS)
    with pytest.raises(ValueError, match="cache"):
        logits(tiny_backpack(tiny_config(num_senses=3)), IDS, past_key_values=cache)


def test_a_cache_without_a_layer_for_the_mixture_is_refused(new_cache):
    model = wide_backpack()
    model.config.num_hidden_layers -= 1
    cache = new_cache(model)
    model.config.num_hidden_layers += 1
    with pytest.raises(ValueError, match="layers"):
        logits(model, IDS, past_key_values=cache)


# Length


@pytest.mark.parametrize(
    "options",
    [{"use_cache": False}, {}, {"cache_implementation": "static"}, {"prefill_chunk_size": 16}],
    ids=["no cache", "dynamic", "static", "in chunks"],
)
@pytest.mark.parametrize("trunk", ["gpt2", "llama"])
def test_a_prompt_past_the_positions_is_refused(trunk, options):
    with pytest.raises(ValueError, match="positions were given"):
        generate(wide_backpack(trunk), token_ids(1, 49), **options)


@pytest.mark.parametrize("use_cache", [True, False])
def test_writing_past_the_positions_is_refused(use_cache):
    with pytest.raises(ValueError, match="49 positions were given"):
        generate(wide_backpack("llama"), token_ids(1, 45), use_cache=use_cache)


@pytest.mark.parametrize("trunk", ["gpt2", "llama"])
def test_writing_past_the_positions_with_a_static_cache_is_refused(trunk):
    with pytest.raises(ValueError, match="positions were given"):
        generate(wide_backpack(trunk), token_ids(1, 45), cache_implementation="static")
