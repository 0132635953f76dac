"""Ways of writing: sampling, beams, assistants, and what they give back."""

import pytest
import torch
from kept_senses import NEW_TOKENS, case_of, close, generate, greedy_by_hand, logits, tabled, wide_backpack
from tiny_backpacks import padded_batch, tiny_backpack, tiny_config, token_ids
from transformers import set_seed

IDS = token_ids(2, 9)
LAYERS = 2
ATTENTION_CACHES = [
    {},
    {"cache_implementation": "static"},
]


@pytest.fixture(scope="module", params=["gpt2, senses", "gpt2, hidden", "gpt2, table", "gpt2, some", "llama, table"])
def case(request):
    return case_of(request.param)


def seeded(model, ids=IDS, **options):
    set_seed(3)
    return generate(model, ids, do_sample=True, top_k=0, **options)


# Sampling and beams


@pytest.mark.parametrize("cache", [{}, {"cache_implementation": "static"}], ids=["dynamic", "static"])
def test_sampling_draws_the_same_with_and_without_a_cache(case, cache):
    assert torch.equal(seeded(case.model, **cache), seeded(case.plain, use_cache=False))


def test_several_samples_are_drawn_the_same_with_and_without_a_cache(case):
    found = seeded(case.model, num_return_sequences=3)
    assert torch.equal(found, seeded(case.plain, num_return_sequences=3, use_cache=False))
    assert len({tuple(text) for text in found.tolist()}) > 2


@pytest.mark.parametrize("cache", [{}, {"cache_implementation": "static"}], ids=["dynamic", "static"])
def test_beam_search_finds_the_same_with_and_without_a_cache(case, cache):
    found = generate(case.model, IDS, num_beams=3, **cache)
    assert torch.equal(found, generate(case.plain, IDS, num_beams=3, use_cache=False))


def test_all_beams_come_back_with_their_scores(case):
    options = {"num_beams": 3, "num_return_sequences": 3, "return_dict_in_generate": True, "output_scores": True}
    found = generate(case.model, IDS, **options)
    expected = generate(case.plain, IDS, use_cache=False, **options)
    assert torch.equal(found.sequences, expected.sequences)
    close(found.sequences_scores, expected.sequences_scores)


def test_beams_are_sampled_the_same_with_and_without_a_cache(case):
    assert torch.equal(seeded(case.model, num_beams=3), seeded(case.plain, num_beams=3, use_cache=False))


def test_beams_of_a_left_padded_batch_are_those_of_its_rows(case):
    rows = [token_ids(7, seed=1), token_ids(4, seed=2)]
    ids, mask = padded_batch(rows, "left")
    texts = generate(case.model, ids, attention_mask=mask, num_beams=3, max_new_tokens=4)
    for text, row in zip(texts, rows, strict=True):
        alone = generate(case.plain, row[None], num_beams=3, max_new_tokens=4, use_cache=False)
        assert torch.equal(text[7:], alone[0, len(row) :])


def test_classifier_free_guidance_writes_the_same_with_and_without_a_cache(case):
    found = generate(case.model, IDS, guidance_scale=1.5)
    assert torch.equal(found, generate(case.plain, IDS, guidance_scale=1.5, use_cache=False))
    assert not torch.equal(found, greedy_by_hand(case.plain, IDS))


# Assistants


@pytest.mark.parametrize(("num_senses", "table"), [(2, None), (8, "all")], ids=["another model", "its own weights"])
def test_an_assistant_changes_nothing(case, num_senses, table):
    assistant = wide_backpack(case.kind.trunk, num_senses, table)
    prompt = token_ids(1, 9)
    found = generate(case.model, prompt, assistant_model=assistant, max_new_tokens=12)
    assert torch.equal(found, greedy_by_hand(case.plain, prompt, 12))


def test_looking_up_the_prompt_changes_nothing(case):
    prompt = token_ids(1, 4, seed=6).repeat(1, 3)
    found = generate(case.model, prompt, prompt_lookup_num_tokens=3, max_new_tokens=12)
    assert torch.equal(found, greedy_by_hand(case.plain, prompt, 12))


def contrastive_search(model, prompt, width=4, penalty=0.95):
    """Contrastive search (arXiv 2202.06417), which transformers has moved to the Hub; its cache has all candidates."""
    with torch.no_grad():
        output = model(prompt, output_hidden_states=True)
        cache, states, scores = output.past_key_values, output.hidden_states[-1], output.logits[:, -1]
        for _ in range(NEW_TOKENS):
            confidence, candidates = scores.softmax(-1).topk(width)  # [1, width]
            cache.batch_repeat_interleave(width)
            output = model(candidates.T, past_key_values=cache, output_hidden_states=True)
            new = output.hidden_states[-1]  # [width, 1, D]
            alike = torch.cosine_similarity(new, states, dim=-1).max(-1).values
            best = ((1 - penalty) * confidence[0] - penalty * alike).argmax()
            cache.batch_select_indices(best[None])
            prompt = torch.cat([prompt, candidates[:, best, None]], 1)
            states, scores = torch.cat([states, new[best, None]], 1), output.logits[best]
    return prompt


