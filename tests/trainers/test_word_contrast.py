"""The contrast of aligned words: the weighted InfoNCE of the equation, however a step is cut."""

from collections import Counter

import pytest
import torch

from sensia.trainers.dense_alignment import DenseAlignmentConfig
from sensia.trainers.losses import weighted_info_nce
from sensia.trainers.word_alignment import align_words, mutual_pairs
from tests.trainers.scenarios.sensia_run import made_up_words

WORDS_ALONE = {"schedule": "constant", "joint_weights": [0, 0, 1], "label_smoothing_factor": 0.0}


def logged(trainer, name):
    return [entry[name] for entry in trainer.state.log_history if name in entry]


def naive_vectors(model, word_ids):
    """Senses of each word token by token, their means by sense, each of length 1, side by side."""
    vectors = []
    for row in word_ids:
        senses = model.get_senses(row[row >= 0][None])[0]  # [K, T, D]
        means = torch.stack([sense.mean(0) / sense.mean(0).norm() for sense in senses])  # [K, D]
        vectors.append(means.flatten() / len(means) ** 0.5)
    return torch.stack(vectors)


def naive_loss(model, words, chosen, temperature):
    """The equation, row by row."""
    left, right = (naive_vectors(model, side[chosen]) for side in words.word_ids)
    total = 0.0
    for row, weight in enumerate(words.weights[chosen].tolist()):
        forward = (left[row] @ right.T / temperature).log_softmax(0)[row]
        backward = (right[row] @ left.T / temperature).log_softmax(0)[row]
        total = total - weight * (forward + backward) / 2
    return total / words.weights[chosen].sum()


def test_word_vectors_are_means_of_senses_side_by_side(make_model, tokenizer):
    model = make_model().double().eval()
    ids = made_up_words(tokenizer).word_ids.flatten(0, 1)
    found = model.backpack.word_vectors(ids)
    torch.testing.assert_close(found, naive_vectors(model, ids))
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(len(ids), dtype=torch.float64))


def test_the_loss_is_the_equation_and_so_is_its_gradient(make_trainer, tokenizer):
    words = made_up_words(tokenizer)
    trainer = make_trainer(aligned_words=words, word_alignment_weight=0.7, max_steps=10, **WORDS_ALONE)
    trainer.state.max_steps, trainer.current_gradient_accumulation_steps = 10, 1
    batch = trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))
    model = trainer.model.double().eval()
    loss = trainer.compute_loss(model, batch)
    trainer._step_losses, trainer.aligned_words = {}, None
    plain = trainer.compute_loss(model, batch)
    expected = 0.7 * naive_loss(model, words, torch.arange(len(words.words)), trainer.args.tau_sns) + plain
    torch.testing.assert_close(loss, expected)
    gradients = (torch.autograd.grad(each, list(model.parameters()), allow_unused=True) for each in (loss, expected))
    for given, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(given, wanted)


def test_a_row_of_weight_near_zero_counts_for_nothing():
    torch.manual_seed(0)
    left, right = torch.nn.functional.normalize(torch.randn(2, 5, 8), dim=-1)
    weights = torch.tensor([1.0, 1.0, 1.0, 1.0, 1e-9])
    rows = [weighted_info_nce(left, right, torch.eye(5)[row] + 1e-9, 0.1) for row in range(4)]
    found = weighted_info_nce(left, right, weights, 0.1)
    torch.testing.assert_close(found, torch.stack(rows).mean())


@pytest.mark.parametrize(
    "settings",
    [
        {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4},
        {"per_device_train_batch_size": 8, "packing": False},
        {"per_device_train_batch_size": 2, "contrastive_batch_size": 8},
    ],
    ids=["accumulated", "without packing", "gradient-cached"],
)
def test_the_term_is_the_same_however_a_step_is_cut(make_trainer, make_model, tokenizer, settings):
    # The InfoNCE of sentences does depend on the micro-batch, unless it is cached.
    weights = [0, 0, 1] if "gradient_accumulation_steps" in settings else [0.1, 0.1, 1]
    runs = []
    for each in ({"per_device_train_batch_size": 8}, settings):
        given = {"aligned_words": made_up_words(tokenizer), "word_alignment_weight": 0.5, "joint_weights": weights}
        trainer = make_trainer(make_model(), schedule="constant", **given, **each)
        trainer.train()
        runs.append([logged(trainer, name) for name in ("loss", "grad_norm", "loss_words", "loss_lm")])
    for whole, cut in zip(*runs, strict=True):
        assert len(whole) == 4 and cut == pytest.approx(whole, rel=1e-4)


def test_the_words_of_a_step_depend_on_seed_and_step_alone(make_trainer, tokenizer):
    words = made_up_words(tokenizer, number=600)
    trainers = [make_trainer(aligned_words=words, word_alignment_weight=1.0, seed=seed) for seed in (1, 1, 2)]
    first, again, other = (trainer._words_of_step()[0] for trainer in trainers)
    assert first.shape[1] == 512 and torch.equal(first, again) and not torch.equal(first, other)
    trainers[0].state.global_step = 1
    assert torch.equal(trainers[0]._words_of_step()[0], other)  # seed 1 at step 1 is seed 2 at step 0


def test_pairs_are_each_others_most_frequent_partner_weighted_by_their_share():
    counts = Counter({("dog", "anjing"): 8, ("dog", "ekor"): 2, ("tail", "ekor"): 3, ("the", "ekor"): 4})
    counts |= Counter({("cat", "kucing"): 2, ("CD", "CD"): 9})
    assert mutual_pairs(counts) == {("dog", "anjing"): 0.8, ("the", "ekor"): 4 / 9}


def test_the_aligner_finds_words_that_stand_for_each_other(tokenizer):
    pytest.importorskip("systran_align", reason="aligning needs systran-align")
    english, other = ["dog", "cat", "house", "tree"], ["anjing", "kucing", "rumah", "pohon"]
    chosen = [(first, second) for first in range(4) for second in range(4) if first != second] * 5
    sources = [f"{english[a]} and {english[b]}" for a, b in chosen]
    targets = [f"{other[a]} dan {other[b]}" for a, b in chosen]
    found = align_words(sources, targets, tokenizer)
    assert set(zip(english, other, strict=True)) <= set(found.words)
    place = found.words.index(("dog", "anjing"))
    assert found.word_ids[0, place][found.word_ids[0, place] >= 0].tolist() == tokenizer(" dog")["input_ids"]
    assert found.weights.min() > 0 and found.weights.max() <= 1


def test_too_few_words_are_refused_in_one_line(tokenizer):
    pytest.importorskip("systran_align", reason="aligning needs systran-align")
    with pytest.raises(ValueError, match="needs at least two pairs of words that the bitext links, got 0 from 1"):
        align_words(["One two."], ["Satu dua."], tokenizer)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_weight_and_words_need_each_other(make_trainer, tokenizer, weight):
    words = None if weight else made_up_words(tokenizer)
    with pytest.raises(ValueError, match=r"`word_alignment_weight` needs `aligned_words`"):
        make_trainer(aligned_words=words, word_alignment_weight=weight)


def test_dense_models_refuse_it(tmp_path):
    with pytest.raises(ValueError, match="Dense alignment has no senses of words: `word_alignment_weight` must be 0"):
        DenseAlignmentConfig(str(tmp_path), word_alignment_weight=1.0, use_cpu=True)
