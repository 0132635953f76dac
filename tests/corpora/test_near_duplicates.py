"""Near-duplicates: pairs with most of their shingles in common, in any order, whatever their case and numbers."""

import random

import pytest

from sensia.corpora import read_pairs
from sensia.corpora.bitext_build import SeenText
from sensia.corpora.near_duplicates import NearDuplicates, _shingles

BITEXT = "examples/assets/bitext/en-id.dev-indomain.parquet"
FIRST = {"source": "Click OK to save the document to disk.", "target": "Klik OK untuk menyimpan dokumen ke diska."}


def jaccard(one, other):
    one, other = (set(_shingles(pair)) for pair in (one, other))
    return len(one & other) / len(one | other)


@pytest.mark.parametrize(
    "again",
    [
        FIRST,
        {"source": FIRST["source"].upper(), "target": FIRST["target"]},
        {"source": "3. " + FIRST["source"], "target": FIRST["target"] + " (3)"},
    ],
)
def test_the_same_words_are_the_same_pair(again):
    seen = NearDuplicates(0.8)
    assert not seen.resembles(FIRST) and seen.resembles(again)


def test_another_translation_of_a_sentence_is_another_pair():
    seen = NearDuplicates(0.8)
    assert not seen.resembles(FIRST)
    assert not seen.resembles({**FIRST, "target": "Pilih tombol ini bila ingin merekam berkas."})


def test_a_pair_that_resembles_is_not_remembered():
    seen = NearDuplicates(0.8)
    assert [seen.resembles(FIRST) for _ in range(3)] == [False, True, True]
    assert len(seen._signatures) == 1


def test_decisions_are_those_of_the_similarity_of_the_shingles():
    rows = read_pairs(BITEXT, source_language="en", target_language="id").select(range(150))
    pairs = [
        dict(zip(("source", "target"), row, strict=True)) for row in zip(rows["source"], rows["target"], strict=True)
    ]
    generator, kept, seen, wrong = random.Random(0), [], NearDuplicates(0.8), 0
    for pair in pairs + [{**pair, "source": changed(pair["source"], generator)} for pair in pairs]:
        nearest = max((jaccard(pair, other) for other in kept), default=0.0)
        resembles = seen.resembles(pair)
        wrong += resembles != (nearest >= 0.8) and abs(nearest - 0.8) > 0.1  # the estimate errs by some 0.04
        kept += [] if resembles else [pair]
    assert wrong <= 3 and len(kept) < len(pairs) * 2


def changed(text, generator):
    words = text.split()
    words[generator.randrange(len(words))] = "berkas"
    return " ".join(words)


def test_only_a_threshold_looks_for_them():
    near = {**FIRST, "source": FIRST["source"].replace("disk", "disks")}
    for similarity, expected in ((None, [None, None]), (0.8, [None, "near_duplicates"])):
        seen = SeenText(("near_duplicates",), 2, [], similarity)
        assert [seen.reason_to_drop(pair) for pair in (FIRST, near)] == expected


def test_a_step_that_is_left_out_looks_for_none():
    seen = SeenText((), 2, [], 0.8)
    assert [seen.reason_to_drop(pair) for pair in (FIRST, FIRST)] == [None, None]
