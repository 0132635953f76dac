"""Several gloo ranks compute what one process computes on the joined batch. One start for each number of ranks."""

import json
from pathlib import Path

import pytest
import torch

from tests.trainers.scenarios import dense_run, gathered_loss, sensia_run
from tests.trainers.spawning import torchrun, torchrun_on_two_nodes

pytestmark = pytest.mark.slow

PAIRS = 8  # of one forward, over all ranks
# The tiny bitext does not fill its last batches: an epoch is 3 forwards, so that five steps cross its end, and an
# accumulated epoch ends in a step of one micro-batch. 29 held-out pairs leave a shorter last batch on some rank.
# With the usual `adam_epsilon` a gradient that is zero but for rounding moves its parameter by a whole learning rate.
COMMON = {"max_steps": 5, "pairs": 29, "per_device_eval_batch_size": 4, "adam_epsilon": 1e-2, "warmup_steps": 0}
CASES = {
    "plain": {"polish_freeze": "sense_network"},
    "accumulated": {"gradient_accumulation_steps": 2, "polish_freeze": "none"},
    "both sides": {"gradient_accumulation_steps": 2, "polish_freeze": "none", "source_lm_weight": 0.5},
    "frozen copy": {"gradient_accumulation_steps": 2, "polish_freeze": "none", "source_kl_weight": 0.5},
    "base encoder": {"gradient_accumulation_steps": 2, "polish_freeze": "none", "source_encoder": "base"},
    "projected": {
        "contrastive_batch_size": 2 * PAIRS,
        "polish_freeze": "none",
        "source_kl_weight": 0.5,
        "project_conflicts": True,
    },
    "instructions": {"gradient_accumulation_steps": 2, "polish_freeze": "none", "text_rate": 0.5},
    "aligned words": {"gradient_accumulation_steps": 2, "polish_freeze": "none", "word_alignment_weight": 0.5},
    "gradient-cached": {"contrastive_batch_size": 2 * PAIRS, "polish_freeze": "sense_vectors"},
}
LOSSES = ("loss", "loss_ctx", "loss_sns", "loss_lm", "loss_lm_plain", "entropy_source", "entropy_target", "grad_norm")
# Which parameters each kind of polish leaves alone, by what their names begin with.
FROZEN = {
    "plain": ("backpack.sense_network", "backpack.weight_network"),
    "accumulated": (),
    "both sides": (),
    "frozen copy": (),
    "base encoder": (),
    "projected": (),
    "instructions": (),
    "aligned words": (),
    "gradient-cached": ("backpack.sense_network", "backpack.trunk.wte"),
}
POLISH = 3  # steps done before it begins: half of five, rounded up


