"""Files inside zip archives, read without unpacking them to the disk. `corpus.zip/en-id.en` names such a file."""

import zipfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO

#: A member that is larger than this may be at most so many times as large as its compressed form. Text is rarely
#: compressed to less than a twentieth; a "zip bomb" is, to fill memory or disk.
_LARGE_BYTES, _MOST_EXPANSION = 10_000_000, 200


def archive_of(path: Path) -> tuple[Path, str] | None:
    """
    Divides the path of a file inside a zip archive.

    Args:
        path (`Path`): any path.

    Returns:
        `tuple` of `Path` and `str`, *optional*: the archive and the name inside it; `None` for any other path.
    """
    for parent in path.parents:
        if parent.suffix.lower() == ".zip" and parent.is_file():
            return parent, path.relative_to(parent).as_posix()
    return None


def is_archive(path: Path) -> bool:
    """Tells if a path is that of a zip archive, by its name."""
    return path.suffix.lower() == ".zip" and path.is_file()


def members(archive: Path) -> list[Path]:
    """
    Lists the files of a zip archive.

    Args:
        archive (`Path`): the archive.

    Returns:
        `list[Path]`: paths of the files, as [`archive_of`] divides them, in the order of their names.

    Raises:
        `ValueError`: if the archive is damaged, or holds a name that leads out of it.
    """
    with _opened(archive) as file:
        names = sorted(info.filename for info in file.infolist() if info.filename and not info.is_dir())
    for name in names:
        path = PurePosixPath(name.replace("\\", "/"))
        if not path.parts or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
            raise ValueError(f"{archive}: the name {name!r} inside leads out of the archive; the archive is not read")
    return [archive / name for name in names]


def open_member(archive: Path, name: str) -> BinaryIO:
    """
    Opens a file of a zip archive for reading.

    Args:
        archive (`Path`): the archive.
        name (`str`): the file inside.

    Returns:
        `BinaryIO`: its content, decompressed while it is read.

    Raises:
        `FileNotFoundError`: if there is no such file inside.
        `ValueError`: if the archive is damaged or encrypted, or the file would expand far more than text does.
    """
    with _opened(archive) as file:
        try:
            info = file.getinfo(name)
        except KeyError:
            raise FileNotFoundError(f"{archive} holds no file {name!r}") from None
        if info.flag_bits & 1:
            raise ValueError(f"{archive}: {name!r} is encrypted; give an archive without a password")
        if info.file_size > max(_LARGE_BYTES, _MOST_EXPANSION * info.compress_size):
            raise ValueError(
                f"{archive}: {name!r} would expand from {info.compress_size:,} to {info.file_size:,} bytes, far more "
                "than text does; unpack it yourself if you trust it"
            )
        try:
            return file.open(info)  # type: ignore[return-value]
        except (zipfile.BadZipFile, NotImplementedError) as error:
            raise ValueError(f"{archive}: {name!r} cannot be read ({error})") from error


def _opened(archive: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(archive)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{archive}: damaged zip archive ({error})") from error
