import json

import numpy as np
import pytest

from modeling_sensia import BackpackConfig, BackpackForCausalLM
from sensia.evaluation.senses.geometry import (
    compare_geometry,
    mutual_information,
    procrustes_alignment,
    sense_topology,
)
from sensia.evaluation.senses.sense_maps import sense_similarity
from sensia.evaluation.word_pairs import WordPair, independent_pairs, word_senses


@pytest.fixture(scope="module")
def word_pairs(bitext):
    """Made-up translations: any words of the two sides do for the wiring."""
    sides = [list(dict.fromkeys(" ".join(bitext[side]).split())) for side in ("source", "target")]
    return [WordPair(*words) for words in zip(*sides, strict=False)]


def test_a_comparison_holds_every_statistic_of_the_independent_pairs(backpack, tokenizer, word_pairs):
    result = json.loads(json.dumps(compare_geometry(backpack, tokenizer, word_pairs, shuffles=3, seed=7, folds=4)))
    kept, dropped = independent_pairs(word_pairs, tokenizer)
    source = word_senses(backpack, tokenizer, [pair.source for pair in kept])
    target = word_senses(backpack, tokenizer, [pair.target for pair in kept])
    chance = {"shuffles": 3, "seed": 7}
    assert dropped and result == {
        "pairs": len(kept),
        "dropped": dropped,
        "senses": 4,
        "hidden_size": 32,
        "folds": 4,
        **chance,
        "sense_topology": sense_topology(source, target, **chance),
        "procrustes": procrustes_alignment(source, target, center=False, folds=4, **chance),
        "procrustes_centered": procrustes_alignment(source, target, folds=4, **chance),
        "mutual_information": mutual_information(source, target, folds=4, **chance),
        "sense_similarity": sense_similarity(source, target, **chance),
    }


def test_bands_of_frequency_are_quarters_of_the_pairs_by_the_rarer_word(backpack, tokenizer, word_pairs):
    kept, _ = independent_pairs(word_pairs, tokenizer)
    counts = ({pair.source.casefold(): 7 * n % 31 for n, pair in enumerate(kept)}, {})
    counts[1].update({pair.target.casefold(): 11 * n % 29 for n, pair in enumerate(kept)})
    result = compare_geometry(backpack, tokenizer, word_pairs, counts=counts, shuffles=2, folds=2)["by_frequency"]
    rarer = [min(7 * n % 31, 11 * n % 29) for n in range(len(kept))]
    order = sorted(range(len(kept)), key=lambda n: rarer[n])
    size = -(-len(kept) // 4)
    first = [kept[n] for n in order[:size]]
    source = word_senses(backpack, tokenizer, [pair.source for pair in first])
    target = word_senses(backpack, tokenizer, [pair.target for pair in first])
    assert [band["sense_topology"]["pairs"] for band in result] == [len(part) for part in np.array_split(order, 4)]
    assert result[0]["counts"] == [rarer[order[0]], rarer[order[size - 1]]]
    assert result[0]["procrustes_centered"] == procrustes_alignment(source, target, folds=2, shuffles=2)
    assert result[3]["counts"][1] == max(rarer)


def test_the_source_words_can_be_another_models(backpack, trunk, tokenizer, word_pairs):
    other = BackpackForCausalLM(BackpackConfig(trunk_config=trunk, num_senses=4)).eval()
    kept, _ = independent_pairs(word_pairs, tokenizer)
    source = word_senses(other, tokenizer, [pair.source for pair in kept])
    target = word_senses(backpack, tokenizer, [pair.target for pair in kept])
    result = compare_geometry(backpack, tokenizer, word_pairs, source_model=other, shuffles=2)
    assert result["sense_topology"] == sense_topology(source, target, shuffles=2)
    assert result["sense_topology"] != compare_geometry(backpack, tokenizer, word_pairs, shuffles=2)["sense_topology"]


def test_a_comparison_without_a_usable_pair_is_refused(backpack, tokenizer):
    with pytest.raises(ValueError, match=r"left of 1; dropped: \{'shared_token': 1\}"):
        compare_geometry(backpack, tokenizer, [WordPair("menu", "menu")])
