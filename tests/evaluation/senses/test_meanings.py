import json
import math

import numpy as np
import pytest
import torch

from sensia.evaluation.senses.ambiguous_words import AmbiguousWord
from sensia.evaluation.senses.meanings import measure_meanings

SOURCES = [
    *(f"open the {a} file now and {b}" for a in ("first", "second", "third") for b in ("save", "close", "print")),
    *(f"a {a} keeps the {b} file" for a in ("user", "program", "folder") for b in ("old", "new", "last")),
]
WORDS = [AmbiguousWord("file", "berkas", "kikir", (tuple(range(9)), tuple(range(9, 18))))]


def naive_shares(model, tokenizer, text):
    """`received` and `mixture` of "file" in one sentence, by loops over positions, tokens and senses."""
    ids = [tokenizer.eos_token_id, *tokenizer.encode(text)]
    pieces = tokenizer.encode(" file")
    start = next(at for at in range(len(ids)) if ids[at : at + len(pieces)] == pieces)
    end, length = start + len(pieces) - 1, len(ids)
    with torch.no_grad():
        out = model(torch.tensor([ids]), output_senses=True, output_contextualization=True)
    weights, senses = out.contextualization[0].double(), out.senses[0].double()
    received = [
        sum(float(weights[k, t, j]) for t in range(end, length) for j in range(start, end + 1)) for k in range(4)
    ]
    norms = [float(sum(weights[k, end, j] * senses[k, j] for j in range(length)).norm()) / 0.7 for k in range(4)]
    mixture = [math.exp(norm) for norm in norms]
    return {"received": np.array(received) / sum(received), "mixture": np.array(mixture) / sum(mixture)}


def naive_values(scores, labels):
    metrics = pytest.importorskip("sklearn.metrics")
    predicted = [int(score > 0) for score in scores]
    return metrics.roc_auc_score(labels, scores), metrics.balanced_accuracy_score(labels, predicted)


