"""The beginnings that a model continues when a run is over."""

from collections.abc import Sequence
from typing import Any

from accelerate.state import PartialState
from transformers import PreTrainedTokenizerBase

from sensia.corpora import Language, find_language

#: Longest continuation, in tokens.
NEW_TOKENS = 40


def prompts_of(entries: Sequence[Any], targets: Sequence[Language]) -> list[str]:
    """
    The prompts of a run's target languages.

    Args:
        entries (`Sequence`): texts, which are prompts whatever the languages, or mappings from the code of a language
            to its prompt or prompts.
        targets (`Sequence` of `Language`): the target languages.

    Returns:
        `list` of `str`: in the order of the entries, and of a mapping in the order of the languages of the run.

    Raises:
        ValueError: for a language that is not known, or prompts that are not text.
    """
    found: list[str] = []
    for entry in entries:
        if isinstance(entry, dict):
            by_language = {_language_of(code): _texts(given) for code, given in entry.items()}
            found += [text for target in targets for text in by_language.get(target, [])]
        else:
            found += _texts(entry)
    return found


def _language_of(code: Any) -> Language:
    try:
        return find_language(code)
    except ValueError as error:
        raise ValueError(f"`prompts`: {error}") from error


def _texts(given: Any) -> list[str]:
    texts = given if isinstance(given, list) else [given]
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f"`prompts` must be texts, or texts by the code of their language, got {text!r}.")
    return texts


def check_prompts(prompts: Sequence[str], tokenizer: PreTrainedTokenizerBase, positions: int):
    """
    Refuses, before training, what could not be continued after it.

    Args:
        prompts (`Sequence[str]`): the beginnings.
        tokenizer (`PreTrainedTokenizerBase`): of the model.
        positions (`int`): most tokens that the model reads at once.

    Raises:
        ValueError: naming the prompt that holds no text, is not Unicode, or leaves no room for its continuation.
    """
    for prompt in prompts:
        shown = repr(prompt if len(prompt) <= 40 else f"{prompt[:40]}...")
        try:
            prompt.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"`prompts`: {shown} holds half a character, a lone surrogate.") from error
        tokens = (
            len(tokenizer(prompt, add_special_tokens=False, split_special_tokens=True)["input_ids"])
            if prompt.strip()
            else 0
        )
        if not tokens:
            raise ValueError(f"`prompts` must hold beginnings to continue, got {shown}: leave it out.")
        if tokens + NEW_TOKENS > positions:
            raise ValueError(
                f"`prompts`: {shown} is {tokens} tokens, and with {NEW_TOKENS} to write that is more than the "
                f"{positions} positions of the model: shorten it to {max(positions - NEW_TOKENS, 0)} tokens."
            )


def continue_prompts(
    model: Any, tokenizer: PreTrainedTokenizerBase, prompts: list[str], new_tokens: int = NEW_TOKENS
) -> list[dict[str, str]]:
    """
    Lets the model continue beginnings, by beam search that repeats no three tokens. Every process has to call this.

    Args:
        model (`PreTrainedModel`): a causal language model.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer.
        prompts (`list[str]`): the beginnings.
        new_tokens (`int`, *optional*, defaults to 40): longest continuation.

    Returns:
        `list` of `dict`: `prompt` and `continuation`.
    """
    samples, was_training = [], model.training
    model.eval()  # without dropout
    for prompt in prompts:
        options = {"return_tensors": "pt", "add_special_tokens": False, "split_special_tokens": True}
        inputs = tokenizer(prompt, **options).to(model.device)
        settings = {"max_new_tokens": new_tokens, "min_new_tokens": 10, "num_beams": 5, "no_repeat_ngram_size": 3}
        settings["synced_gpus"] = PartialState().num_processes > 1
        tokens = model.generate(**inputs, **settings, pad_token_id=tokenizer.pad_token_id)[0]
        written = str(tokenizer.decode(tokens[inputs["input_ids"].shape[1] :], skip_special_tokens=True))
        samples.append({"prompt": prompt, "continuation": written})
    model.train(was_training)
    return samples
