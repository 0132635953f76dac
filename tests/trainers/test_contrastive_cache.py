"""Gradient caching against one forward of the whole batch."""

import pytest
import torch

from sensia.trainers import SensiaConfig, info_nce
from sensia.trainers.contrastive_cache import ContrastiveCache, RandomState


def contrast(context, sense):
    return tuple(info_nce(*vectors.chunk(2), 0.1) for vectors in (context, sense))


def encode(network, rows):
    vectors = torch.nn.functional.normalize(network(rows), dim=-1)
    return vectors, vectors.flip(-1) * vectors


def stacked(sources, targets, sizes):
    return [torch.cat(sides) for sides in zip(sources.split(sizes), targets.split(sizes), strict=True)]


@pytest.mark.parametrize("sizes", [[6], [3, 3], [4, 1, 1]])
def test_replayed_gradients_are_those_of_the_whole_batch(sizes):
    torch.manual_seed(0)
    network = torch.nn.Linear(5, 4).double()
    sources, targets = torch.randn(2, 6, 5, dtype=torch.float64)
    losses = contrast(*encode(network, torch.cat([sources, targets])))
    whole = 0.3 * losses[0] + 0.7 * losses[1]
    expected = torch.autograd.grad(whole, list(network.parameters()))

    micro_batches = stacked(sources, targets, sizes)
    with torch.no_grad():
        vectors = [encode(network, rows) for rows in micro_batches]
    cache = ContrastiveCache(vectors, [RandomState(torch.device("cpu"))] * len(sizes), contrast, (0.3, 0.7))
    parts = [cache.replay(*encode(network, rows)) for rows in micro_batches]
    torch.testing.assert_close(sum(parts), whole)
    torch.testing.assert_close(cache.losses, losses)
    torch.testing.assert_close(torch.autograd.grad(sum(parts), list(network.parameters())), expected)


def test_a_random_state_gives_the_same_numbers_again():
    state = RandomState(torch.device("cpu"))
    drawn = torch.rand(5)
    state.restore()
    assert torch.equal(torch.rand(5), drawn)


def trained(trainer):
    trainer.train()
    history = [entry for entry in trainer.state.log_history if "loss_ctx" in entry]
    return history, {name: value.detach().clone() for name, value in trainer.model.named_parameters()}


@pytest.mark.parametrize("micro_batch", [2, 4])
def test_a_cached_run_is_the_run_of_the_whole_batch(make_trainer, make_model, micro_batch):
    runs = []
    for settings in ({"per_device_train_batch_size": 8}, {"per_device_train_batch_size": micro_batch}):
        caching = {} if settings["per_device_train_batch_size"] == 8 else {"contrastive_batch_size": 8}
        model = make_model().double()
        runs.append(trained(make_trainer(model, max_steps=5, learning_rate=1e-3, **settings, **caching)))
    (whole, weights), (cached, cached_weights) = runs
    for one, two in zip(whole, cached, strict=True):
        for name in ("loss", "loss_ctx", "loss_sns", "loss_lm", "grad_norm", "entropy_source", "entropy_target"):
            assert two[name] == pytest.approx(one[name], rel=1e-4), (one["step"], name)
    for name, value in weights.items():
        torch.testing.assert_close(cached_weights[name], value, rtol=1e-6, atol=1e-8)


def test_without_caching_a_cut_batch_has_other_negatives(make_trainer, make_model):
    settings = {"per_device_train_batch_size": 4, "max_steps": 1}
    accumulated, _ = trained(make_trainer(make_model(), gradient_accumulation_steps=2, **settings))
    cached, _ = trained(make_trainer(make_model(), contrastive_batch_size=8, **settings))
    assert accumulated[0]["loss_ctx"] < cached[0]["loss_ctx"] - 0.3  # ln 4 against ln 8 before training


def test_dropout_of_the_replay_is_that_of_the_first_pass(make_trainer, make_model, monkeypatch):
    passes = []
    trainer = make_trainer(
        make_model(dropout=0.3), per_device_train_batch_size=2, contrastive_batch_size=4, max_steps=2
    )
    encode_once = trainer.encode

    def recorded(model, inputs, *arguments):
        outputs = encode_once(model, inputs, *arguments)
        passes.append((outputs.context_vectors.requires_grad, outputs.context_vectors.detach()))
        return outputs

    monkeypatch.setattr(trainer, "encode", recorded)
    trainer.train()
    assert [with_graph for with_graph, _ in passes] == [False, False, True, True] * 2
    for start in (0, 4):
        for number in (start, start + 1):
            torch.testing.assert_close(passes[number][1], passes[number + 2][1])
    assert not torch.equal(passes[0][1], passes[1][1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"contrastive_batch_size": 100}, "multiple of .* = 8, got 100"),
        ({"contrastive_batch_size": 4}, "multiple of .* = 8, got 4"),
        ({"contrastive_batch_size": 0}, "got 0"),
        ({"contrastive_batch_size": 32, "gradient_accumulation_steps": 2}, "takes 4 micro-batches"),
    ],
)
def test_contrastive_batches_that_do_not_fit_are_refused(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        SensiaConfig(output_dir=str(tmp_path), per_device_train_batch_size=8, **settings)


def test_the_micro_batches_follow_from_the_contrastive_batch(tmp_path):
    config = SensiaConfig(output_dir=str(tmp_path), per_device_train_batch_size=8, contrastive_batch_size=32)
    assert config.gradient_accumulation_steps == 4
