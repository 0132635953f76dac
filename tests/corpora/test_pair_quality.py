"""Quality of pairs: damage is found by a classifier that learned from the bitext alone."""

import random

import numpy as np
import pytest

from sensia.corpora.pair_quality import QualityScorer
from sensia.corpora.planted_noise import KINDS, damaged

pytest.importorskip("systran_align")
SYLLABLES = ["ba", "ko", "ri", "mu", "te", "sa", "lo", "ni"]
#: Words of four letters, of which no two are alike and none is one of the other language.
WORDS = [(one + other, f"z{other}{one[0]}") for one in SYLLABLES for other in SYLLABLES]


def sentences(number=800, seed=0):
    order = random.Random(seed)
    for _ in range(number):
        words = order.sample(WORDS, order.randint(4, 9))
        yield tuple(" ".join(word[side] for word in words).capitalize() + "." for side in (0, 1))


@pytest.fixture(scope="module")
def pairs():
    """Whole pairs; from 600 on, runs of misaligned, cut and swapped ones."""
    pairs = list(sentences())
    order = random.Random(1)
    found = pairs[:600]
    found += [damaged(pairs, number, "misaligned by one", order) for number in range(600, 630)]
    found += [damaged(pairs, number, "target cut", order) for number in range(630, 660)]
    return found + [(target, source) for source, target in pairs[660:690]] + pairs[690:]


@pytest.fixture(scope="module")
def scores(pairs):
    return np.array(QualityScorer(pairs).score())


def test_whole_pairs_have_a_high_quality(scores):
    assert (scores[:600] >= 0.5).mean() > 0.97 and (scores[690:] >= 0.5).mean() > 0.97


@pytest.mark.parametrize(("kind", "start"), [("misaligned", 600), ("cut", 630), ("swapped", 660)])
def test_damaged_pairs_have_a_low_quality(scores, kind, start):
    assert (scores[start : start + 30] < 0.5).mean() > 0.9, kind


def test_the_same_pairs_have_the_same_quality(pairs, scores):
    assert QualityScorer(pairs).score() == scores.tolist()


def test_what_is_found_of_planted_damage_is_told_by_kind(pairs):
    found = QualityScorer(pairs[:600]).found(0.5)
    assert set(found) == set(KINDS) and min(found.values()) > 0.8
    assert QualityScorer(pairs[:600], seed=1).found(1.01) == dict.fromkeys(KINDS, 1.0)


def test_too_few_pairs_are_refused(pairs):
    with pytest.raises(ValueError, match="from 200 pairs or more, got 199"):
        QualityScorer(pairs[:199])


@pytest.mark.parametrize("number", [0, 3])
def test_every_damage_changes_a_pair_on_the_sides_that_it_names(number):
    pairs = [(f"Sentence {each} of four.", f"Kalimat {each} dari empat.") for each in range(4)]
    source, target = pairs[number]
    made = {kind: damaged(pairs, number, kind, random.Random(0)) for kind in KINDS}
    for kind in ("misaligned by one", "misaligned"):
        assert made[kind][0] == source and made[kind][1] in {each for _, each in pairs} - {target}
    assert made["misaligned by one"][1] == pairs[number + 1 if number < 3 else 2][1]
    assert (
        made["target cut"][0] == source
        and target.startswith(made["target cut"][1])
        and made["target cut"][1] != target
    )
    assert (
        made["source cut"][1] == target
        and source.startswith(made["source cut"][0])
        and made["source cut"][0] != source
    )