def settings(folder, name, world):
    common = {"output_dir": str(folder / name), "per_device_train_batch_size": PAIRS // world, **COMMON}
    return {**common, **CASES[name]}


def outcome(folder):
    found = json.loads((folder / "history.json").read_text())
    traces = [torch.load(path, weights_only=True) for path in sorted(folder.glob("trace_*.pt"))]
    return found, traces


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Of each case, what one process finds on the joined batch."""
    root = tmp_path_factory.mktemp("alone")
    for name in CASES:
        sensia_run.run(settings(root, name, 1))
    return {name: outcome(root / name) for name in CASES}


@pytest.fixture(scope="module", params=["2 ranks", "4 ranks", "2 nodes"])
def joined(request, tmp_path_factory):
    """Of each case, what the ranks find."""
    root = tmp_path_factory.mktemp("joined")
    world = int(request.param[0])
    cases = [name for name in CASES if request.param != "2 nodes" or name == "plain"]
    start = torchrun_on_two_nodes if request.param == "2 nodes" else lambda *given: torchrun(world, *given)
    start("sensia_run.py", json.dumps([settings(root, name, world) for name in cases]))
    found = {name: outcome(root / name) for name in cases}
    assert all(len(traces) == world for _, traces in found.values())
    return found


def test_losses_are_those_of_one_process(alone, joined):
    for case, (found, _) in joined.items():
        for ours, expected in zip(found["history"], alone[case][0]["history"], strict=True):
            for name in LOSSES:
                # Means over ranks are float32 sums in another order, and 1 / tau is 20.
                assert ours[name] == pytest.approx(expected[name], rel=1e-4), (case, ours["step"], name)


def test_the_language_model_loss_of_each_side_is_that_of_one_process(alone, joined):
    if "both sides" not in joined:
        pytest.skip("two nodes run the plain case alone")
    histories = joined["both sides"][0]["history"], alone["both sides"][0]["history"]
    for ours, expected in zip(*histories, strict=True):
        for name in ("loss_lm_source", "loss_lm_target"):
            assert ours[name] == pytest.approx(expected[name], rel=1e-4), (ours["step"], name)


@pytest.mark.parametrize("kind", ["gradients", "parameters"])
def test_gradients_and_parameters_are_those_of_one_process_on_every_rank(alone, joined, kind):
    for case, (_, ranks) in joined.items():
        expected = alone[case][1][0][kind]
        assert len(expected) == 5
        for rank in ranks:
            for step, (ours, theirs) in enumerate(zip(rank[kind], expected, strict=True)):
                assert ours.keys() == theirs.keys()
                for name, value in theirs.items():
                    # Clipped gradients have norm 1 together: an absolute tolerance is one of the whole.
                    torch.testing.assert_close(
                        ours[name], value, rtol=1e-3, atol=2e-5, msg=lambda text, n=(case, step, name): f"{n}: {text}"
                    )


def test_ranks_hold_the_same_parameters_to_the_bit(joined):
    for _, (first, *others) in joined.values():
        for other in others:
            for ours, theirs in zip(first["parameters"], other["parameters"], strict=True):
                assert all(torch.equal(theirs[name], value) for name, value in ours.items())


def test_polish_changes_no_bit_of_what_is_frozen_and_something_of_all_else(joined):
    for case, (_, (trace, *_)) in joined.items():
        before, after = trace["parameters"][POLISH - 1], trace["parameters"][-1]
        for name, value in before.items():
            assert torch.equal(after[name], value) == name.startswith(FROZEN[case] or "-"), (case, name)
            assert (name in trace["gradients"][-1]) != name.startswith(FROZEN[case] or "-"), (case, name)


def test_evaluation_sharded_over_ranks_gives_the_numbers_of_one_process(alone, joined):
    for case, (found, _) in joined.items():
        expected = alone[case][0]["metrics"]["before"]  # of the same weights, to the bit
        ours = found["metrics"]["before"]
        measured = [name for name in expected if not name.endswith(("runtime", "per_second"))]
        assert len(measured) >= 8
        for name in measured:
            # Whole numbers of pairs are exact; sums over tokens are made per rank.
            exact = "recall" in name
            assert ours[name] == (expected[name] if exact else pytest.approx(expected[name], rel=1e-6)), (case, name)


@pytest.mark.parametrize("world", [2, 4])
def test_gathered_info_nce_equals_one_process_on_the_joined_batch(tmp_path, world):
    torchrun(world, "gathered_loss.py", tmp_path / "results.pt")
    results = torch.load(Path(tmp_path, "results.pt"), weights_only=True)
    for one_way, (loss, gradients) in results.items():
        model = gathered_loss.network()
        expected = gathered_loss.loss_of(model, *gathered_loss.inputs(world), one_way)
        expected.backward()
        torch.testing.assert_close(loss, expected.detach())
        for given, parameter in zip(gradients, model.parameters(), strict=True):
            torch.testing.assert_close(given, parameter.grad)


def test_dense_alignment_on_two_ranks_is_that_of_one_process(tmp_path):
    for name in ("alone", "joined"):
        (tmp_path / name).mkdir()
    dense_run.run(tmp_path / "alone", PAIRS)
    torchrun(2, "dense_run.py", tmp_path / "joined", PAIRS // 2)
    expected = torch.load(tmp_path / "alone/0.pt", weights_only=True)
    for rank in range(2):
        found = torch.load(tmp_path / f"joined/{rank}.pt", weights_only=True)
        assert len(found["parameters"]) == len(found["history"]) == 4
        for ours, theirs in zip(found["history"], expected["history"], strict=True):
            for name in ("loss", "loss_ctx", "loss_sns", "loss_lm"):
                assert ours[name] == pytest.approx(theirs[name], rel=1e-4), (ours["step"], name)
        for ours, theirs in zip(found["parameters"], expected["parameters"], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=2e-5)
