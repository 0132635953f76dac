"""The code that is saved with a model: whole, without this package, and good for saving again."""

import json
import re

import pytest
import torch
from fresh_process import run_fresh
from tiny_backpacks import tiny_backpack, tiny_config, token_ids

IDS = token_ids(2, 9)


@pytest.fixture(scope="module")
def model():
    # With as many senses, the sense network's hidden layer is what inference keeps.
    return tiny_backpack(tiny_config("qwen3", num_senses=8), seed=3)


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    place = tmp_path_factory.mktemp("saved")
    model.save_pretrained(place, max_shard_size="60KB")
    return place


def test_the_code_that_travels_is_all_that_it_imports(folder):
    """Every relative import of a saved file, found by reading it, is of a file saved beside it."""
    saved = {path.name for path in folder.glob("*.py")}
    imported = {
        f"{name}.py"
        for file in saved
        for name in re.findall(r"^\s*from \.(\w+) import", (folder / file).read_text(), re.MULTILINE)
    }
    assert {"configuration_backpack.py", "sense_mixing.py"} <= imported <= saved
    assert saved == imported | {"modeling_backpack.py"}


def test_the_code_that_travels_names_no_package_of_ours(folder):
    ours = "modeling_sensia|corpora|trainers|evaluation|model_cards"
    for file in folder.glob("*.py"):
        assert not re.search(rf"^\s*(from|import) ({ours})\b", file.read_text(), re.MULTILINE), file.name


STRANGER = """
import json, pathlib, sys, torch
sys.modules["modeling_sensia"] = None  # importing the package fails from here on
from transformers import AutoModelForCausalLM

folder, results = map(pathlib.Path, sys.argv[1:])
ids = torch.tensor(json.loads(pathlib.Path("ids.json").read_text()))
found = {}
for generation in ("first", "second", "third"):
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
    with torch.no_grad():
        found[f"{generation} plain"] = model(ids).logits
        model.precompute_senses()
        found[f"{generation} tabled"] = model(ids).logits
        found[f"{generation} text"] = model.generate(ids, max_new_tokens=5, do_sample=False, pad_token_id=0)
    folder = pathlib.Path(generation)
    model.save_pretrained(folder, max_shard_size="60KB")
    found[f"{generation} files"] = sorted(path.name for path in folder.iterdir())
torch.save(found, results)
"""


@pytest.mark.slow
def test_a_stranger_loads_shards_saves_shards_and_loads_them_again(model, folder, tmp_path):
    (tmp_path / "ids.json").write_text(json.dumps(IDS.tolist()))
    run_fresh(STRANGER, folder, tmp_path / "results.pt", folder=tmp_path)
    found = torch.load(tmp_path / "results.pt", weights_only=True)
    with torch.no_grad():
        logits, text = model(IDS).logits, model.generate(IDS, max_new_tokens=5, do_sample=False, pad_token_id=0)
    for generation in ("first", "second", "third"):
        torch.testing.assert_close(found[f"{generation} plain"], logits)
        torch.testing.assert_close(found[f"{generation} tabled"], logits)
        assert torch.equal(found[f"{generation} text"], text)
        assert found[f"{generation} files"] == sorted(path.name for path in folder.iterdir())
