import json

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from sensia.evaluation.senses.sense_maps import choose_pairs, map_words, pair_count, sense_similarity
from sensia.evaluation.word_pairs import WordPair, independent_pairs, word_senses


def noise(pairs=60, senses=4, size=6, seed=0):
    return np.random.default_rng(seed).normal(size=(pairs, senses, size))


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def test_similarity_is_the_mean_cosine_of_centred_senses():
    source, target = noise() + 1, noise(seed=1) - 2
    left, right = (unit(side) - unit(side).mean(0) for side in (source, target))
    table = np.mean([cosine_similarity(s, t) for s, t in zip(left, right, strict=True)], axis=0)
    result = sense_similarity(source, target)
    assert np.array(result["cosines"]) == pytest.approx(table)
    assert result["estimate"] == pytest.approx(np.trace(table) / 4)


def test_the_baseline_is_the_mean_over_orders_of_the_senses():
    source = noise()
    result = sense_similarity(source, source + noise(seed=1), shuffles=4000)
    assert result["baseline"] == pytest.approx(np.mean(result["cosines"]), abs=0.01)
    # One of 24 orders is the true one, and none is better.
    assert result["p_value"] == pytest.approx(1 / 24, abs=0.015)


def test_senses_in_another_order_are_not_taken_for_the_same():
    source = noise(senses=8)
    result = sense_similarity(source, np.roll(source, 1, axis=1))
    assert result["gap"] < 0
    assert np.array(result["cosines"])[np.arange(8), (np.arange(8) + 1) % 8] == pytest.approx(1)


def test_senses_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        sense_similarity(noise(), noise(senses=3))


def test_a_pair_is_as_frequent_as_its_rarer_word_whatever_the_case():
    counts = {"bank": 5}, {"tepi": 3}
    assert pair_count(WordPair("Bank", "Tepi"), *counts) == 3
    assert pair_count(WordPair("Bank", "bursa"), *counts) == 0


@pytest.fixture(scope="module")
def pairs(bitext):
    sides = [list(dict.fromkeys(" ".join(bitext[side]).split())) for side in ("source", "target")]
    return [WordPair(*words) for words in zip(*sides, strict=False)][:30]


def test_words_lie_where_the_two_strongest_directions_of_their_summed_senses_put_them(backpack, tokenizer, pairs):
    result = json.loads(json.dumps(map_words(backpack, tokenizer, pairs)))
    sides = [
        unit(word_senses(backpack, tokenizer, [getattr(pair, side) for pair in pairs]).numpy().sum(1))
        for side in ("source", "target")
    ]
    joint = np.concatenate([side - side.mean(0) for side in sides])
    left, values, _ = np.linalg.svd(joint, full_matrices=False)
    found = np.array([[word[f"{side}_at"] for word in result["words"]] for side in ("source", "target")])
    # The sign of a principal component is arbitrary.
    assert np.abs(found.reshape(60, 2)) == pytest.approx(np.abs(left[:, :2] * values[:2]), abs=1e-4)
    assert result["explained"] == pytest.approx((values**2 / (values**2).sum())[:2], abs=1e-4)
    assert [(word["source"], word["target"]) for word in result["words"]] == [(p.source, p.target) for p in pairs]


def test_the_most_frequent_pairs_are_chosen_unless_words_are_named(tokenizer, pairs):
    kept, _ = independent_pairs(pairs, tokenizer)
    order = [*range(1, len(kept)), 0]
    source = {pair.source.casefold(): 10 * place for pair, place in zip(kept, order, strict=True)}
    target = {pair.target.casefold(): 1000 for pair in kept}
    chosen = choose_pairs(pairs, tokenizer, (source, target), most=2)
    assert len(kept) < len(pairs) and chosen == [kept[-2], kept[-3]]
    named = [kept[2].source, "unheard", kept[0].source]
    assert choose_pairs(pairs, tokenizer, (source, target), named) == [kept[0], kept[2]]


def test_two_pairs_make_no_map(backpack, tokenizer, pairs):
    with pytest.raises(ValueError, match="at least 3 pairs, got 2"):
        map_words(backpack, tokenizer, pairs[:2])
