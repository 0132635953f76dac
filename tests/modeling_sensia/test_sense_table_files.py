"""Sense tables on disk: written whole, mapped, used again by the same weights and by no others."""

from pathlib import Path

import pytest
import torch
from fresh_process import run_fresh
from kept_senses import close, generate, logits, wide_backpack
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny_backpacks import VOCABULARY, token_ids

from modeling_sensia.sense_table import map_rows, write_rows

IDS = token_ids(2, 9)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "senses.safetensors"


def state(path):
    """What changes when a file is written again."""
    return path.stat().st_mtime_ns, path.stat().st_ino


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=str)
def test_a_stored_table_is_the_computed_one(path, dtype):
    model = wide_backpack().to(dtype)
    rows = model.precompute_senses(path=path)
    assert torch.equal(rows, model.precompute_senses())
    assert torch.equal(rows, load_file(path)["senses"])


def test_a_stored_table_of_some_holds_their_rows(path):
    model = wide_backpack()
    rows = model.precompute_senses([40, 3], path=path)
    assert torch.equal(rows, model.precompute_senses([3, 40]))
    assert load_file(path)["senses"].shape == (2, 8, 32)


@pytest.mark.parametrize("tokens", [None, range(20)], ids=["all", "some"])
def test_a_mapped_table_writes_as_none_does(path, tokens):
    model = wide_backpack()
    expected = generate(model, IDS)
    for _ in range(2):  # computed, then read
        model.precompute_senses(tokens, path=path)
        assert torch.equal(generate(model, IDS), expected)
        close(logits(model, IDS), logits(wide_backpack(), IDS))


def test_the_path_may_be_text_in_a_folder_that_is_not_there(path):
    deep = path.parent / "a" / "b" / "senses.safetensors"
    wide_backpack().precompute_senses(path=str(deep))
    assert [file.name for file in deep.parent.iterdir()] == ["senses.safetensors"]


def test_the_same_weights_use_the_file_again(path):
    first = wide_backpack().precompute_senses(path=path)
    before = state(path)
    assert torch.equal(wide_backpack().precompute_senses(path=path, chunk_size=7), first)
    assert state(path) == before


def test_a_reloaded_model_uses_the_file_again(path):
    model = wide_backpack()
    model.precompute_senses(path=path)
    before = state(path)
    model.save_pretrained(path.parent / "model")
    type(model).from_pretrained(path.parent / "model").precompute_senses(path=path)
    assert state(path) == before


def other_weights(model):
    model.backpack.sense_network.final_mlp.c_proj.bias[5] += 1
    return None


def other_embeddings(model):
    model.get_input_embeddings().weight[50, 3] += 1
    return None


@pytest.mark.parametrize(
    "change",
    [other_weights, other_embeddings, lambda model: model.double() and None, lambda model: [3, 4]],
    ids=["weights", "embeddings", "dtype", "tokens"],
)
def test_what_the_file_was_not_made_of_replaces_it(path, change):
    wide_backpack().precompute_senses(path=path)
    before, model = state(path), wide_backpack()
    with torch.no_grad():
        tokens = change(model)
    rows = model.precompute_senses(tokens, path=path)
    assert state(path) != before
    assert torch.equal(rows, model.precompute_senses(tokens))
    assert torch.equal(rows, load_file(path)["senses"])


@pytest.mark.parametrize("field", [{"sense_activation": "relu"}, {"layer_norm_epsilon": 0.5}], ids=str)
def test_another_configuration_of_the_same_weights_replaces_the_file(path, field):
    wide_backpack().precompute_senses(path=path)
    model = wide_backpack(**field)
    close(model.precompute_senses(path=path), model.precompute_senses())


def test_edited_senses_are_not_kept_in_a_file(path):
    edited = wide_backpack()
    edited.backpack.sense_edit = lambda token_ids, senses: senses * 2
    with pytest.raises(ValueError, match="`path`"):
        edited.precompute_senses(path=path)
    assert not path.exists()


def test_a_model_keeps_its_table_when_another_one_replaces_the_file(path):
    model, other = wide_backpack(), wide_backpack()
    model.precompute_senses(path=path)
    with torch.no_grad():
        other_weights(other)
    other.precompute_senses(path=path)
    close(logits(model, IDS), logits(wide_backpack(), IDS))


