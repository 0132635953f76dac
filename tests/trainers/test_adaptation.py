import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from modeling_sensia import BackpackConfig, BackpackForCausalLM
from modeling_sensia.loading import load_base
from sensia.evaluation.tasks.scoring import load_scored_model
from sensia.trainers.pretraining import train_tokenizer
from sensia.trainers.run_arguments import AdaptArguments
from sensia.trainers.training_data import load_eval_pairs, load_train_pairs


def load_dense_base(name):
    return load_base(name, model_class=AutoModelForCausalLM)


BITEXT = "examples/assets/bitext/en-id.dev-indomain.parquet"


def arguments(**settings):
    return AdaptArguments(**{"model": "base", "train_data": BITEXT, "target_language": "id", **settings})


def test_a_model_without_senses_is_no_base(tmp_path, tokenizer):
    from transformers import GPT2Config, GPT2LMHeadModel

    GPT2LMHeadModel(GPT2Config(vocab_size=400, n_embd=8, n_layer=1, n_head=1, n_positions=8)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="Backpack"):
        load_base(str(tmp_path))


def test_eval_data_needs_a_name():
    with pytest.raises(ValueError, match=r"NAME=SOURCE.*dev\.jsonl"):
        arguments(eval_data=["dev.jsonl"])


def test_a_single_value_stands_for_a_list_of_one():
    args = arguments(eval_data="dev=dev.jsonl", prompts="Virus ini", lora_target_modules="c_attn", use_peft=True)
    assert (args.eval_data, args.prompts, args.lora_target_modules) == (["dev=dev.jsonl"], ["Virus ini"], ["c_attn"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"eval_data": ["a=x", "a=y"]}, "must differ, got a, a"), ({"eval_pairs": 0}, "at least 1, got 0")],
)
def test_evaluation_sets_need_names_of_their_own_and_pairs(settings, message):
    with pytest.raises(ValueError, match=message):
        arguments(**settings)


@pytest.mark.parametrize("name", ["", " ", "two\nlines", "/home/me/model", "half \ud83d"])
def test_a_model_name_is_one_line_and_no_path(name):
    with pytest.raises(ValueError, match="`model_name` must be a name"):
        arguments(model_name=name)
    assert arguments(model_name="sensia मॉडल\u200d 2").model_name.endswith("2")


@pytest.mark.parametrize("model", [".", "..", "base/."])
def test_a_base_model_given_by_dots_has_the_name_of_its_folder(model):
    assert arguments(model=model).model_name == f"{Path(model).resolve().name}-id"


def test_an_unknown_language_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="swa_Latn"):
        arguments(target_language="swwa")


def test_fertility_is_tokens_per_word_of_the_held_out_text(tokenizer, bitext):
    (dev,) = load_eval_pairs(arguments(eval_data=[f"dev={BITEXT}"]), tokenizer, max_length=64)
    from sensia.corpora import read_pairs

    texts = read_pairs(BITEXT, source_language="en", target_language="id")["target"]
    tokens = sum(len(tokenizer.encode(text)) for text in texts)
    assert dev.fertility["target"] == pytest.approx(tokens / sum(len(text.split()) for text in texts))
    assert dev.name == "dev" and dev.report.kept == len(dev.pairs)


def test_streamed_pairs_are_those_read_at_once(tokenizer):
    loaded = load_train_pairs(arguments(), tokenizer, 64, seed=0).pairs
    streamed = load_train_pairs(arguments(streaming=True), tokenizer, 64, seed=0).pairs
    assert sorted(row["target_ids"] for row in streamed) == sorted(loaded["target_ids"])


def test_a_tokenizer_from_elsewhere_is_used(tmp_path, tokenizer, make_model):
    make_model().save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    _, loaded = load_base(str(tmp_path / "model"), tokenizer_name=str(tmp_path / "tokenizer"))
    assert loaded.get_vocab() == tokenizer.get_vocab()


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(tmp_path, bitext, make_model):
    make_model().save_pretrained(tmp_path)
    train_tokenizer(bitext["source"], 450).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"450 tokens.* only 400.*model\.resize_token_embeddings\(450\)"):
        load_base(str(tmp_path))


@pytest.mark.parametrize("trunk", ["gpt2", "llama"])
def test_dropout_is_set_everywhere_and_nothing_else_changes(tmp_path, tokenizer, make_model, trunk):
    model = make_model(dropout=0.1)
    if trunk == "llama":
        fields = {"num_hidden_layers": 1, "intermediate_size": 48, "num_attention_heads": 2, "attention_dropout": 0.1}
        config = {"model_type": "llama", "vocab_size": 400, "hidden_size": 32, "max_position_embeddings": 64, **fields}
        model = BackpackForCausalLM(BackpackConfig(trunk_config=config, num_senses=4))
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    given, _ = load_base(str(tmp_path), dropout=0.25)
    kept, _ = load_base(str(tmp_path))
    names = [name for name in given.config.trunk_config.to_dict() if name.endswith(("attention_dropout", "pdrop"))]
    assert names and {getattr(given.config.trunk_config, name) for name in names} == {0.25}
    assert {module.p for module in given.modules() if isinstance(module, torch.nn.Dropout)} == {0.25}
    assert given.config.sense_dropout == 0.25 and kept.config.sense_dropout == 0.1
    for found, expected in zip(given.parameters(), kept.parameters(), strict=True):
        assert torch.equal(found, expected)


def test_an_impossible_dropout_is_refused(tmp_path, tokenizer, make_model):
    make_model().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"`dropout` must lie in \[0, 1\), got 1\.5"):
        load_base(str(tmp_path), dropout=1.5)


def test_from_scratch_keeps_the_architecture_and_forgets_the_weights(tmp_path, tokenizer, make_model):
    make_model().save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    base, _ = load_base(str(tmp_path))
    fresh, _ = load_base(str(tmp_path), from_scratch=True)
    assert fresh.config.to_dict() == base.config.to_dict()
    embeddings = [model.get_input_embeddings().weight for model in (base, fresh)]
    assert not torch.equal(*embeddings)


@pytest.mark.parametrize("load", [load_base, load_dense_base, load_scored_model])
def test_a_model_with_code_of_its_own_is_refused_without_a_question(tmp_path, monkeypatch, load):
    auto_map = {"AutoConfig": "custom.Config", "AutoModelForCausalLM": "custom.Model"}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "custom", "auto_map": auto_map}))
    (tmp_path / "custom.py").write_text("raise SystemExit('this code ran')")
    monkeypatch.setattr("builtins.input", lambda question: pytest.fail(question))
    with pytest.raises(ValueError, match=r"custom"):
        load(str(tmp_path))
