"""Edits of words of several tokens, against the naive equations with the senses of each position edited by hand."""

import pytest
import torch
from naive_backpack import naive_contextualization, naive_mixture, naive_trunk
from steering_oracles import DIRECTION, SENSES, close, logits
from tiny_backpacks import padded_batch
from transformers import GenerationConfig, StaticCache

from modeling_sensia.sense_words import SenseWords
from modeling_sensia.steering import ProjectOut, ScaleSenses, Steering, SwapSenses, TowardsTopic

WORD, LONGER, OTHER = (9, 5), (41, 9, 5), (17, 60)
IDS = [5, 9, 5, 41, 9, 5, 17, 9, 3, 5]  # the word ends at 2, the longer one at 5


def by_hand(parameters, table, changes, ids=IDS):
    """Logits with the senses [K, D] at some positions replaced."""
    senses = torch.stack([changes.get(place, table[token]) for place, token in enumerate(ids)], dim=1)
    states = naive_trunk(parameters, ids, 4, True)
    mixture = naive_mixture(naive_contextualization(parameters, states, SENSES), senses)
    return mixture @ parameters["backpack.gpt2_model.wte.weight"].T


def scaled(senses, factor):
    return senses * factor


def projected(senses):
    unit = torch.tensor(DIRECTION).double() / torch.tensor(DIRECTION).double().norm()
    return torch.stack([vector - (vector @ unit) * unit for vector in senses])


CASES = {
    "scale": (ScaleSenses(None, 3.0, [WORD]), lambda table: {2: scaled(table[5], 3), 5: scaled(table[5], 3)}),
    "scale the longer word": (ScaleSenses(None, 3.0, [LONGER]), lambda table: {5: scaled(table[5], 3)}),
    "swap for a token": (SwapSenses(WORD, 77), lambda table: {2: table[77], 5: table[77]}),
    "swap for a word": (SwapSenses(WORD, OTHER), lambda table: {2: table[60], 5: table[60]}),
    "swap of a token": (SwapSenses(3, WORD), lambda table: {8: table[5]}),
    "project out": (
        ProjectOut(None, DIRECTION, [WORD]),
        lambda table: {2: projected(table[5]), 5: projected(table[5])},
    ),
}


@pytest.mark.parametrize("steps", [(10,), (3, 3, 1, 1, 2), (1,) * 10], ids=["whole", "pieces", "tokens"])
@pytest.mark.parametrize("cache", ["dynamic", "static"])
@pytest.mark.parametrize("case", CASES)
def test_a_word_is_edited_at_its_last_token_however_the_text_is_read(
    model, parameters, vocabulary_senses, case, steps, cache
):
    edit, changes = CASES[case]
    past = StaticCache(config=model.config, max_cache_len=12) if cache == "static" else None
    pieces = []
    with Steering([edit]).applied(model), torch.no_grad():
        for piece in torch.tensor([IDS]).split(steps, dim=1):
            output = model(piece, past_key_values=past, use_cache=True)
            past = output.past_key_values
            pieces.append(output.logits[0])
    close(torch.cat(pieces), by_hand(parameters, vocabulary_senses, changes(vocabulary_senses)))


@pytest.mark.parametrize("case", CASES)
def test_senses_computed_once_a_token_are_those_of_the_word(model, parameters, vocabulary_senses, case):
    edit, changes = CASES[case]
    with Steering([edit]).applied(model):
        close(logits(model, IDS, use_cache=False), by_hand(parameters, vocabulary_senses, changes(vocabulary_senses)))
        model.backpack.sense_table = None
        close(logits(model, IDS, use_cache=False), by_hand(parameters, vocabulary_senses, changes(vocabulary_senses)))
        model.precompute_senses()
        close(logits(model, IDS, use_cache=False), by_hand(parameters, vocabulary_senses, changes(vocabulary_senses)))


def test_an_edit_of_a_token_also_holds_where_the_token_ends_a_word(model, parameters, vocabulary_senses):
    edits = [ScaleSenses(None, 2.0, [WORD]), ScaleSenses(None, 5.0, [5])]
    wanted = {place: scaled(vocabulary_senses[5], 10 if place in (2, 5) else 5) for place in (0, 2, 5, 9)}
    with Steering(edits).applied(model):
        close(logits(model, IDS), by_hand(parameters, vocabulary_senses, wanted))


def test_an_edit_of_a_word_also_holds_where_a_longer_word_ends_with_it(model, parameters, vocabulary_senses):
    edits = [ScaleSenses(None, 2.0, [WORD]), ScaleSenses(None, 5.0, [LONGER])]
    wanted = {2: scaled(vocabulary_senses[5], 2), 5: scaled(vocabulary_senses[5], 10)}
    with Steering(edits).applied(model):
        close(logits(model, IDS), by_hand(parameters, vocabulary_senses, wanted))


def test_blocks_with_other_words_are_nested(model, parameters, vocabulary_senses):
    outer, inner = Steering([ScaleSenses(None, 2.0, [WORD])]), Steering([ScaleSenses(None, 5.0, [LONGER, OTHER])])
    twice = scaled(vocabulary_senses[5], 2)
    both = {2: twice, 5: scaled(twice, 5)}
    with outer.applied(model):
        with inner.applied(model):
            close(logits(model, IDS), by_hand(parameters, vocabulary_senses, both))
        close(logits(model, IDS), by_hand(parameters, vocabulary_senses, {2: twice, 5: twice}))
    assert model.backpack.sense_words is None and model.backpack.sense_table is None
    close(logits(model, IDS), by_hand(parameters, vocabulary_senses, {}))


def test_get_senses_edits_the_word_and_not_the_token_alone(model, vocabulary_senses):
    with Steering([ScaleSenses(None, 0.0, [WORD])]).applied(model):
        senses = model.get_senses(torch.tensor([[9, 5, 5]]))[0].transpose(0, 1)  # [L, K, D]
    assert not senses[1].any()
    close(senses[2], vocabulary_senses[5])


def test_left_padded_beams_are_those_of_each_prompt_alone(model):
    rows = [torch.tensor(row) for row in ([5, 9, 5, 41, 9], [9, 5])]
    ids, mask = padded_batch(rows, "left")
    options = GenerationConfig(max_new_tokens=6, num_beams=3, do_sample=False, pad_token_id=0)
    steering = Steering([SwapSenses(WORD, OTHER), SwapSenses((7, 9), 77)])  # padding is token 7
    together = steering.generate(model, ids, attention_mask=mask, generation_config=options)
    for row, text in zip(rows, together, strict=True):
        alone = steering.generate(model, row[None], generation_config=options)
        assert text[len(ids[0]) - len(row) :].tolist() == alone[0].tolist()


def test_a_word_of_one_token_is_that_token():
    assert ScaleSenses(None, 2.0, [(5,), [9, 5]]) == ScaleSenses(None, 2.0, [5, (9, 5)])


def test_a_topic_counts_the_first_token_of_a_word(model):
    with Steering([TowardsTopic([(9, 60), 77], 1.0)]).applied(model):
        found = logits(model, IDS)
    with Steering([TowardsTopic([9, 77], 1.0)]).applied(model):
        torch.testing.assert_close(found, logits(model, IDS))


def test_of_words_that_end_at_one_place_the_longest_counts():
    words = SenseWords(100, ((1, 2), (3, 1, 2)))
    assert words.ids_in(torch.tensor([[1, 2, 3, 1, 2], [2, 2, 1, 1, 2]])).tolist() == [
        [1, 101, 3, 1, 102],
        [2, 2, 1, 1, 101],
    ]
