"""Settings and models of the network's tests: so small that a second thread would only cost."""

import pytest
import torch
from steering_oracles import naive_table
from tiny_backpacks import public_parameters, tiny_backpack

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model():
    """A tiny Backpack; modules that need another one have a fixture of the same name."""
    return tiny_backpack(seed=2)


@pytest.fixture(scope="module")
def parameters(model):
    """Its weights, under the names of public checkpoints."""
    return {name: tensor.detach() for name, tensor in public_parameters(model).items()}


@pytest.fixture(scope="module")
def vocabulary_senses(parameters):
    """Senses [V, K, D] of all tokens, by the naive equations."""
    return naive_table(parameters)
