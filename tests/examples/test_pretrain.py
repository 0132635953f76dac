"""`examples/pretrain.py` from text to a saved model, with a trunk of its own and with a pretrained one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from small_backpacks import small_tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

import modeling_sensia  # noqa: F401 - the Auto classes know Backpacks by it
from sensia.commands.pretrain import check_data_settings
from sensia.trainers.pretraining import PretrainArguments

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SETTINGS = {
    "num_senses": 4,
    "num_positions": 32,
    "max_steps": 2,
    "per_device_train_batch_size": 4,
    "learning_rate": 1e-3,
    "use_cpu": True,
    "save_steps": 2,
    "report_to": "none",
}


def pretrain(folder, **settings):
    texts = folder / "texts.txt"
    texts.write_text((ROOT / "README.md").read_text() + "\n", encoding="utf-8")
    config = {**SETTINGS, "texts": [texts.name], "output_dir": str(folder / "run"), **settings}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, ROOT / "examples" / "pretrain.py", "--config", folder / "config.yaml", "--data", folder]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder / "run" / "final"


def test_a_trunk_of_its_own_has_the_sizes_that_are_set(tmp_path):
    sizes = {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "vocabulary_size": 300}
    config = AutoModelForCausalLM.from_pretrained(pretrain(tmp_path, **sizes)).config
    assert (config.hidden_size, config.trunk_config.num_hidden_layers, config.vocab_size) == (16, 1, 300)


def test_a_finished_run_that_is_started_again_trains_no_more(tmp_path):
    sizes = {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "vocabulary_size": 300}
    first = (pretrain(tmp_path, **sizes) / "model.safetensors").read_bytes()
    final = pretrain(tmp_path, **sizes)
    assert (final / "model.safetensors").read_bytes() == first
    assert json.loads((final / "pretraining.json").read_text())["steps"] == 2


def test_other_settings_for_the_same_data_are_refused_by_name(tmp_path):
    check_data_settings(PretrainArguments(texts=["a.txt"], num_positions=16), tmp_path)
    check_data_settings(PretrainArguments(texts=["a.txt"], num_positions=16, text_weights=[2.0]), tmp_path)
    with pytest.raises(ValueError, match=r"^`num_positions` is 32, but was 16 when the data in "):
        check_data_settings(PretrainArguments(texts=["a.txt"], num_positions=32), tmp_path)


def test_without_senses_the_trunk_alone_is_pretrained(tmp_path):
    sizes = {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "vocabulary_size": 300, "num_senses": 0}
    model = AutoModelForCausalLM.from_pretrained(pretrain(tmp_path, **sizes))
    assert type(model) is GPT2LMHeadModel and model.config.n_embd == 16


def test_a_pretrained_trunk_keeps_its_tokenizer_and_is_trained_on(tmp_path):
    tokenizer = small_tokenizer()
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    decoder = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **sizes))
    decoder.save_pretrained(tmp_path / "decoder")
    tokenizer.save_pretrained(tmp_path / "decoder")
    final = pretrain(tmp_path, trunk=str(tmp_path / "decoder"))
    model = AutoModelForCausalLM.from_pretrained(final, dtype=torch.float32)
    assert model.config.trunk_config.model_type == "llama"
    assert AutoTokenizer.from_pretrained(final).get_vocab() == tokenizer.get_vocab()
    moved = (model.get_input_embeddings().weight - decoder.get_input_embeddings().weight).abs().max()
    assert 0 < moved < 0.01  # two steps of 1e-3 away, and the weights written in bfloat16
    assert json.loads((final / "pretraining.json").read_text())["steps"] == 2


def test_pretraining_goes_on_from_a_backpack(tmp_path):
    sizes = {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "vocabulary_size": 300}
    first = pretrain(tmp_path, **sizes)
    (tmp_path / "more").mkdir()
    second = pretrain(tmp_path / "more", model=str(first), dev_texts=["texts.txt"], gradient_accumulation_steps=2)
    before, after = (AutoModelForCausalLM.from_pretrained(final, dtype=torch.float32) for final in (first, second))
    moved = (after.get_input_embeddings().weight - before.get_input_embeddings().weight).abs().max()
    assert 0 < moved < 0.02
    assert AutoTokenizer.from_pretrained(second).get_vocab() == AutoTokenizer.from_pretrained(first).get_vocab()
    done = json.loads((second / "pretraining.json").read_text())
    assert done["tokens_seen"] == 2 * 2 * 4 * 32  # steps, batches, rows, tokens
    assert [dev["file"] for dev in done["dev"]] == ["texts.txt"]
