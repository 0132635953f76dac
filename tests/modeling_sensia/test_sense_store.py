"""The ways to keep senses, each against the mixture written out position by position."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_backpack import naive_mixture
from tiny_backpacks import VOCABULARY, spread_weights, tiny_config

from modeling_sensia.modeling_backpack import mix_senses
from modeling_sensia.sense_network import BackpackSenseNetwork
from modeling_sensia.sense_store import KeptHidden, KeptIds, KeptSenses
from modeling_sensia.sense_table import SenseTable, WeightsWatch, build_table

STORES = ["senses", "hidden", "ids", "all", "some"]


class Senses:
    """A sense network over random embeddings, in float64."""

    def __init__(self, num_senses=3, hidden_size=4, scale=2, seed=0):
        overrides = {"n_embd": hidden_size, "n_head": 1}
        self.config = tiny_config(num_senses=num_senses, sense_intermediate_scale=scale, trunk_overrides=overrides)
        self.network = BackpackSenseNetwork(self.config).double().eval()
        spread_weights(self.network, seed)
        generator = torch.Generator().manual_seed(seed)
        self.embeddings = torch.randn(VOCABULARY, hidden_size, generator=generator, dtype=torch.float64)

    def of(self, token_ids):
        return self.network(self.embeddings[token_ids]).unflatten(-1, (self.network.num_senses, -1))

    def table(self, some=None):
        weights = dict(self.network.named_parameters())
        tokens = None if some is None else torch.tensor(some)
        with torch.no_grad():
            return build_table(self.of, weights, self.config, tokens)

    def store(self, name):
        if name == "senses":
            return KeptSenses(lambda token_ids, embeddings: self.of(token_ids), self.config)
        if name == "hidden":
            return KeptHidden(self.network)
        return KeptIds(self.of, {"ids": lambda: None, "all": self.table, "some": lambda: self.table([2, 3])}[name]())


def weights_for(rows, num_senses, length, total, seed):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(rows, num_senses, length, total, generator=generator, dtype=torch.float64)
    return scores.softmax(-1) * 1.5  # steering may give a sense another total than one


@st.composite
def cases(draw):
    senses = Senses(
        draw(st.integers(1, 4), "K"), draw(st.sampled_from([4, 6]), "D"), draw(st.integers(1, 5), "scale"),
        draw(st.integers(0, 99), "seed"),
    )  # fmt: skip
    rows, total = draw(st.integers(1, 3)), draw(st.integers(1, 9))
    length = draw(st.integers(1, total))
    ids = torch.tensor(draw(st.lists(st.integers(0, 9), min_size=rows * total, max_size=rows * total)))
    weights = weights_for(rows, senses.network.num_senses, length, total, draw(st.integers(0, 99)))
    return senses, ids.view(rows, total), weights


@settings(deadline=None, max_examples=25)
@given(cases(), st.sampled_from(STORES))
def test_every_store_mixes_to_the_sum_over_senses_and_positions(case, name):
    senses, ids, weights = case
    expected = torch.stack([naive_mixture(*row) for row in zip(weights, senses.of(ids).transpose(1, 2), strict=True)])
    store = senses.store(name)
    with torch.no_grad():
        torch.testing.assert_close(store.mix(weights, store.encode(ids, senses.embeddings[ids])), expected)


@settings(deadline=None, max_examples=25)
@given(cases(), st.sampled_from(STORES))
def test_every_store_gives_the_senses_back(case, name):
    senses, ids, _ = case
    store = senses.store(name)
    with torch.no_grad():
        kept = store.encode(ids, senses.embeddings[ids])
        assert kept.shape == (*ids.shape, store.width)
        torch.testing.assert_close(store.senses(kept), senses.of(ids).transpose(1, 2))


@pytest.mark.parametrize(("length", "total"), [(1, 9), (9, 9)], ids=["mixes hidden layers", "mixes senses"])
def test_both_ways_of_mixing_hidden_layers_have_the_gradient_of_the_senses(length, total):
    senses = Senses()
    ids, weights = torch.arange(total)[None], weights_for(1, 3, length, total, 0).requires_grad_()
    store = KeptHidden(senses.network)
    inputs = [weights, *senses.network.parameters()]
    found = store.mix(weights, store.encode(ids, senses.embeddings[ids])).square().sum()
    expected = mix_senses(weights, senses.of(ids).transpose(1, 2)).square().sum()
    torch.testing.assert_close(torch.autograd.grad(found, inputs), torch.autograd.grad(expected, inputs))


def test_mixing_the_hidden_layers_of_few_positions_never_forms_their_senses():
    senses, shapes = Senses(), []
    senses.network.final_mlp.c_proj.register_forward_hook(lambda _, inputs, output: shapes.append(tuple(output.shape)))
    store, ids = KeptHidden(senses.network), torch.arange(9)[None]
    store.mix(weights_for(1, 3, 1, 9, 0), store.encode(ids, senses.embeddings[ids]))
    assert shapes == [(1, 1, 4)]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_ids_survive_every_dtype_of_a_cache(dtype):
    ids = torch.tensor([[0, 1, 255, 256, 257, 65535, 65536, 151_642, 256_001, 256**3 - 1]])
    seen = []
    store = KeptIds(lambda token_ids: seen.append(token_ids) or token_ids[..., None, None], None)
    store.senses(store.encode(ids, torch.zeros(1, 1, 1, dtype=dtype)))
    assert torch.equal(seen[0], ids)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64], ids=str)
def test_ids_of_either_width_are_kept(dtype):
    senses = Senses()
    store, ids = senses.store("all"), torch.tensor([[5, 90]])
    kept = store.encode(ids.to(dtype), senses.embeddings[ids])
    torch.testing.assert_close(store.senses(kept), senses.of(ids).transpose(1, 2))


def test_a_table_of_some_computes_each_missing_token_once():
    senses, computed = Senses(), []
    store = KeptIds(lambda ids: computed.extend(ids.tolist()) or senses.of(ids), senses.table([2, 3]))
    with torch.no_grad():
        for ids in ([[2, 7, 7, 3]], [[9, 7, 2, 2]], [[9, 3, 7, 2]]):
            store.senses(store.encode(torch.tensor(ids), senses.embeddings[torch.tensor(ids)]))
    assert computed == [7, 9]
    assert len(store.table.rows) == 4


def test_rows_of_a_table_of_some_stand_for_their_tokens():
    rows = torch.arange(6.0).view(3, 1, 2)
    row_of = torch.tensor([-1, 2, -1, 0, 1])
    table = SenseTable(rows, WeightsWatch({"weight": torch.zeros(1)}), row_of)
    assert table.lookup(torch.tensor([[4, 1]])).tolist() == [[[[2.0, 3.0]], [[4.0, 5.0]]]]
    mixed = table.mix(torch.tensor([[[[10.0, 1.0]]]]), torch.tensor([[4, 3]]))
    assert mixed.tolist() == [[[20.0, 31.0]]]
