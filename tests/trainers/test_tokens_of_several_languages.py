"""One tokenizer for several target languages."""

import pytest

from sensia.corpora import find_language, read_pairs
from sensia.trainers import SensiaConfig
from sensia.trainers.base_model import load_start
from sensia.trainers.run_arguments import AdaptArguments
from sensia.trainers.target_tokenizer import TargetText, TokenizerSettings, retokenize
from sensia.trainers.tokenizer_lines import told_change
from tests.trainers.scenarios.sensia_run import tiny_model

BITEXT = "examples/assets/bitext/en-{target}.dev-indomain.parquet"


@pytest.fixture
def two_languages(bitext):
    sources, targets = list(bitext["source"]), list(bitext["target"])
    swahili = [f"Virusi hivi vinaweza kuambukiza watu wengi {text[:9]}" for text in targets[:100]]
    return [TargetText("Indonesian", sources, targets), TargetText("Swahili", sources[:100], swahili)]


def test_each_language_is_told_with_what_a_sentence_takes(tokenizer, two_languages):
    settings = TokenizerSettings(target_tokenizer="extend", new_tokens=50, token_initialization="mean")
    found = retokenize(tiny_model(tokenizer), tokenizer, settings, two_languages).change
    (before,), (after,) = (found[when]["other_targets"] for when in ("before", "after"))
    assert after["tokens_per_sentence"] < before["tokens_per_sentence"]
    told = told_change(found, [find_language("id"), find_language("sw")])
    assert told.endswith(
        f"{after['tokens_per_sentence']:.1f} tokens instead of {before['tokens_per_sentence']:.1f} in Swahili"
    )


def test_a_language_without_text_is_named(tokenizer, two_languages):
    settings = TokenizerSettings(target_tokenizer="extend")
    with pytest.raises(ValueError, match=r"A tokenizer for Turkish needs sentence pairs"):
        retokenize(tiny_model(tokenizer), tokenizer, settings, [*two_languages, TargetText("Turkish", [], [])])


@pytest.fixture
def start(tokenizer, tmp_path):
    tiny_model(tokenizer).save_pretrained(tmp_path / "tiny")
    tokenizer.save_pretrained(tmp_path / "tiny")

    def load():
        args = AdaptArguments(
            model=str(tmp_path / "tiny"),
            train_data=[BITEXT],
            target_language=["id", "sw"],
            target_tokenizer="extend",
            new_tokens=60,
            token_initialization="mean",
        )
        return load_start(args, SensiaConfig(output_dir=str(tmp_path / "run"), report_to="none"))

    return load


def test_each_language_of_a_run_has_new_tokens(start, tokenizer):
    tokens = start().tokenizer
    for code in ("id", "sw"):
        path = BITEXT.replace("{target}", code)
        texts = list(read_pairs(path, source_language="en", target_language=code)["target"])
        before, after = (sum(map(len, each(texts)["input_ids"])) for each in (tokenizer, tokens))
        assert after < 0.95 * before


def test_a_run_of_two_languages_goes_on_with_the_same_tokens(start, tmp_path):
    first = start()
    kept = (tmp_path / "run/base/model.safetensors").stat().st_mtime_ns
    again = start()
    assert (tmp_path / "run/base/model.safetensors").stat().st_mtime_ns == kept
    assert again.tokenizer.get_vocab() == first.tokenizer.get_vocab()
    assert again.change == first.change
    assert len(again.change["after"]["other_targets"]) == 1
