"""Steering against the naive equations with senses edited by hand."""

import copy

import pytest
import torch
from steering_oracles import (
    BAG,
    DIRECTION,
    EDITS,
    IDS,
    WIDTH,
    close,
    expected,
    logits,
    naive_edit,
    naive_logits,
)
from tiny_backpacks import padded_batch, tiny_backpack, token_ids
from transformers import GenerationConfig, StaticCache

from modeling_sensia import BackpackModel
from modeling_sensia.steering import ProjectOut, ScaleSenses, Steering, SwapSenses, TowardsTopic

NEW_TOKENS = 8


def generate(model, ids, **kwargs):
    options = {"max_new_tokens": NEW_TOKENS, "do_sample": False, "pad_token_id": 0, **kwargs}
    return model.generate(ids, generation_config=GenerationConfig(**options))


def greedy_by_hand(parameters, table, ids):
    ids = list(ids)
    for _ in range(NEW_TOKENS):
        ids.append(int(naive_logits(parameters, table, ids)[-1].argmax()))
    return ids


@pytest.mark.parametrize("table", [False, True], ids=["computed", "table"])
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_logits_are_those_of_the_naive_equations_with_edited_senses(model, parameters, vocabulary_senses, edit, table):
    wanted = expected(parameters, vocabulary_senses, [edit], IDS)
    with Steering([edit]).applied(model):
        if table:
            model.precompute_senses()
        close(logits(model), wanted)
    assert (wanted - naive_logits(parameters, vocabulary_senses, IDS)).abs().max() > 0.01


@pytest.mark.parametrize("cache", [None, "static"], ids=["dynamic", "static"])
@pytest.mark.parametrize("table", [False, True], ids=["computed", "table"])
def test_a_text_read_in_pieces_gives_the_logits_of_the_naive_equations(
    model, parameters, vocabulary_senses, table, cache
):
    edits = [EDITS["scale some"], EDITS["swap"]]
    past = StaticCache(config=model.config, max_cache_len=12) if cache else None
    pieces = []
    with Steering(edits).applied(model), torch.no_grad():
        if table:
            model.precompute_senses()
        for piece in torch.tensor([IDS]).split((3, 2, 1, 1), dim=1):
            output = model(piece, past_key_values=past, use_cache=True)
            past = output.past_key_values
            pieces.append(output.logits[0])
    close(torch.cat(pieces), expected(parameters, vocabulary_senses, edits, IDS))


@pytest.mark.parametrize(
    "options", [{"use_cache": False}, {}, {"cache_implementation": "static"}], ids=["none", "dynamic", "static"]
)
def test_greedy_generation_takes_the_best_token_of_the_naive_equations(model, parameters, vocabulary_senses, options):
    edit = EDITS["suppress all"]
    table = naive_edit(vocabulary_senses, edit, parameters["backpack.gpt2_model.wte.weight"])
    ids = IDS[:4]
    options = GenerationConfig(max_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=0, **options)
    texts = Steering([edit]).generate(model, torch.tensor([ids]), generation_config=options)
    assert texts[0].tolist() == greedy_by_hand(parameters, table, ids)
    assert texts.tolist() != generate(model, torch.tensor([ids])).tolist()


@pytest.mark.parametrize("table", [False, True], ids=["computed", "table"])
def test_left_padded_beams_are_those_of_a_model_whose_weights_give_the_edited_senses(model, table):
    rows = [token_ids(7, seed=1), token_ids(4, seed=2)]
    ids, mask = padded_batch(rows, "left")
    options = GenerationConfig(max_new_tokens=5, num_beams=3, do_sample=False, pad_token_id=0)
    # The last layer of the sense network is linear, so its columns can suppress and double senses of all tokens.
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.backpack.sense_network.final_mlp.c_proj.parameters():
            parameter[..., WIDTH : 2 * WIDTH] = 0
            parameter[..., 3 * WIDTH :] *= 2
    with Steering([ScaleSenses([1], 0), ScaleSenses([3], 2)]).applied(model):
        if table:
            model.precompute_senses()
        texts = model.generate(ids, attention_mask=mask, generation_config=options)
    assert torch.equal(texts, other.generate(ids, attention_mask=mask, generation_config=options))
    assert not torch.equal(texts, model.generate(ids, attention_mask=mask, generation_config=options))


def test_edits_of_one_steering_work_on_what_those_before_them_left(model, parameters, vocabulary_senses):
    edits = [ScaleSenses([0, 1], 3.0, [60]), SwapSenses(9, 60), TowardsTopic(BAG, 1.0), ProjectOut([0], DIRECTION)]
    with Steering(edits).applied(model):
        close(logits(model), expected(parameters, vocabulary_senses, edits, IDS))
    # The order matters: swapped first, token 9 would not be scaled.
    backwards = expected(parameters, vocabulary_senses, edits[::-1], IDS)
    assert (backwards - expected(parameters, vocabulary_senses, edits, IDS)).abs().max() > 0.01


def test_an_inner_block_works_on_what_the_outer_one_left(model, parameters, vocabulary_senses):
    outer, inner = ScaleSenses([0, 1], 3.0, [60]), SwapSenses(9, 60)
    with Steering([outer]).applied(model):
        with Steering([inner]).applied(model):
            close(logits(model), expected(parameters, vocabulary_senses, [outer, inner], IDS))
        close(logits(model), expected(parameters, vocabulary_senses, [outer], IDS))


def test_composed_steerings_are_the_edits_of_the_first_then_of_the_second():
    first, second = Steering([EDITS["swap"]]), Steering([EDITS["topic"], EDITS["suppress all"]])
    assert first | second == Steering([EDITS["swap"], EDITS["topic"], EDITS["suppress all"]])
    assert first | second != second | first


def test_projecting_out_leaves_other_senses_and_tokens_bit_for_bit_and_nothing_along_the_direction(model):
    ids = torch.tensor([IDS])
    with torch.no_grad():
        before = model.get_senses(ids)[0]  # [K, L, D]
        with Steering([ProjectOut([1], DIRECTION, [5, 17])]).applied(model):
            after = model.get_senses(ids)[0]
    unit = torch.nn.functional.normalize(torch.tensor(DIRECTION), dim=0)
    named = torch.tensor([token in (5, 17) for token in IDS])
    assert torch.equal(after[[0, 2, 3]], before[[0, 2, 3]])
    assert torch.equal(after[1, ~named], before[1, ~named])
    assert (before[1, named] @ unit).abs().min() > 0.01
    assert (after[1, named] @ unit).abs().max() < 1e-6 * before.abs().max() * WIDTH


def test_tokens_that_an_edit_does_not_name_keep_their_senses_bit_for_bit(model):
    others = torch.tensor([[token for token in IDS if token != 9]])
    before = model.get_senses(others)
    with Steering([EDITS["swap"], ScaleSenses(None, 0, [9])]).applied(model):
        assert torch.equal(model.get_senses(others), before)


def test_the_model_without_a_head_is_steered_alike(parameters, vocabulary_senses):
    body = tiny_backpack(model_class=BackpackModel, seed=2)
    causal = tiny_backpack(seed=2)
    body.load_state_dict(causal.backpack.state_dict())
    wanted = expected(parameters, vocabulary_senses, [EDITS["topic"]], IDS)
    with Steering([EDITS["topic"]]).applied(body), torch.no_grad():
        mixture = body(torch.tensor([IDS])).last_hidden_state[0]
    close(mixture.double() @ parameters["backpack.gpt2_model.wte.weight"].T, wanted)
