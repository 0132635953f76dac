"""Settings files and the small model and bitext that come with the project, wherever it is installed."""

from pathlib import Path

_HERE = Path(__file__).resolve().parent
#: How settings files name what is bundled, from the root of a checkout.
ASSETS = "examples/assets/"
#: Folders below `examples/` that have another name in an installed package, where `space` is a package of code.
_IN_CHECKOUT = {"space_files": "space"}


def bundled(kind: str) -> Path:
    """
    Args:
        kind (`str`): `configs`, `assets` or `space_files`.

    Returns:
        `Path`: the folder, beside this package in a checkout, inside it where it is installed.
    """
    inside = _HERE / kind
    return inside if inside.is_dir() else _HERE.parent / "examples" / _IN_CHECKOUT.get(kind, kind)


def find_config(name: str) -> Path:
    """
    A settings file, or one of those that are bundled.

    Args:
        name (`str`): path of a file, or `quickstart` and the like.

    Returns:
        `Path`: the file; the path as it was given where nothing of that name is bundled.
    """
    ours = bundled("configs") / f"{name}.yaml"
    return ours if not Path(name).exists() and "/" not in name and ours.is_file() else Path(name)


def find_asset(path: str) -> str:
    """
    Args:
        path (`str`): as a settings file gives it.

    Returns:
        `str`: where it lies; a path below `examples/assets/` that is not in the working folder is the bundled one.
        Of a path with `{target}`, which stands for languages, the folder counts.
    """
    name, equals, place = path.rpartition("=")  # NAME=PATH of `eval_data`
    named = Path(place).parent if "{target}" in Path(place).name else Path(place)
    if not place.startswith(ASSETS) or named.exists():
        return path
    return f"{name}{equals}{bundled('assets') / place.removeprefix(ASSETS)}"