def halves(labels):
    """Earlier and later half of each label's places."""
    places = [[place for place, label in enumerate(labels) if label == wanted] for wanted in (0, 1)]
    return [side[: len(side) // 2] for side in places], [side[len(side) // 2 :] for side in places]


def fold_values(scorer, labels):
    """Mean of the values in either half, scored by what the other half gave."""
    both = halves(labels)
    values = []
    for train, test in (both, both[::-1]):
        chosen = test[0] + test[1]
        score = scorer(*train)
        values.append(naive_values([score(place) for place in chosen], [labels[place] for place in chosen]))
    return np.mean(values, axis=0)


@pytest.fixture(scope="module")
def measured(backpack, tokenizer):
    return measure_meanings(backpack, tokenizer, WORDS, SOURCES, permutations=30, tokens_per_batch=60)


@pytest.fixture(scope="module")
def shares(backpack, tokenizer):
    return [naive_shares(backpack, tokenizer, text) for text in SOURCES]


LABELS = [1] * 9 + [0] * 9


@pytest.mark.parametrize("name", ["received", "mixture"])
def test_telling_apart_equals_a_classifier_written_out(measured, shares, name):
    def fit(others, firsts):
        directions = []
        for k in range(4):
            sides = [[shares[place][name][k] for place in side] for side in (others, firsts)]
            means = [np.mean(side) for side in sides]
            within = np.mean([(x - m) ** 2 for side, m in zip(sides, means, strict=True) for x in side])
            directions.append(((means[1] - means[0]) / within, (means[0] + means[1]) / 2))
        return lambda place: sum(d * (shares[place][name][k] - middle) for k, (d, middle) in enumerate(directions))

    auc, accuracy = fold_values(fit, LABELS)
    entry = measured["words"][0]
    assert entry[f"{name}_apart"] == {"auc": pytest.approx(auc), "accuracy": pytest.approx(accuracy)}


def test_the_text_tells_apart_what_naive_bayes_on_its_words_tells(measured):
    def fit(others, firsts):
        def odds(word):
            rate = [(sum(word in SOURCES[p].split() for p in side) + 1) / (len(side) + 2) for side in (others, firsts)]
            return math.log(rate[1] / rate[0])

        known = {word for place in (*others, *firsts) for word in SOURCES[place].split()} - {"file"}
        return lambda place: sum(odds(word) for word in sorted(set(SOURCES[place].split()) & known))

    auc, accuracy = fold_values(fit, LABELS)
    assert measured["words"][0]["text"] == {"auc": pytest.approx(auc), "accuracy": pytest.approx(accuracy)}
    assert auc > 0.9


def word_senses(model, ids):
    with torch.no_grad():
        return model.get_senses(torch.tensor([ids]))[0].double().mean(1)  # [K, D]


@pytest.mark.parametrize("name", ["received", "mixture"])
def test_ranking_equals_scores_written_out(measured, backpack, tokenizer, shares, name):
    pieces = [tokenizer.encode(f" {word}") for word in ("file", "berkas", "kikir")]
    own = [[p for p in pieces[1] if p not in pieces[2]], [p for p in pieces[2] if p not in pieces[1]]]
    senses, *theirs = (word_senses(backpack, ids) for ids in (pieces[0], *own))
    head = backpack.lm_head.weight.detach().double()
    projections, matches = [], []
    for share in shares:
        said = sum(share[name][k] * senses[k] for k in range(4))
        logits = [np.mean([float(said @ head[piece]) for piece in ids]) for ids in own]
        projections.append(logits[0] - logits[1])
        cosines = [
            sum(share[name][k] * float(torch.cosine_similarity(senses[k], side[k], dim=0)) for k in range(4))
            for side in theirs
        ]
        matches.append(cosines[0] - cosines[1])
    for kind, scores in (("projection", projections), ("matching", matches)):
        auc, accuracy = naive_values(scores, LABELS)
        entry = measured["words"][0]
        assert entry[f"{name}_{kind}"] == {"auc": pytest.approx(auc), "accuracy": pytest.approx(accuracy)}
    if name == "received":
        expected = {f"file:{row}": "1" if score > 0 else "2" for row, score in enumerate(projections)}
        assert measured["choices"] == expected


def test_contexts_that_differ_are_told_apart_and_shuffled_labels_are_not(measured):
    result = measured["measures"]["mixture_apart"]
    assert result["auc"] > result["auc_chance_interval"][1]
    assert result["auc_p_value"] == pytest.approx(1 / 31)
    assert result["auc_chance"] == pytest.approx(0.5, abs=0.1)


def test_contexts_that_do_not_differ_are_not_told_apart(backpack, tokenizer):
    alternating = [AmbiguousWord("file", "berkas", "kikir", (tuple(range(0, 18, 2)), tuple(range(1, 18, 2))))]
    result = measure_meanings(backpack, tokenizer, alternating, SOURCES, permutations=50)["measures"]
    assert result["received_apart"]["auc_p_value"] > 0.05


def test_sense_indices_that_do_not_matter_are_at_chance(backpack, tokenizer):
    # All senses alike in every token: no order of the indices is better than another.
    model = type(backpack)(backpack.config).eval()
    model.load_state_dict(backpack.state_dict())
    network = model.backpack.sense_network.final_mlp.c_proj
    for values in (network.weight.data, network.bias.data):
        values.copy_(torch.cat([values[..., : values.shape[-1] // 4]] * 4, dim=-1))
    result = measure_meanings(model, tokenizer, WORDS, SOURCES, permutations=20)["measures"]["received_projection"]
    assert result["accuracy"] == result["accuracy_chance"] == 0.5
    assert result["accuracy_p_value"] == 1


def test_the_same_seed_gives_the_same_results_and_they_are_plain_json(measured, backpack, tokenizer):
    again = measure_meanings(backpack, tokenizer, WORDS, SOURCES, permutations=30, tokens_per_batch=60)
    assert again == measured == json.loads(json.dumps(measured))


def test_batches_do_not_change_the_values(measured, backpack, tokenizer):
    alone = measure_meanings(backpack, tokenizer, WORDS, SOURCES, permutations=0, tokens_per_batch=1)
    for name, value in alone["words"][0].items():
        assert value == (pytest.approx(measured["words"][0][name]) if isinstance(value, dict) else value)
    assert "auc_chance" not in alone["measures"]["received_apart"]


def test_means_over_words_lie_within_their_intervals(backpack, tokenizer):
    words = [*WORDS, AmbiguousWord("the", "si", "sang", (tuple(range(6)), tuple(range(10, 16))))]
    result = measure_meanings(backpack, tokenizer, words, SOURCES, permutations=5)
    for name, measure in result["measures"].items():
        assert measure["auc"] == pytest.approx(np.mean([word[name]["auc"] for word in result["words"]]))
        assert measure["auc_interval"][0] <= measure["auc"] <= measure["auc_interval"][1]


@pytest.mark.parametrize(
    "word",
    [
        AmbiguousWord("file", "berkas", "kikir", ((0, 1, 2), tuple(range(9, 18)))),
        AmbiguousWord("file", "berkas", "berkas", WORDS[0].rows),
        AmbiguousWord("absent", "berkas", "kikir", WORDS[0].rows),
    ],
)
def test_words_that_cannot_be_measured_are_left_out(backpack, tokenizer, word):
    with pytest.raises(ValueError, match="None of the 1 words"):
        measure_meanings(backpack, tokenizer, [word], SOURCES)
    assert measure_meanings(backpack, tokenizer, [word, *WORDS], SOURCES, permutations=1)["left_out"] == 1
