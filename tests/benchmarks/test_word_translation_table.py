"""The table of which words find their translation: its groups, and that it is what the lexicon task measures."""

from collections import Counter

import pytest
import torch

from benchmarks.word_translation import Words, by_frequency, counts_of, of_frequent
from modeling_sensia.loading import load_base
from sensia.evaluation.tasks.word_translation import measure_word_translation
from sensia.evaluation.word_pairs import WordPair

LEXICON = {"dog": ["anjing"], "house": ["rumah", "gedung"], "virus": ["kuman"], "water": ["air"], "night": ["malam"]}
COUNTS = (
    Counter(dog=30, house=50, virus=5, water=90),
    Counter(anjing=20, gedung=40, rumah=1, kuman=9, air=70, malam=3),
)


def test_a_word_is_seen_as_often_as_the_rarer_of_it_and_its_commonest_translation():
    pieces = {"anjing": 2, "gedung": 3, "kuman": 1, "air": 1, "malam": 1}
    words = Words(LEXICON, COUNTS, pieces.__getitem__)
    assert dict(zip(words.sources, words.seen, strict=True)) == {
        "dog": 20,
        "house": 40,
        "virus": 5,
        "water": 70,
        "night": 0,
    }
    found = {name: [words.sources[place] for place in places] for name, places in words.groups().items()}
    assert found == {
        "all": list(LEXICON),
        "never seen": ["night"],
        "seen 1 to 19 times": ["virus"],
        "seen at least 20 times": ["dog", "house", "water"],
        "... translation of 1 token": ["water"],
        "... of 2 tokens": ["dog"],
        "... of 3 and more tokens": ["house"],
    }


def test_words_are_counted_in_lower_case_on_both_sides(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"en": "The dog, the Dog.", "id": "Anjing itu anjing."}\n')
    english, other = counts_of(str(tmp_path / "a.jsonl"), "en", "id")
    assert english == Counter(the=2, dog=2) and other == Counter(anjing=2, itu=1)


@pytest.mark.slow
def test_without_centring_all_words_are_those_of_the_lexicon_task():
    model, tokenizer = load_base("examples/assets/backpack-id-mini")
    model.eval()
    words = Words(LEXICON, (Counter(), Counter()), lambda word: len(tokenizer.tokenize(f" {word}")))
    words.seen = [20] * len(LEXICON)
    pairs = [WordPair(word, other) for word, others in LEXICON.items() for other in others]
    task = measure_word_translation(model, tokenizer, pairs, shared_tokens=True)["metrics"]
    frequent = of_frequent(model, tokenizer, words)
    assert frequent["sum of senses, not centred"] == pytest.approx(task["sense_sum_precision@1"])
    assert frequent["the worst sense alone, centred"] <= frequent["the best sense alone, centred"]
    rows = by_frequency(model, tokenizer, words)
    assert rows["all"]["number"] == rows["seen at least 20 times"]["number"] == 5 and "never seen" not in rows
    assert all(0 <= value <= 1 for value in torch.tensor([rows["all"][kind] for kind in ("sense", "sentence")]))
