"""The pair in one row, once its columns are known."""

from collections.abc import Mapping
from typing import Any

from sensia.corpora.fields import PROMPT, PROMPT_COLUMNS, TRANSLATION, PairFields, pick_column
from sensia.corpora.repair import repair


def text_or_none(value: Any) -> str | None:
    """
    Text of a cell: null is empty text. Anything else that is not text, lone surrogates among it, is None, which
    cleaning counts as `not_text`.

    Args:
        value (`Any`): the cell.

    Returns:
        `str` or `None`: its text.
    """
    if value is None:
        return ""
    return value if isinstance(value, str) and _is_unicode(value) else None


def _is_unicode(text: str) -> bool:
    """Tells text that can be written as UTF-8 from half a surrogate pair, which JSON can spell and which cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def label_or_none(value: Any) -> str | None:
    """
    Label of an `origin` or `doc` cell, numbers written out.

    Args:
        value (`Any`): the cell.

    Returns:
        `str` or `None`: the label; None for null.
    """
    return None if value is None else str(value).encode(errors="replace").decode()


def take_pair(record: Mapping[str, Any], fields: PairFields, place: str) -> dict[str, str | None]:
    """
    The pair in one record.

    Args:
        record (`Mapping[str, Any]`): a row.
        fields (`PairFields`): where the pair is.
        place (`str`): file and line for error messages.

    Returns:
        `dict[str, str | None]`: `source`, `target`, and where there are such columns `origin`, `doc` and `score`; with
            prompts `source_prompt` and `target_prompt`; a record without a prompt has empty ones.

    Raises:
        `ValueError`: if a side is missing from the record.
    """
    prefix = f"{TRANSLATION}." if fields.nested else ""
    if fields.nested and record.get(TRANSLATION, "") is None:
        record = {**record, TRANSLATION: {fields.source: None, fields.target: None}}
    if fields.nested and not isinstance(record.get(TRANSLATION), Mapping):
        raise ValueError(f"{place}: no field 'translation' that maps language codes to texts")
    sides = record[TRANSLATION] if fields.nested else record
    for side in (fields.source, fields.target):
        if side not in sides:
            pick_column(sides, [side], place, prefix)
    if record.get(PROMPT) is not None and PROMPT not in (fields.source, fields.target):
        if fields.prompts is None:
            raise ValueError(f"{place}: a 'prompt', but the first record of the file has none; give it an empty one")
        if not isinstance(record[PROMPT], Mapping):
            raise ValueError(f"{place}: field 'prompt' must map language codes to texts")
    return {
        **take_prompts(record.get(PROMPT), fields.prompts),
        "source": text_or_none(sides[fields.source]),
        "target": text_or_none(sides[fields.target]),
        **{name: label_or_none(record.get(column)) for name, column in fields.labels.items()},
    }


def check_texts(pair: Mapping[str, str | None], fields: PairFields, place: str) -> None:
    """
    Refuse a pair that cleaning would drop because a side of it is no text or empty.

    Args:
        pair (`Mapping[str, str | None]`): as [`take_pair`] gives it.
        fields (`PairFields`): where the pair is.
        place (`str`): file and line, or data set and row, for the message.

    Raises:
        `ValueError`: naming the field.
    """
    prefix = f"{TRANSLATION}." if fields.nested else ""
    for side, field in (("source", fields.source), ("target", fields.target)):
        text = pair[side]
        if text is None:
            raise ValueError(f"{place}: field {prefix + field!r} is not text")
        if not repair(text)[0].strip():
            raise ValueError(f"{place}: field {prefix + field!r} is empty")
    if fields.prompts:
        prompts = [pair[name] for name in PROMPT_COLUMNS]
        if None in prompts or len({bool(prompt and prompt.strip()) for prompt in prompts}) > 1:
            raise ValueError(f"{place}: field '{PROMPT}' must have a text of each language, or of neither")


def no_pair(fields: PairFields) -> dict[str, str | None]:
    """
    Stands for a row that cannot be read: a pair without text, which cleaning drops and counts as `not_text`.

    Args:
        fields (`PairFields`): where pairs are.
    """
    return dict.fromkeys(("source", "target", *fields.extras))


def take_prompts(prompt: Mapping[str, Any] | None, keys: tuple[str, str] | None) -> dict[str, str | None]:
    """
    Reads the prompts of both sides of a pair.

    Args:
        prompt (`Mapping[str, Any]`, *optional*): the cell of the column `prompt`.
        keys (`tuple[str, str]`, *optional*): where its sides are; `None` if the data has no prompts.

    Returns:
        `dict[str, str | None]`: `source_prompt` and `target_prompt`; empty if the data has no prompts.
    """
    if keys is None:
        return {}
    given = prompt or {}
    return {name: text_or_none(given.get(key)) for name, key in zip(PROMPT_COLUMNS, keys, strict=True)}
