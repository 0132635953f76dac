"""Sources in the folder that the files of a run are relative to."""

from pathlib import Path

from sensia.corpora.held_out import name_part
from sensia.corpora.locations import is_local, is_there


def within(folder: str | Path, text: str) -> str | None:
    """
    A source that lies in a folder, with what follows it.

    Args:
        folder (`str` or `Path`): what files are relative to.
        text (`str`): as in [`name_part`].

    Returns:
        `str`, *optional*: its path and what follows it; `None` where nothing of that name is there.
    """
    folder = Path(folder).expanduser()
    first, comma, second = text.partition(",")
    if comma and not (folder / text).exists():
        sides = [within(folder, each.strip()) or each.strip() for each in (first, second)]
        return ",".join(sides) if sides != [first.strip(), second.strip()] else None
    if is_there(str(folder / text)):
        return str(folder / text)
    source, colon, rest = text.partition(":")
    return f"{folder / source}:{rest}" if colon and (folder / source).is_dir() else None


def locate(folder: str | Path, text: str) -> str:
    """
    Finds a source in a folder, below the working directory or on the Hub.

    Args:
        folder (`str` or `Path`): what files are relative to.
        text (`str`): as in [`name_part`].

    Returns:
        `str`: its path, or the Hub id. A file that is missing has the path that it would have in the folder: an error
        then says where it was looked for.
    """
    if found := within(folder, text):
        return found
    source = name_part(text).source
    if is_there(source) or not is_local(source):
        return text
    first, comma, second = text.partition(",")
    if comma:
        return ",".join(locate(folder, each.strip()) for each in (first, second))
    return str(Path(folder).expanduser() / Path(text).expanduser())
