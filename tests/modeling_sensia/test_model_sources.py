"""Models are told from Hub ids by how they are written, and refused where they or their tokenizers cannot be used."""

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

from modeling_sensia.loading import load_base
from modeling_sensia.model_sources import check_vocabulary, model_source
from sensia.evaluation.tasks.scoring import load_scored_model
from sensia.trainers.pretraining import train_tokenizer


def load_dense_base(name):
    return load_base(name, model_class=AutoModelForCausalLM)


@pytest.mark.parametrize(
    "name", ["./nope", "../nope", ".nope", "/nope", "~/nope", "runs/nope/final", "~nobody/x", "nope/"]
)
@pytest.mark.parametrize("load", [model_source, load_base, load_scored_model])
def test_a_folder_that_does_not_exist_is_called_that(name, load):
    with pytest.raises(FileNotFoundError, match=rf"^The model folder {name} does not exist"):
        load(name)


def test_where_a_relative_folder_was_looked_for_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"does not exist in {tmp_path}"):
        model_source("./nope")


def test_a_file_is_no_model(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(NotADirectoryError, match=r"model\.safetensors is a file: give the folder"):
        model_source(str(tmp_path / "model.safetensors"))


def test_folders_and_hub_ids_are_taken_and_the_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "runs").mkdir()
    assert model_source("~/runs") == str(tmp_path / "runs") == model_source(str(tmp_path / "runs"))
    assert model_source("org/name") == "org/name" and model_source("gpt2") == "gpt2"


@pytest.fixture
def dense(tmp_path):
    """A dense model, and the tokenizer that it has 300 embeddings for."""
    tokenizer = train_tokenizer(["satu dua tiga empat lima enam tujuh delapan"] * 3, 300)
    sizes = {"n_embd": 8, "n_layer": 1, "n_head": 1, "n_positions": 8}
    GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), **sizes)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    return tmp_path, tokenizer


@pytest.mark.parametrize("load", [load_scored_model, load_dense_base])
def test_what_the_refusal_says_to_do_helps(dense, load):
    folder, tokenizer = dense
    load(str(folder))
    tokenizer.add_tokens(["<satu>", "<dua>"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(ValueError, match=r"resize_token_embeddings\(\d+\)") as refused:
        load(str(folder))
    call = str(refused.value).partition("model.resize_token_embeddings(")[2].partition(")")[0]
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.resize_token_embeddings(int(call))
    model.save_pretrained(folder)
    load(str(folder))


def test_fewer_tokens_than_embeddings_are_no_fault(dense):
    folder, _ = dense
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.resize_token_embeddings(320)
    check_vocabulary(model, AutoTokenizer.from_pretrained(folder), str(folder), str(folder))


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("config.json", "holds no config.json"),
        ("tokenizer.json", "holds no tokenizer"),
    ],
)
@pytest.mark.parametrize("load", [load_scored_model, load_dense_base])
def test_a_folder_that_lacks_a_file_is_refused_with_its_name(dense, load, missing, message):
    folder, _ = dense
    (folder / missing).unlink()
    if missing == "tokenizer.json":
        (folder / "tokenizer_config.json").unlink()
    with pytest.raises(FileNotFoundError, match=message):
        load(str(folder))


def test_weights_that_are_cut_off_are_refused_with_their_file(dense):
    folder, _ = dense
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-40])
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged or cut off"):
        load_base(str(folder), model_class=AutoModelForCausalLM)
