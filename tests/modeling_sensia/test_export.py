"""A Backpack in onnxruntime: the logits of every step, with the cache passed from one to the next."""

import numpy as np
import pytest
import torch
from kept_senses import close, greedy_by_hand, logits, wide_backpack
from tiny_backpacks import padded_batch, tiny_backpack, tiny_config, token_ids

from modeling_sensia.export import empty_past, export_onnx, export_step, input_names
from modeling_sensia.steering import ScaleSenses, Steering

KINDS = {"gpt2, hidden": ("gpt2", 8), "gpt2, senses": ("gpt2", 2), "llama, hidden": ("llama", 8)}


@pytest.fixture(scope="module", params=KINDS)
def case(request, tmp_path_factory):
    """A model, and what runs its exported form."""
    pytest.importorskip("onnxscript", reason="the export needs onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    model = wide_backpack(*KINDS[request.param])
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export_onnx(model, path)
    assert [one.name for one in path.parent.iterdir()] == ["model.onnx"]
    return model, Runtime(model, onnxruntime.InferenceSession(str(path)))


class Runtime:
    def __init__(self, model, session):
        self.model, self.session = model, session
        assert [one.name for one in session.get_inputs()] == input_names(model)

    def step(self, ids, mask, past):
        """Logits of the new positions, and the cache with them."""
        values = [ids, mask, *(one for layer in past for one in layer)]
        given = {name: np.asarray(value) for name, value in zip(input_names(self.model), values, strict=True)}
        found = [torch.from_numpy(one) for one in self.session.run(None, given)]
        return found[0], list(zip(found[1::2], found[2::2], strict=True))

    def pieces(self, ids, mask, sizes):
        past, parts, start = empty_past(self.model, len(ids)), [], 0
        for size in sizes:
            found, past = self.step(ids[:, start : start + size], mask[:, : start + size], past)
            parts.append(found)
            start += size
        return torch.cat(parts, 1)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [[9], [4, 5], [1] * 9, [6, 1, 1, 1]], ids=str)
def test_the_logits_are_those_of_the_model_in_every_step(case, sizes):
    model, runtime = case
    ids = token_ids(3, 9)
    close(runtime.pieces(ids, torch.ones_like(ids), sizes), logits(model, ids))


@pytest.mark.slow
def test_padding_changes_no_logit_of_a_row(case):
    model, runtime = case
    rows = [token_ids(8, seed=1), token_ids(5, seed=2)]
    ids, mask = padded_batch(rows, "left")
    found = runtime.pieces(ids, mask, [6, 1, 1])
    for row, ids_alone in zip(found, rows, strict=True):
        close(row[-len(ids_alone) :], logits(model, ids_alone[None])[0])


@pytest.mark.slow
def test_greedy_search_writes_the_same(case):
    model, runtime = case
    ids = token_ids(1, 5)
    found, past = runtime.step(ids, torch.ones_like(ids), empty_past(model))
    for _ in range(6):
        ids = torch.cat([ids, found[:, -1:].argmax(-1)], 1)
        found, past = runtime.step(ids[:, -1:], torch.ones_like(ids), past)
    assert torch.equal(ids, greedy_by_hand(model, token_ids(1, 5), 6))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_program_of_torch_export_continues_from_a_cache(kind):
    model = wide_backpack(*KINDS[kind])
    program = export_step(model).module()
    for rows, cached, length in ((3, 7, 2), (1, 3, 1), (2, 20, 6)):
        ids = token_ids(rows, cached + length)
        with torch.no_grad():
            past = [(one.keys, one.values) for one in model(ids[:, :cached], use_cache=True).past_key_values.layers]
            found, present = program(ids[:, cached:], torch.ones_like(ids), past)
        close(found, logits(model, ids)[:, cached:])
        assert [keys.shape[2] for keys, _ in present] == [cached + length] * 3


def test_what_an_exported_model_could_not_follow_is_refused(tmp_path):
    model = tiny_backpack(tiny_config())
    path = tmp_path / "model.onnx"
    with pytest.raises(ValueError, match="without a sense table"), Steering([ScaleSenses([0], 2.0)]).applied(model):
        export_onnx(model, path)
    model.precompute_senses()
    with pytest.raises(ValueError, match="without a sense table"):
        export_onnx(model, path)
    with pytest.raises(ValueError, match="needs a model in evaluation mode"):
        export_onnx(model.train(), path)
    assert list(tmp_path.iterdir()) == []
