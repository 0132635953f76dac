"""Prompts that could not be continued after training are refused before it."""

import pytest

from sensia.trainers.prompts import NEW_TOKENS, check_prompts, continue_prompts
from sensia.trainers.run_arguments import AdaptArguments


@pytest.mark.parametrize("prompt", ["", " ", "\n\t"])
def test_an_empty_prompt_is_refused(prompt, tokenizer):
    with pytest.raises(ValueError, match="`prompts` must"):
        check_prompts(["Simpan", prompt], tokenizer, 64)
    with pytest.raises(ValueError, match="`prompts` must"):
        AdaptArguments("base", ["x.jsonl"], "id", prompts=["Simpan", prompt])


def test_a_lone_surrogate_is_refused(tokenizer):
    with pytest.raises(ValueError, match=r"`prompts`: .*lone surrogate"):
        check_prompts(["Simpan \ud83d"], tokenizer, 64)


def test_the_longest_prompt_that_passes_can_be_continued_and_one_token_more_is_refused(tokenizer, make_model):
    model = make_model().eval()
    longest = "!" * (model.config.max_position_embeddings - NEW_TOKENS)
    assert len(tokenizer(longest)["input_ids"]) == len(longest), "a token is a sign here"
    check_prompts([longest], tokenizer, model.config.max_position_embeddings)
    (sample,) = continue_prompts(model, tokenizer, [longest])
    assert sample["prompt"] == longest
    with pytest.raises(ValueError, match=r"is 25 tokens, and with 40 .* 64 positions .* shorten it to 24 tokens"):
        check_prompts(["Simpan", longest + "!"], tokenizer, model.config.max_position_embeddings)


def test_prompts_by_language_are_those_of_the_target_languages():
    given = {"id": ["Simpan", "Buka"], "swh": "Hifadhi", "tr": ["Kaydet"]}
    assert AdaptArguments("base", ["x.jsonl"], "sw", prompts=given).prompts == ["Hifadhi"]
    several = AdaptArguments("base", ["en-{target}.jsonl"], ["tr", "id"], prompts=["Sensia", given])
    assert several.prompts == ["Sensia", "Kaydet", "Simpan", "Buka"]


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ({"swahilli": "Hifadhi"}, "`prompts`: .*swahilli"),
        ({"id": 3}, "`prompts` must be texts, .* got 3"),
        ({"id": {"a": "b"}}, "`prompts` must be texts"),
    ],
)
def test_prompts_of_no_language_or_without_text_are_refused(prompts, message):
    with pytest.raises(ValueError, match=message):
        AdaptArguments("base", ["x.jsonl"], "id", prompts=prompts)


def test_continuations_are_written_without_dropout_and_training_goes_on_with_it(tokenizer, make_model):
    model = make_model(dropout=0.5).train()
    first, second = (continue_prompts(model, tokenizer, ["Simpan"], new_tokens=10) for _ in range(2))
    assert first == second and model.training
