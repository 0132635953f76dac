import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from sensia.evaluation.tasks.word_similarity import RatedPair, measure_word_similarity, read_word_similarity
from sensia.evaluation.word_pairs import word_senses

PAIRS = [RatedPair("file", "document", 9), RatedPair("file", "window", 4), RatedPair("yes", "no", 3)]
PAIRS += [RatedPair("open", "close", 5), RatedPair("save", "save", 10), RatedPair("water", "virus", 1)]


def cosines_of(vectors):
    return [float(a @ b / (a.norm() * b.norm())) for a, b in vectors]


def test_correlations_are_those_of_scipy_for_each_sense_and_for_their_sum(backpack, tokenizer):
    found = measure_word_similarity(backpack, tokenizer, PAIRS)["metrics"]
    scores = [pair.score for pair in PAIRS]
    senses = [word_senses(backpack, tokenizer, [pair.first, pair.second]) for pair in PAIRS]
    for k in range(4):
        expected = spearmanr(cosines_of([pair[:, k] for pair in senses]), scores).statistic
        assert found[f"sense_{k}_spearman"] == pytest.approx(expected)
    expected = spearmanr(cosines_of([pair.sum(1) for pair in senses]), scores).statistic
    assert found["sense_sum_spearman"] == pytest.approx(expected)


def test_the_best_sense_is_the_one_that_does_best(backpack, tokenizer):
    found = measure_word_similarity(backpack, tokenizer, PAIRS)
    single = [found["metrics"][f"sense_{k}_spearman"] for k in range(4)]
    assert found["best_sense"] == int(np.argmax(single))
    assert found["metrics"]["best_sense_spearman"] == max(single)
    low, high = found["intervals"]["best_sense_spearman"]
    assert low <= max(single) <= high


def test_a_dense_model_has_its_embeddings(gpt2, tokenizer):
    found = measure_word_similarity(gpt2, tokenizer, PAIRS)
    weight = gpt2.transformer.wte.weight.detach()
    words = [
        [weight[tokenizer.encode(f" {word}", add_special_tokens=False)].mean(0) for word in (pair.first, pair.second)]
        for pair in PAIRS
    ]
    expected = spearmanr(cosines_of(words), [pair.score for pair in PAIRS]).statistic
    assert found["metrics"] == {"embedding_spearman": pytest.approx(expected)}


def test_vectors_that_are_all_alike_correlate_with_nothing(gpt2, tokenizer):
    weight = gpt2.transformer.wte.weight
    kept = weight.detach().clone()
    try:
        with torch.no_grad():
            weight.fill_(0.5)
        assert measure_word_similarity(gpt2, tokenizer, PAIRS)["metrics"]["embedding_spearman"] == 0
    finally:
        with torch.no_grad():
            weight.copy_(kept)


def test_rated_pairs_are_read(tmp_path):
    (tmp_path / "rated.tsv").write_text("sun\tsunlight\t50.0\n\nJerusalem\tIsrael\t8.46\n", encoding="utf-8")
    expected = [RatedPair("sun", "sunlight", 50.0), RatedPair("Jerusalem", "Israel", 8.46)]
    assert read_word_similarity(tmp_path / "rated.tsv") == expected


@pytest.mark.parametrize(("text", "words"), [("a\tb\n", "line 1"), ("a\tb\tx\n", "line 1"), ("\n", "no pair")])
def test_a_file_of_another_form_is_refused(tmp_path, text, words):
    (tmp_path / "rated.tsv").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        read_word_similarity(tmp_path / "rated.tsv")


def test_two_pairs_are_too_few(gpt2, tokenizer):
    with pytest.raises(ValueError, match="three pairs"):
        measure_word_similarity(gpt2, tokenizer, PAIRS[:2])
