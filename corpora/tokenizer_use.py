"""Lengths of texts in tokens: how finely a tokenizer cuts a language."""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

#: Letters a word; more on average are a script without spaces between words.
_LONGEST_WORDS = 20


def tokenizer_use(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> dict[str, float]:
    """
    Measures how a tokenizer cuts texts.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): any.
        texts (`Sequence[str]`): any texts; empty ones are left out.

    Returns:
        `dict`: `tokens_per_sentence`, `characters_per_token` and, where words have spaces between them,
        `tokens_per_word`; empty where there is no text.
    """
    texts = [text for text in texts if text]
    if not texts:
        return {}
    rows = tokenizer(texts, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
    tokens, letters = sum(map(len, rows)), sum(map(len, texts))
    words = sum(len(text.split()) for text in texts)
    use = {"tokens_per_sentence": tokens / len(texts), "characters_per_token": letters / tokens}
    return {**use, "tokens_per_word": tokens / words} if words and letters / words <= _LONGEST_WORDS else use
