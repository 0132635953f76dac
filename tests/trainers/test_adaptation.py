import json

import pytest

from trainers import SensiaConfig
from trainers.adaptation import AdaptArguments, find_checkpoint, load_base, load_eval_pairs, load_train_pairs
from trainers.pretraining import train_tokenizer

BITEXT = "examples/assets/bitext/en-id.dev-indomain.parquet"


def arguments(**settings):
    return AdaptArguments(**{"model": "base", "train_data": BITEXT, "target_language": "id", **settings})


@pytest.fixture
def config(tmp_path):
    def make(**settings):
        return SensiaConfig(output_dir=str(tmp_path / "run"), **{"max_steps": 10, **settings})

    return make


def checkpoint(config, step, state=None):
    folder = config.output_dir + f"/checkpoint-{step}"
    from pathlib import Path

    Path(folder).mkdir(parents=True)
    if state is not None:
        Path(folder, "trainer_state.json").write_text(state, encoding="utf-8")
    return folder


def whole(step):
    return json.dumps({"global_step": step, "max_steps": 10})


def test_a_new_run_has_no_checkpoint(config):
    assert find_checkpoint(config(), arguments()) is None


def test_the_newest_whole_checkpoint_is_resumed(config):
    find_checkpoint(config(), arguments())
    checkpoint(config(), 2, whole(2))
    newest = checkpoint(config(), 10, whole(10))
    assert find_checkpoint(config(), arguments()) == newest


@pytest.mark.parametrize("state", [None, "", '{"global_step": 4', whole(2)], ids=["none", "empty", "cut", "another"])
def test_a_half_written_checkpoint_is_never_resumed(config, state):
    find_checkpoint(config(), arguments())
    older = checkpoint(config(), 2, whole(2))
    checkpoint(config(), 4, state)
    assert find_checkpoint(config(), arguments()) == older


@pytest.mark.parametrize(
    ("changed", "named"), [({"learning_rate": 0.5}, "learning_rate"), ({"polish_freeze": "none"}, "polish_freeze")]
)
def test_checkpoints_of_other_settings_are_refused_by_name(config, changed, named):
    find_checkpoint(config(), arguments())
    checkpoint(config(), 2, whole(2))
    with pytest.raises(ValueError, match=f"other settings .{named}: .* then, .* now"):
        find_checkpoint(config(**changed), arguments())


def test_settings_that_compute_nothing_may_change(config):
    find_checkpoint(config(), arguments())
    folder = checkpoint(config(), 2, whole(2))
    assert find_checkpoint(config(logging_steps=1, save_steps=3), arguments(data="elsewhere", prompts=["x"])) == folder


def test_a_model_without_senses_is_no_base(tmp_path, tokenizer):
    from transformers import GPT2Config, GPT2LMHeadModel

    GPT2LMHeadModel(GPT2Config(vocab_size=400, n_embd=8, n_layer=1, n_head=1, n_positions=8)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="Backpack"):
        load_base(str(tmp_path))


def test_eval_data_needs_a_name():
    with pytest.raises(ValueError, match=r"NAME=FILE.*dev\.jsonl"):
        arguments(eval_data=["dev.jsonl"])


def test_an_unknown_language_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="swh_Latn"):
        arguments(target_language="swwa")


def test_fertility_is_tokens_per_word_of_the_held_out_text(tokenizer, bitext):
    (dev,) = load_eval_pairs(arguments(eval_data=[f"dev={BITEXT}"]), tokenizer, max_length=64)
    from corpora import read_pairs

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
    with pytest.raises(ValueError, match=r"450 tokens.* only 400"):
        load_base(str(tmp_path))
