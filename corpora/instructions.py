"""Instruction pairs: conversations in the layouts that people have, as rows that learn the answers alone."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import datasets
from transformers import PreTrainedTokenizerBase

from sensia.corpora.cleaning import KEPT, CleaningReport
from sensia.corpora.locations import is_local
from sensia.corpora.rows import read_rows

#: Turns of a conversation, each with `role` and `content`.
Conversation: TypeAlias = list[dict[str, str]]

ROLES = ("system", "user", "assistant")
#: Columns of each layout; `input` of Alpaca's may be missing.
LAYOUTS = (("messages",), ("instruction", "output"), ("prompt", "completion"))

#: Every turn of user and assistant ends in the end-of-text token, so that no token has to be added. What the system
#: says stands on a line of its own before the user's first turn.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'assistant' -%}"
    "{%- generation -%}{{ message['content'] | trim + eos_token }}{%- endgeneration -%}"
    "{%- else -%}"
    "{{ message['content'] | trim + ('\n' if message['role'] == 'system' else eos_token) }}"
    "{%- endif -%}"
    "{%- endfor -%}"
)

FEATURES = datasets.Features(
    {
        "source_ids": datasets.List(datasets.Value("int32")),
        "target_ids": datasets.List(datasets.Value("int32")),
        "prompt_tokens": datasets.Value("int32"),
        "row": datasets.Value("int64"),
    }
)


def read_instructions(
    source: str, *, split: str | None = None, config_name: str | None = None, revision: str | None = None
) -> list[Conversation]:
    """
    Read instruction pairs or conversations.

    Args:
        source (`str`): Hub data set id, or a local file or folder, as of [`read_rows`]. Its columns are `messages` (a
            list of `{"role": ..., "content": ...}`), `instruction`, `output` and optionally `input` (Alpaca's), or
            `prompt` and `completion` (texts, or lists of messages).
        split (`str`, *optional*): as in [`read_pairs`]; `train` for a Hub data set if not given.
        config_name (`str`, *optional*), revision (`str`, *optional*): as in [`read_pairs`].

    Returns:
        `list` of `list[dict]`: the turns of each row, each with `role` (`system`, `user` or `assistant`) and
        `content`.

    Raises:
        `ValueError`: for other columns, and for a row that is no conversation, naming the row.
        `OSError`: if the file or data set is missing or cannot be reached.
    """
    split = split if is_local(source) else split or "train"
    rows = read_rows(source, split=split, config_name=config_name, revision=revision)
    found = []
    for number, row in enumerate(rows, 1):
        try:
            found.append(as_conversation(row))
        except ValueError as error:
            raise ValueError(f"{source}, row {number}: {error}") from None
    return found


def as_conversation(row: Mapping[str, Any]) -> Conversation:
    """
    The turns of one row, whatever its layout.

    Args:
        row (`Mapping`): columns of one of [`LAYOUTS`].

    Raises:
        `ValueError`: if it has no such columns, or they hold no conversation with an answer.
    """
    layout = next((names for names in LAYOUTS if all(row.get(name) is not None for name in names)), None)
    if layout is None:
        wanted = " or ".join(" and ".join(f"`{name}`" for name in names) for names in LAYOUTS)
        raise ValueError(f"instructions are in columns {wanted}, got {', '.join(row) or 'none'}")
    if layout == ("messages",):
        turns = row["messages"]
    elif layout == ("instruction", "output"):
        asked = [each for each in (row["instruction"], row.get("input")) if each]
        turns = [_turn("user", "\n".join(map(_text, asked))), _turn("assistant", row["output"])]
    else:
        turns = [
            *_turns(row["prompt"], "user"),
            *_turns(row["completion"], "assistant"),
        ]
    return _checked(turns)


def _turns(given: Any, role: str) -> Sequence[Any]:
    return given if isinstance(given, list) else [_turn(role, given)]


def _turn(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise ValueError(f"what is said must be text, got {type(given).__name__}")
    return given.strip()


def _checked(turns: Any) -> Conversation:
    """A system turn first, if any; then user and assistant in turn, with an answer at the end of what is kept."""
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise ValueError(f"`messages` must be a list of turns with `role` and `content`, got {turns!r:.60}")
    found = [{"role": str(turn.get("role")), "content": _text(turn.get("content"))} for turn in turns]
    roles = [turn["role"] for turn in found]
    if unknown := [role for role in roles if role not in ROLES]:
        raise ValueError(f"a turn's `role` must be one of {', '.join(ROLES)}, got {unknown[0]!r}")
    spoken = roles[1:] if roles[:1] == ["system"] else roles
    if spoken != [ROLES[1 + place % 2] for place in range(len(spoken))] or len(spoken) < 2:
        raise ValueError(f"user and assistant must speak in turn, with an answer; got {', '.join(roles) or 'nothing'}")
    return found


def give_chat_template(tokenizer: PreTrainedTokenizerBase):
    """
    Gives a tokenizer [`CHAT_TEMPLATE`], which is saved with it, unless it has a template of its own.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): with an end-of-text token.

    Raises:
        `ValueError`: if it has no end-of-text token.
    """
    if tokenizer.eos_token is None:
        raise ValueError("the tokenizer has no end-of-text token, which ends every turn of a conversation")
    if not tokenizer.chat_template:
        tokenizer.chat_template = CHAT_TEMPLATE


def answer_ids(tokenizer: PreTrainedTokenizerBase, turns: Conversation) -> tuple[list[int], list[int]]:
    """
    Token ids of a conversation: of all before its last answer, as `generate` gets them, and of that answer.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): with a chat template.
        turns (`list[dict]`): a conversation that ends in an answer.

    Raises:
        `ValueError`: if the chat template writes the turns before the answer in another way once it follows.
    """
    options: dict[str, Any] = {"tokenize": True, "return_dict": False}
    prompt = list(tokenizer.apply_chat_template(turns[:-1], add_generation_prompt=True, **options))
    whole = list(tokenizer.apply_chat_template(turns, **options))
    if whole[: len(prompt)] != prompt:
        raise ValueError("the chat template writes a question in another way once its answer follows")
    return prompt, whole[len(prompt) :]


def encode_instructions(
    conversations: Sequence[Conversation], tokenizer: PreTrainedTokenizerBase, *, max_length: int
) -> tuple[datasets.Dataset, CleaningReport]:
    """
    Tokenize conversations by the chat template: one row for each answer, after all turns before it.

    An answer that does not fit is cut, and then has no end. What spells a special token is dropped, because a template
    would make that token of it.

    Args:
        conversations (`Sequence`): as [`read_instructions`] gives them.
        tokenizer (`PreTrainedTokenizerBase`): with a chat template; see [`give_chat_template`].
        max_length (`int`): longest row in tokens.

    Returns:
        `tuple`: rows with `source_ids` (empty), `target_ids` (prompt and answer), `prompt_tokens` (so many of them are
        prompt) and `row` (number of the conversation, from 0); and the `CleaningReport` of the answers, which drops
        `empty`, `special_token` and `too_long` (no token of the answer fits).

    Raises:
        `ValueError`: if no answer is left, or as [`answer_ids`].
    """
    rows: list[dict[str, Any]] = []
    reasons = []
    for number, turns in enumerate(conversations):
        for end in (place + 1 for place, turn in enumerate(turns) if turn["role"] == "assistant"):
            reason, row = _row(tokenizer, turns[:end], max_length)
            reasons.append(reason)
            rows += [{**row, "row": number}] if reason == KEPT else []
    report = CleaningReport()
    report.count(reasons)
    if not rows:
        raise ValueError(f"no answer is left with max_length={max_length}: {report}")
    return datasets.Dataset.from_list(rows, features=FEATURES), report


def _row(tokenizer: PreTrainedTokenizerBase, turns: Conversation, max_length: int) -> tuple[str, dict[str, Any]]:
    """Why the answer is dropped, or the empty text; and its row."""
    if not all(turn["content"].strip() for turn in turns):
        return "empty", {}
    if any(token in turn["content"] for turn in turns for token in tokenizer.all_special_tokens):
        return "special_token", {}
    prompt, answer = answer_ids(tokenizer, turns)
    if len(prompt) >= max_length:
        return "too_long", {}
    ids = [*prompt, *answer][:max_length]
    return KEPT, {"source_ids": [], "target_ids": ids, "prompt_tokens": len(prompt)}
