"""Text of users within Markdown: whatever it holds, it stays one line, one cell or one piece of code."""

import re
from collections.abc import Sequence

# What would begin code, emphasis, a link or a tag.
_SPECIAL = re.compile(r"[\\`*\[\]]")


def one_line(text: str) -> str:
    """
    A text without line ends, runs of white space and characters that nobody sees.

    Args:
        text (`str`): any text.
    """
    seen = "".join(character if character.isprintable() or character.isspace() else "" for character in text)
    return " ".join(seen.split())


def words(text: str) -> str:
    """
    A text that reads as it stands, outside of code.

    Args:
        text (`str`): any text.
    """
    return _SPECIAL.sub(r"\\\g<0>", one_line(text)).replace("<", "&lt;")


def list_names(names: Sequence[str]) -> str:
    """
    Names as a sentence lists them: `"A"`, `"A and B"`, `"A, B and C"`.

    Args:
        names (`Sequence[str]`): the names, at least one.
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def code(text: str) -> str:
    """
    A text as a piece of code within a line.

    Args:
        text (`str`): any text.
    """
    plain = one_line(text)
    ticks = _longest_run(plain) + 1
    padding = " " if plain.startswith("`") or plain.endswith("`") else ""
    return "`" * ticks + padding + plain + padding + "`" * ticks


def fence(*texts: str) -> str:
    """
    A fence longer than any run of backticks in texts, so that they can stand between two of it exactly as they are.

    Args:
        texts (`str`): what will stand there.
    """
    return "`" * max(3, _longest_run("\n".join(texts)) + 1)


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
