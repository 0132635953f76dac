"""Locations of data: which local files a name stands for, and whether it is of the Hub."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from sensia.corpora.archives import archive_of, is_archive, members
from sensia.corpora.data_sets import NO_SCRIPTS
from sensia.corpora.languages import Language
from sensia.corpora.parallel_lines import LANG, ParallelFiles, expand_template, sides_beginning, sides_in
from sensia.corpora.text_files import COMPRESSIONS

KINDS = {
    ".jsonl": "json",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "txt",
    ".parquet": "parquet",
    ".tmx": "tmx",
    ".xlf": "xliff",
    ".xliff": "xliff",
    ".ts": "ts",
    ".po": "po",
    ".mo": "mo",
}
#: Kinds that cannot be read through a compressed stream.
_WHOLE_FILES = ("parquet", "mo")
Source = TypeVar("Source")
#: Kind of bitext in two files.
PARALLEL = "parallel"
SPLIT_WORDS = frozenset({"train", "training", "dev", "valid", "validation", "test"})
#: Files that describe data, and hold none of it.
_DESCRIPTIONS = frozenset(
    {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "sources.json", "results.json"}
)
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_TWO_FILES = "; bitext in two text files is named as `a.txt,b.txt`, source first, or as `corpus.{lang}`"


def file_kind(path: Path) -> str | None:
    """
    Kind of a data file, told by its name.

    Args:
        path (`Path`): file name; the end of a compression (`.gz`, `.xz`, `.bz2`, `.zst`) is looked through.

    Returns:
        `str` or `None`: one of the values of [`KINDS`]; None for anything else.
    """
    name = Path(path.name.lower())
    if name.suffix in COMPRESSIONS:
        kind = KINDS.get(name.with_suffix("").suffix)
        return None if kind in _WHOLE_FILES else kind
    return KINDS.get(name.suffix)


def is_local(source: str) -> bool:
    """
    Tells if a source names something on this machine rather than a Hub data set.

    Args:
        source (`str`): path or Hub id, as given by the user.

    Returns:
        `bool`: True for a path that exists and for one that can only be a path.
    """
    path = Path(source).expanduser()
    return path.exists() or _could_be_file(path) or not _HUB_ID.fullmatch(source) or bool(sides_beginning(path))


def _could_be_file(path: Path) -> bool:
    return file_kind(path) is not None or path.suffix.lower() == ".zip" or archive_of(path) is not None


def _name_words(path: Path, folder: Path) -> set[str]:
    """Words of the name of a file and of the folders that it lies in, below the one that was given."""
    return set(re.split(r"[^a-z0-9]+", str(path.relative_to(folder)).lower()))


def _is_data(path: Path) -> bool:
    """Leaves out hidden copies, which editors and notebooks make, and files that only describe data."""
    hidden = any(part.startswith((".", "__")) for part in path.parts)
    return not hidden and path.name not in _DESCRIPTIONS


def _files_inside(folder: Path) -> list[Path]:
    found = members(folder) if is_archive(folder) else [path for path in folder.rglob("*") if path.is_file()]
    return sorted(path for path in found if _is_data(path.relative_to(folder)))


def holds_files(source: str, kinds: tuple[str, ...]) -> bool:
    """
    Tells if a folder or zip archive holds data files.

    Args:
        source (`str`): path; that of a single file holds none.
        kinds (`tuple[str, ...]`): kinds of file that count.

    Returns:
        `bool`: True if at least one file is of one of the kinds.
    """
    path = Path(source).expanduser()
    return (path.is_dir() or is_archive(path)) and any(file_kind(each) in kinds for each in _files_inside(path))


def _folder_files(folder: Path, split: str | None, kinds: tuple[str, ...]) -> list[Path]:
    inside = _files_inside(folder)
    files = [path for path in inside if file_kind(path) in kinds]
    if not files and any(path.suffix == ".py" for path in inside):
        raise ValueError(f"{folder} holds a script and no data files: {NO_SCRIPTS}")
    return _of_split(folder, files, split)


def _of_split(folder: Path, files: list[Path], split: str | None) -> list[Path]:
    """The files of a folder that belong to a split; without a split, all, if they are of one."""
    if split is not None:
        chosen = [path for path in files if split.lower() in _name_words(path, folder)]
        if not chosen:
            names = [str(path.relative_to(folder)) for path in files]
            raise ValueError(f"{folder}: no data file for split {split!r}; the word must be part of its name: {names}")
        return chosen
    splits = sorted(set().union(*(_name_words(path, folder) for path in files)) & SPLIT_WORDS)
    if len(splits) > 1:
        raise ValueError(f"{folder} holds several splits ({', '.join(splits)}): choose one, or name a file")
    return files


def _refuse_split(source: str, split: str | None) -> None:
    if split is not None:
        raise ValueError(
            f"split {split!r} was given with the single file {source}: name the file of that split instead"
        )


def parallel_files(source: str, languages: tuple[Language, Language], split: str | None) -> list[ParallelFiles]:
    """
    Bitext in two files that a local source stands for.

    Args:
        source (`str`): both files with a comma between them, source first (`a.txt,b.txt`); a name with `{lang}` in the
            place of the codes (`corpus.{lang}`); one of two files whose names end in the codes (`corpus.en`), or their
            common beginning (`corpus`); or a folder or zip archive that holds such files.
        languages (`tuple` of two `Language`): of the source and of the target side.
        split (`str` or `None`): of a folder or archive, take the files with this word in their names.

    Returns:
        `list[ParallelFiles]`: the pairs of files; empty where the source is something else.

    Raises:
        `FileNotFoundError`: if one of the two files is not there.
        `ValueError`: if several files could be one side, and for a split that is not there, not chosen, or given
            where the source is no folder or archive.
    """
    first, comma, second = source.partition(",")
    if comma and not Path(source).expanduser().exists():
        files = ParallelFiles(Path(first.strip()).expanduser(), Path(second.strip()).expanduser())
        for path in files:
            if not path_exists(path):
                raise FileNotFoundError(f"no such file: {path} (of {source!r}, two files of one bitext)")
        _refuse_split(source, split)
        return [files]
    path = Path(source).expanduser()
    if path.is_dir() or is_archive(path):
        pairs = sides_in(_files_inside(path), *languages)
        chosen = set(_of_split(path, [pair.source for pair in pairs], split)) if pairs else set()
        return [pair for pair in pairs if pair.source in chosen]
    if LANG in path.name:
        _refuse_split(source, split)
        return [expand_template(source, *languages, _siblings(path))]
    if path_exists(path):
        pairs = sides_in(_siblings(path), *languages, chosen=path)
    else:
        pairs = sides_in(sides_beginning(path), *languages)
    if pairs:
        _refuse_split(source, split)
    return pairs


def without_second_sides(
    sources: Sequence[Source],
    locate: Callable[[Source], str],
    languages_of: Callable[[Source], tuple[Language, Language]],
) -> list[Source]:
    """
    Leaves out what names the other side of a bitext in two files that was named before, as in `x.en` and `x.id`.

    Args:
        sources (`Sequence`): data sets.
        locate (`Callable`): data set -> its path or Hub id.
        languages_of (`Callable`): data set -> the languages of its source and of its target side.

    Returns:
        `list`: the data sets, in their order, each bitext once.
    """
    kept, seen = [], set[tuple[ParallelFiles, ...]]()
    for source in sources:
        path = Path(locate(source))
        text = path.is_file() and not file_kind(path)
        pairs = tuple(parallel_files(str(path), languages_of(source), None)) if text else ()
        if not pairs or pairs not in seen:
            kept.append(source)
        seen.add(pairs)
    return kept


def _siblings(path: Path) -> list[Path]:
    inside = archive_of(path)
    if inside:
        return [each for each in members(inside[0]) if each.parent == path.parent]
    return sorted(each for each in path.parent.iterdir() if each.is_file()) if path.parent.is_dir() else []


def is_there(source: str) -> bool:
    """Tells if files of this name are there: see [`parallel_files`] and [`local_files`] for the forms of a name."""
    path = Path(source).expanduser()
    if LANG in path.name:
        before, _, after = path.name.partition(LANG)
        return any(each.name.startswith(before) and each.name.endswith(after) for each in _siblings(path))
    return path_exists(path) or bool(sides_beginning(path))


def files_behind(source: str) -> list[Path]:
    """
    Local files from whose sizes and times one sees that a source has changed.

    Args:
        source (`str`): path in any form that [`parallel_files`] and [`local_files`] take, or a Hub id.

    Returns:
        `list[Path]`: all files that the source is read from, and maybe others that begin like them; none of the Hub.
    """
    if "," in source and not Path(source).expanduser().exists():
        return [file for part in source.split(",") for file in files_behind(part.strip())]
    path = Path(source).expanduser()
    if inside := archive_of(path):
        return [inside[0]]
    if path.is_dir():
        return _files_inside(path)
    if path.is_file() and (file_kind(path) or is_archive(path)):
        return [path]
    begin = path.name.partition(LANG)[0] if LANG in path.name else path.name.partition(".")[0]
    return [each for each in _siblings(path) if each.name.startswith(begin)]


def path_exists(path: Path) -> bool:
    """Tells if there is such a file or folder, or such a file in a zip archive."""
    inside = archive_of(path)
    return path in members(inside[0]) if inside else path.exists()


def local_files(source: str, split: str | None, kinds: tuple[str, ...]) -> tuple[list[Path], str]:
    """
    The data files that a local source stands for.

    Args:
        source (`str`): path of a file, folder or zip archive, or of a file in an archive.
        split (`str` or `None`): for a folder or archive, take the files with this word in their names
            (`en-id.train.parquet`).
        kinds (`tuple[str, ...]`): kinds of file that the caller can read.

    Returns:
        `tuple[list[Path], str]`: the files in the order of their names, and their one kind.

    Raises:
        `FileNotFoundError`: if there is no such file or folder.
        `ValueError`: for a script, a kind that is not read, a folder without data or with several kinds or splits.
    """
    path = Path(source).expanduser()
    if not path_exists(path):
        raise FileNotFoundError(f"no such file or folder: {source}")
    if path.suffix == ".py":
        raise ValueError(f"{source}: {NO_SCRIPTS}")
    if path.is_dir() or is_archive(path):
        files = _folder_files(path, split, kinds)
    else:
        _refuse_split(source, split)
        files = [path]
    if any(archive_of(file) and file_kind(file) in _WHOLE_FILES for file in files):
        raise ValueError(f"{source}: this kind of file cannot be read inside a zip archive; unpack it first")
    found = sorted({file_kind(file) or file.suffix for file in files})
    if len(found) != 1 or found[0] not in kinds:
        raise ValueError(
            f"{source}: expected files of one of the kinds {', '.join(_shown(kinds))}, found "
            f"{', '.join(found) or 'none'}{_TWO_FILES if 'txt' not in kinds and found in ([], ['txt']) else ''}"
        )
    return files, found[0]


def _shown(kinds: Iterable[str]) -> Iterator[str]:
    return (kind for kind in kinds if kind != PARALLEL)
