"""The memory model's formulas against a model's weights and against what a step allocates."""

import importlib
import sys
from pathlib import Path

import pytest

from modeling_sensia import BackpackConfig, BackpackForCausalLM

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def memory(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield importlib.import_module("training_memory")
    for name in ("training_memory", "training_setup", "sense_memory"):
        sys.modules.pop(name, None)


def test_weights_are_counted_from_the_sizes(memory):
    trunk = {"vocab_size": 11, "n_positions": 7, "n_embd": 20, "n_layer": 3, "n_head": 2}
    config = BackpackConfig(trunk_config=trunk, num_senses=3, sense_intermediate_scale=2)
    others, _ = memory.count_weights(config)
    assert others + 11 * 20 == BackpackForCausalLM(config).num_parameters()


@pytest.mark.slow
@pytest.mark.parametrize("pairs", [2, 16])
def test_the_predicted_peak_is_the_measured_one(memory, tmp_path, pairs):
    tokenizer = memory.load_tokenizer(None)
    batch = memory.make_batches(memory.load_pairs(None, tokenizer, 2 * pairs), tokenizer, pairs, 256)[0]
    model = memory.build_model("mini", "sdpa")
    trainer = memory.make_trainer(model, tokenizer, str(tmp_path), per_device_train_batch_size=pairs)
    predicted = memory.predict(model.config, memory.BatchSizes.of(batch)).peak
    assert predicted == pytest.approx(memory.measure(trainer, [batch]), rel=0.1)
