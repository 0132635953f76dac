import sys

import pytest

from sensia.evaluation.senses.word_alignment import align_sentences
from sensia.evaluation.word_pairs import WordPair

NOUNS = {"house": "rumah", "book": "buku", "river": "sungai", "cat": "kucing"}
VERBS = {"sees": "melihat", "buys": "membeli", "loves": "mencintai"}
SENTENCES = [
    ((f"Ana {verb} {noun} {other}"), f"Ana {VERBS[verb]} {NOUNS[noun]} {NOUNS[other]}")
    for verb in VERBS
    for noun in NOUNS
    for other in NOUNS
    if noun != other
] * 3


def test_words_that_stand_together_are_linked_and_same_spellings_dropped():
    pytest.importorskip("systran_align", reason="the aligner is an optional extra, sensia[align]")
    pairs, dropped = align_sentences(*zip(*SENTENCES, strict=True))
    assert set(pairs) == {WordPair(word, translation) for word, translation in (NOUNS | VERBS).items()}
    assert dropped["same_spelling"] == 1


def test_rare_and_uncertain_links_are_dropped_and_counted():
    pytest.importorskip("systran_align", reason="the aligner is an optional extra, sensia[align]")
    varied = [
        (source, target.replace("rumah", ("rumah", "griya")[n % 2])) for n, (source, target) in enumerate(SENTENCES)
    ]
    sides = list(zip(*varied, ("Ana sees zebra", "Ana melihat kuda"), strict=True))
    both = {WordPair("house", "rumah"), WordPair("house", "griya")}
    pairs, dropped = align_sentences(*sides, min_count=2)
    assert both <= set(pairs) and dropped["rare"] >= 1
    pairs, dropped = align_sentences(*sides, min_count=2, min_share=0.7)
    assert not both & set(pairs) and dropped["uncertain"] >= 2


def test_without_the_aligner_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "systran_align", None)
    with pytest.raises(ValueError, match=r"pip install \"sensia\[align\]\""):
        align_sentences(["a house"], ["rumah"])


@pytest.mark.parametrize(
    ("sides", "message"),
    [((["a"], ["b", "c"]), "got 1 and 2 sentences"), ((["12"], ["..."]), "no word in the 1 sentence pairs")],
)
def test_sentences_that_cannot_be_aligned_are_refused(sides, message):
    with pytest.raises(ValueError, match=message):
        align_sentences(*sides)
