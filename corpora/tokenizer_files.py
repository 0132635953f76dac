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
    Returns what tokenizer.json would hold, with each merge as a list of its two parts.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): a byte-level BPE tokenizer, as of GPT-2, Llama 3, Qwen or this project.

    Raises:
        ValueError: if it is of another kind.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    description = (
        json.loads(backend.to_str()) if backend is not None else {"model": {"type": type(tokenizer).__name__}}
    )
    kind = description["model"].get("type")
    if kind != "BPE" or not _is_byte_level(description.get("pre_tokenizer")):
        raise ValueError(
            "`target_tokenizer` works on byte-level BPE tokenizers, as of GPT-2, Llama 3 and Qwen; this one is of type "
            f"{kind}."
        )
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