def test_joining_tokens_leave_the_file_alone(path):
    model = wide_backpack()
    model.precompute_senses([3], path=path)
    before = path.read_bytes()
    generate(model, IDS)
    assert len(model.backpack.sense_table.rows) > 1
    assert path.read_bytes() == before


def test_writing_to_a_mapped_table_leaves_the_file_alone(path):
    rows = wide_backpack().precompute_senses(path=path)
    before = path.read_bytes()
    rows.add_(1)
    assert path.read_bytes() == before


def test_saving_the_model_beside_the_file_leaves_both_whole(path):
    model = wide_backpack()
    model.precompute_senses(path=path)
    before = path.read_bytes()
    model.save_pretrained(path.parent)
    assert path.read_bytes() == before
    assert "senses" not in load_file(path.parent / "model.safetensors")


# Files that are not what they should be


def half(path):
    wide_backpack().precompute_senses(path=path)
    path.write_bytes(path.read_bytes()[:-100])


BROKEN = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no table\n" * 20),
    "half": half,
    "other tensors": lambda path: save_file({"weight": torch.zeros(3)}, path),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_file_that_is_no_table_is_refused_by_name_and_left(path, broken):
    broken(path)
    before, model = path.read_bytes(), wide_backpack()
    with pytest.raises(ValueError, match=r"senses\.safetensors"):
        model.precompute_senses(path=path)
    assert path.read_bytes() == before
    assert model.backpack.sense_table is None


def test_somebody_elses_senses_are_refused_by_name_and_left(path):
    save_file({"senses": torch.zeros(3)}, path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"senses\.safetensors"):
        wide_backpack().precompute_senses(path=path)
    assert path.read_bytes() == before


def test_a_folder_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match=tmp_path.name):
        wide_backpack().precompute_senses(path=tmp_path)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(path):
    def rows():
        yield torch.ones(1, 2, 3)
        raise KeyboardInterrupt

    write_rows(path, iter([torch.zeros(2, 2, 3)]), (2, 2, 3), torch.float32, "old")
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        write_rows(path, rows(), (2, 2, 3), torch.float32, "new")
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_table_belongs_to_one_digest(path):
    write_rows(path, iter([torch.zeros(2, 2, 3), torch.ones(1, 2, 3)]), (3, 2, 3), torch.float32, "mine")
    assert map_rows(path, "mine").sum() == 6
    assert map_rows(path, "yours") is None
    assert map_rows(path.with_name("none"), "mine") is None


def test_the_file_names_what_it_belongs_to(path):
    wide_backpack().precompute_senses(path=path)
    with safe_open(path, framework="pt") as file:
        assert list(file.metadata()) == ["weights"]
        assert len(file.metadata()["weights"]) == 64
        assert file.get_slice("senses").get_shape() == [VOCABULARY, 8, 32]


# Memory


def test_a_stored_table_is_mapped_into_memory(path):
    rows = wide_backpack().precompute_senses(path=path)
    maps = [
        line.split()[0].split("-") for line in Path("/proc/self/maps").read_text().splitlines() if path.name in line
    ]
    assert any(int(first, 16) <= rows.data_ptr() < int(last, 16) for first, last in maps)


MAPPING = """
import resource, sys
from pathlib import Path
import torch
from modeling_sensia.sense_table import map_rows, write_rows

def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20

path, tokens = Path(sys.argv[1]), 100_000
write_rows(path, (torch.ones(1000, 8, 64) for _ in range(tokens // 1000)), (tokens, 8, 64), torch.float32, "mine")
before = resident()
rows = map_rows(path, "mine")
opened = resident()
total = rows[::1000].sum().item()
print(before, opened, resident(), rows.numel() * 4 / 2**20, total)
"""


@pytest.mark.slow
def test_opening_a_table_takes_no_memory_until_rows_are_read(path):
    before, opened, read, size, total = map(float, run_fresh(MAPPING, path, folder=path.parent).split())
    assert size > 190
    assert opened - before < 20
    assert read - opened < 60
    assert total == 100 * 8 * 64
