"""Byte-level BPE tokenizers as descriptions (the content of tokenizer.json) that can be changed and loaded again."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase

#: Other files that tokenizers are saved as; they would contradict a changed tokenizer.json.
_OLD_FORMS = ("vocab.json", "merges.txt", "added_tokens.json", "special_tokens_map.json")


def bpe_description(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """
    Returns what tokenizer.json would hold, with each merge as a list of its two parts. Added tokens are in the
    vocabulary too: outside of it, as in Llama 3 and Qwen, they would get other ids when tokens are added or left out.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): a byte-level BPE tokenizer, as of GPT-2, Llama 3, Qwen or this project.

    Raises:
        ValueError: if it is of another kind.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    description = {} if backend is None else json.loads(backend.to_str())
    kind = description.get("model", {}).get("type") or type(tokenizer).__name__
    if kind != "BPE" or not _is_byte_level(description.get("pre_tokenizer")):
        raise ValueError(
            "A tokenizer that is changed must be a byte-level BPE tokenizer, as of GPT-2, Llama 3 and Qwen; this one "
            f"is of type {kind}."
        )
    description["model"]["vocab"].update({each["content"]: each["id"] for each in description["added_tokens"]})
    return description


def _is_byte_level(pre_tokenizer: dict[str, Any] | None) -> bool:
    parts = (pre_tokenizer or {}).get("pretokenizers") or [pre_tokenizer or {}]
    return any(part.get("type") == "ByteLevel" for part in parts)


def with_description(tokenizer: PreTrainedTokenizerBase, description: dict[str, Any]) -> PreTrainedTokenizerBase:
    """
    Loads a changed tokenizer, by files as everybody loads it; its settings are those of `tokenizer`.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): where the settings come from.
        description (`dict`): what tokenizer.json shall hold.
    """
    with TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        for name in _OLD_FORMS:
            Path(folder, name).unlink(missing_ok=True)
        Path(folder, "tokenizer.json").write_text(json.dumps(description, ensure_ascii=False), encoding="utf-8")
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
