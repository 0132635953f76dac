import numpy as np
import pytest
import torch
from scipy.stats import hypergeom
from sklearn.metrics.pairwise import cosine_similarity
from torch.nn import functional as F

from sensia.evaluation.tasks.word_translation import measure_word_translation, translation_ranks
from sensia.evaluation.tasks.word_vectors import word_vectors
from sensia.evaluation.word_pairs import WordPair, word_senses

WORDS = [("file", "berkas"), ("file", "dokumen"), ("yes", "ya"), ("window", "jendela"), ("open", "buka")]
WORDS += [("close", "tutup"), ("save", "simpan"), ("window", "kaca"), ("water", "air"), ("virus", "virusnya")]
PAIRS = [WordPair(*words) for words in WORDS]


def naive_ranks(queries, candidates, gold, neighbours=None):
    scores = cosine_similarity(queries, candidates)
    if neighbours is not None:
        near = [np.sort(side, 1)[:, ::-1][:, :neighbours].mean(1) for side in (scores, scores.T)]
        scores = 2 * scores - near[0][:, None] - near[1]
    ranks = []
    for row, right in enumerate(gold):
        best = max(scores[row, column] for column in right)
        wrong = [column for column in range(scores.shape[1]) if column not in right]
        ranks.append(1 + sum(scores[row, column] >= best for column in wrong))
    return ranks


@pytest.mark.parametrize("csls", [False, True])
def test_ranks_are_those_of_a_loop_over_cosines(csls):
    generator = torch.Generator().manual_seed(0)
    queries, candidates = (torch.randn(rows, 3, generator=generator) for rows in (25, 40))
    gold = [[row] if row % 3 else [row, 39 - row] for row in range(25)]
    found = translation_ranks(F.normalize(queries, dim=-1), F.normalize(candidates, dim=-1), gold, csls=csls)
    assert found.tolist() == naive_ranks(queries.double(), candidates.double(), gold, 10 if csls else None)


def test_a_word_that_ties_stands_before_the_translation_and_another_translation_does_not():
    query, candidates = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert translation_ranks(query, candidates, [[0]]).item() == 2
    assert translation_ranks(query, candidates, [[0, 1]]).item() == 1


def test_precision_is_over_english_words_and_all_translations_count(backpack, tokenizer):
    found = measure_word_translation(backpack, tokenizer, PAIRS, shared_tokens=True)
    sources = list(dict.fromkeys(source for source, _ in WORDS))
    targets = sorted({target for _, target in WORDS})
    gold = [[targets.index(target) for word, target in WORDS if word == source] for source in sources]
    left, right = (word_senses(backpack, tokenizer, words) for words in (sources, targets))
    ranks = np.array(naive_ranks(left.sum(1).double(), right.sum(1).double(), gold))
    assert (found["words"], found["candidates"], found["sharing_tokens"]) == (len(sources), len(targets), 0)
    for places in (1, 5):
        assert found["metrics"][f"sense_sum_precision@{places}"] == pytest.approx((ranks <= places).mean())
        drawn = [1 - hypergeom(len(targets), len(columns), places).pmf(0) for columns in gold]
        assert found["chance"][f"sense_precision@{places}"] == pytest.approx(np.mean(drawn))


def test_words_that_share_a_token_with_their_translation_are_left_out(backpack, tokenizer):
    shared = [
        pair
        for pair in PAIRS
        if set(tokenizer.tokenize(f" {pair.source}")) & set(tokenizer.tokenize(f" {pair.target}"))
    ]
    found = measure_word_translation(backpack, tokenizer, PAIRS)
    assert found["sharing_tokens"] == len(shared) > 0
    with pytest.raises(ValueError, match="no pair"):
        measure_word_translation(backpack, tokenizer, [WordPair("virus", "virusnya")])


def test_a_draw_is_of_english_words_with_all_their_translations(backpack, tokenizer):
    draws = [
        measure_word_translation(backpack, tokenizer, PAIRS, max_words=4, shared_tokens=True, seed=1) for _ in range(2)
    ]
    assert draws[0] == draws[1]
    assert draws[0]["words"] == 4 <= draws[0]["candidates"]


def test_the_cosine_of_senses_side_by_side_is_the_mean_cosine_of_sense_with_sense(backpack, tokenizer):
    words = ["file", "window", "virusnya"]
    senses = word_senses(backpack, tokenizer, words)
    vectors = word_vectors(backpack, tokenizer, words)["sense"]
    expected = torch.stack([F.cosine_similarity(senses[0, k], senses[2, k], dim=0) for k in range(4)]).mean()
    assert float(vectors[0] @ vectors[2]) == pytest.approx(float(expected), abs=1e-6)


def test_an_embedding_is_the_mean_over_the_words_tokens_and_all_that_a_dense_model_has(gpt2, tokenizer):
    vectors = word_vectors(gpt2, tokenizer, ["window", "virusnya"])
    assert set(vectors) == {"embedding"}
    for row, word in enumerate(("window", "virusnya")):
        ids = tokenizer.encode(f" {word}", add_special_tokens=False)
        expected = F.normalize(gpt2.transformer.wte.weight[ids].mean(0), dim=-1)
        torch.testing.assert_close(vectors["embedding"][row], expected)
