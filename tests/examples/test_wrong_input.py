"""Scripts typed with wrong input end with the message alone, as a user sees it."""

import runpy
import sys

import pytest
from example_scripts import EXAMPLES
from small_backpacks import save, small_backpack, small_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    tokenizer = small_tokenizer()
    return save(tmp_path_factory.mktemp("model"), small_backpack(tokenizer, 4, 0), tokenizer)


OUTPUT = ["--output", "nothing-here.json"]
STUDY = ["--target_language", "id", "--bitext", "none.jsonl", "--held_out", "none.jsonl", "--lexicon", "none.tsv"]


@pytest.mark.parametrize(
    ("script", "options", "message"),
    [
        ("inspect_senses", ["--words", ""], r"^inspect_senses\.py: `word` is empty"),
        ("inspect_senses", [], r"^inspect_senses\.py: Nothing to show"),
        ("steer", ["--case", "knowledge", "--words", "use", ""], r"^steer\.py: A word must have at least one letter"),
        ("steer", ["--case", "topic", "--texts", "0"], r"^steer\.py: `texts` must be at least 1"),
        ("score", [*OUTPUT], r"^score\.py: There is nothing to score"),
        (
            "study_senses",
            [*STUDY, *OUTPUT, "--shuffles", "0"],
            r"^study_senses\.py: `shuffles`",
        ),
        (
            "study_senses",
            [*STUDY, *OUTPUT, "--mapped", "a", "b"],
            r"^study_senses\.py: `mapped`",
        ),
        ("adapt", ["--train_data", "none.jsonl", "--target_language", "xx"], r"^adapt\.py: .*xx"),
        ("score", ["--tasks", "guesses=none.jsonl", *OUTPUT], r"^score\.py: .*guesses"),
        ("study_senses", [*STUDY, *OUTPUT], r"^study_senses\.py: .*none\.jsonl"),
    ],
)
def test_a_script_ends_with_the_message_alone(folder, monkeypatch, script, options, message):
    monkeypatch.setattr(sys, "argv", [f"{script}.py", "--model", folder, *options])
    with pytest.raises(SystemExit, match=message) as end:
        runpy.run_path(str(EXAMPLES / f"{script}.py"), run_name="__main__")
    assert end.value.__suppress_context__