def contrastive_search_by_hand(model, prompt, width=4, penalty=0.95):
    with torch.no_grad():
        for _ in range(NEW_TOKENS):
            confidence, candidates = logits(model, prompt, use_cache=False)[0, -1].softmax(-1).topk(width)
            texts = torch.cat([prompt.expand(width, -1), candidates[:, None]], 1)
            states = model(texts, output_hidden_states=True, use_cache=False).hidden_states[-1]
            alike = torch.cosine_similarity(states[:, -1:], states[:, :-1], dim=-1).max(-1).values
            prompt = texts[((1 - penalty) * confidence - penalty * alike).argmax()][None]
    return prompt


def test_contrastive_search_finds_the_same_with_and_without_a_cache(case):
    prompt = IDS[:1]
    found = contrastive_search(case.model, prompt)
    assert torch.equal(found, contrastive_search_by_hand(case.plain, prompt))
    assert not torch.equal(found, greedy_by_hand(case.plain, prompt))


# Inputs


def test_generation_from_embeddings_is_refused(case):
    with pytest.raises(ValueError, match="needs `input_ids`"):
        case.model.generate(inputs_embeds=torch.zeros(1, 3, 32), max_new_tokens=2)


def test_generation_without_a_prompt_starts_at_the_first_token(case):
    text = case.model.generate(max_new_tokens=4, do_sample=False)
    assert torch.equal(text, greedy_by_hand(case.plain, torch.tensor([[case.model.config.bos_token_id]]), 4))


# What cannot work


def test_continuous_batching_is_refused_before_it_starts(case):
    with pytest.raises(ValueError, match=r"Continuous batching .* does not work with a Backpack"):
        case.model.generate_batch([[1, 2, 3], [4, 5]])
    with (
        pytest.raises(ValueError, match="Use `generate` with a padded batch"),
        case.model.continuous_batching_context_manager(),
    ):
        pass


def test_a_cache_of_continuous_batching_is_refused(case):
    with pytest.raises(ValueError, match=r"Use `generate` with a padded batch"):
        generate(case.model, IDS, cache_implementation="paged")


def test_early_exit_is_refused_and_leaves_the_model_whole(case):
    layers = case.model.config.num_hidden_layers
    with pytest.raises(ValueError, match="`assistant_early_exit` does not work"):
        generate(case.model, IDS[:1], assistant_early_exit=1)
    assert case.model.config.num_hidden_layers == layers
    assert torch.equal(generate(case.model, IDS), greedy_by_hand(case.plain, IDS))


@pytest.mark.parametrize("cache", ["sliding_window", "hybrid", "hybrid_chunked"])
def test_other_names_of_the_static_cache_write_the_same(case, cache):
    assert torch.equal(generate(case.model, IDS, cache_implementation=cache), greedy_by_hand(case.plain, IDS))


# What comes back


def recorded(model, ids=IDS, **options):
    asked = dict.fromkeys(("output_hidden_states", "output_attentions", "output_logits"), True)
    return generate(model, ids, return_dict_in_generate=True, **asked, **options)


def test_generation_returns_the_logits_of_each_step(case):
    found = recorded(case.model)
    close(torch.stack(found.logits, 1), logits(case.plain, found.sequences)[:, 8:-1])


def test_generation_returns_hidden_states_of_each_step(case):
    found = recorded(case.model)
    whole = case.plain(found.sequences[:, :-1], output_hidden_states=True).hidden_states
    assert len(found.hidden_states) == NEW_TOKENS
    for layer, expected in enumerate(whole):
        close(torch.cat([step[layer] for step in found.hidden_states], 1), expected)


@pytest.mark.parametrize("cache", ATTENTION_CACHES, ids=["dynamic", "static"])
def test_generation_returns_attentions_of_each_step(case, cache):
    found = recorded(case.model, **cache)
    whole = case.plain(found.sequences[:, :-1], output_attentions=True).attentions
    for step, attentions in enumerate(found.attentions):
        first, last = (0, 9) if step == 0 else (8 + step, 9 + step)
        assert len(attentions) == LAYERS + 1
        for layer, expected in zip(attentions, whole, strict=True):
            close(layer[..., :last], expected[:, :, first:last, :last])


def test_asking_for_outputs_leaves_the_text_alone(case):
    assert torch.equal(recorded(case.model).sequences, greedy_by_hand(case.plain, IDS))


@pytest.mark.parametrize("cache", ATTENTION_CACHES, ids=["dynamic", "static"])
def test_asking_for_attentions_leaves_the_text_of_a_padded_batch_alone(case, cache):
    ids, mask = padded_batch([token_ids(9, seed=1), token_ids(4, seed=2)], "left")
    found = recorded(case.model, ids, attention_mask=mask, **cache)
    options = {"use_cache": False, "output_logits": True, "return_dict_in_generate": True}
    expected = generate(case.plain, ids, attention_mask=mask, **options)
    close(torch.stack(found.logits), torch.stack(expected.logits))


def test_the_end_of_text_ends_each_row_on_its_own():
    free = tiny_backpack(tiny_config(num_senses=8), seed=4)
    text = greedy_by_hand(free, IDS)[:, 9:]
    end = text[0, 2].item()
    assert end not in text[0, :2].tolist() + text[1].tolist()
    stopping = tabled(tiny_backpack(tiny_config(num_senses=8, trunk_overrides={"eos_token_id": end}), seed=4), "all")
    found = stopping.generate(IDS, max_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=0)[:, 9:]
    assert found[0].tolist() == [*text[0, :3].tolist(), 0, 0, 0]
    assert torch.equal(found[1], text[1])
