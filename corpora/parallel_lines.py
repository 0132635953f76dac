"""Bitext in two files, as Moses and OPUS write it: line n of one file is the translation of line n of the other."""

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from sensia.corpora.languages import Language, is_code, names_language
from sensia.corpora.text_files import COMPRESSIONS, Record, numbered_lines

#: Stands for the code of each language in the name of a pair of files, as in `corpus.{lang}`.
LANG = "{lang}"
#: Ends of files whose lines hold more than a sentence. `.ts` and `.mo` are left out: they are codes of languages too.
_STRUCTURED = frozenset(
    {".json", ".jsonl", ".csv", ".tsv", ".parquet", ".tmx", ".xlf", ".xliff", ".po", ".xml", ".sgm", ".html"}
)


class ParallelFiles(NamedTuple):
    """
    Two files of a bitext.

    Args:
        source (`Path`): file of the source side.
        target (`Path`): file of the target side.
    """

    source: Path
    target: Path

    def __str__(self) -> str:
        return f"{self.source} and {self.target}"


def sides_beginning(path: Path) -> list[Path]:
    """
    Finds files whose names are a common beginning and the codes of languages, as in `x.en` and `x.id`.

    Args:
        path (`Path`): the beginning, `x`.

    Returns:
        `list[Path]`: the files, by name; none unless they are of two codes or more.
    """
    if not path.name or not path.parent.is_dir():
        return []
    found = sorted(each for each in path.parent.iterdir() if each.is_file() and _ends_in_code(each, path.name))
    return found if len({_without_compression(each) for each in found}) > 1 else []


def _ends_in_code(path: Path, beginning: str) -> bool:
    stem, _, code = _without_compression(path).rpartition(".")
    return stem == beginning and is_code(code)


def sides_in(
    files: Iterable[Path], source: Language, target: Language, chosen: Path | None = None
) -> list[ParallelFiles]:
    """
    Finds the pairs of files whose names differ by the codes of two languages at their end, as in `x.en` and `x.id`.

    Args:
        files (`Iterable[Path]`): files.
        source, target (`Language`): the languages.
        chosen (`Path`, *optional*): one of the files; only the pair that it is in is wanted.

    Returns:
        `list[ParallelFiles]`: the pairs, by name. A file may be compressed, as in `x.en.gz`.

    Raises:
        `ValueError`: if several files could be one side of a pair.
    """
    found: dict[tuple[Path, str], dict[str, list[Path]]] = {}
    for path in files:
        stem, _, code = _without_compression(path).rpartition(".")
        for side, language in (("source", source), ("target", target)):
            if stem and names_language(code, language):
                found.setdefault((path.parent, stem), {}).setdefault(side, []).append(path)
    pairs = [sides for _, sides in sorted(found.items()) if len(sides) == 2]
    if chosen is not None:
        pairs = [
            {side: [chosen] if chosen in fitting else fitting for side, fitting in sides.items()}
            for sides in pairs
            if any(chosen in fitting for fitting in sides.values())
        ]
    return [
        ParallelFiles(
            _only(sides["source"], source, sides["source"][0].parent),
            _only(sides["target"], target, sides["target"][0].parent),
        )
        for sides in pairs
    ]


def _only(files: list[Path], language: Language, place: Path | str) -> Path:
    if len(files) > 1:
        several = " and ".join(path.name for path in files)
        raise ValueError(f"{place}: {several} could both be {language.name}; name the two files, with a comma")
    return files[0]


def expand_template(template: str, source: Language, target: Language, files: Iterable[Path]) -> ParallelFiles:
    """
    Finds the two files that a name with [`LANG`] in it stands for.

    Args:
        template (`str`): the name, as in `corpus.{lang}` or `corpus.{lang}.txt.gz`.
        source, target (`Language`): the languages.
        files (`Iterable[Path]`): files of the folder.

    Returns:
        `ParallelFiles`: the pair.

    Raises:
        `FileNotFoundError`: if one of the two is not there.
        `ValueError`: if several files could be one side.
    """
    before, _, after = Path(template).name.partition(LANG)
    names = [path for path in files if path.name.startswith(before) and path.name.endswith(after)]
    sides = []
    for language in (source, target):
        fitting = [
            each for each in names if names_language(each.name[len(before) : len(each.name) - len(after)], language)
        ]
        if not fitting:
            there = ", ".join(path.name for path in names) or "none"
            raise FileNotFoundError(f"{template}: no such file for {language.name}; files of this form: {there}")
        sides.append(_only(fitting, language, template))
    return ParallelFiles(*sides)


def parallel_records(files: ParallelFiles, keep_broken: bool = False) -> Iterator[Record]:
    """
    Pairs of lines of two files, read line by line.

    Args:
        files (`ParallelFiles`): the two files, each optionally compressed.
        keep_broken (`bool`, *optional*, defaults to `False`): as in [`numbered_lines`].

    Returns:
        `Iterator[tuple[str, dict]]`: where the pair stands ("FILE and FILE, line N"), and `source` and `target`.

    Raises:
        `ValueError`: if one file has more lines than the other, with both numbers, or a file is no plain text.
    """
    for path in files:
        if (end := Path(_without_compression(path)).suffix.lower()) in _STRUCTURED:
            raise ValueError(
                f"{path}: two files are read line by line, and a line of a {end} file holds more than a sentence; "
                "give one file that holds both sides, or save the sentences of each side as plain text"
            )
    for left, right in zip_longest(*(numbered_lines(path, keep_broken) for path in files)):
        if left is None or right is None:
            counts = " and ".join(f"{path} has {_count_lines(path, keep_broken):,}" for path in files)
            raise ValueError(f"{counts} lines: line n of one file must be the translation of line n of the other")
        number, source = left
        yield f"{files}, line {number}", {"source": source.rstrip("\r\n"), "target": right[1].rstrip("\r\n")}


def _count_lines(path: Path, keep_broken: bool) -> int:
    return sum(1 for _ in numbered_lines(path, keep_broken))


def _without_compression(path: Path) -> str:
    return path.stem if path.suffix.lower() in COMPRESSIONS else path.name
