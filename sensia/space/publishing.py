"""The page as a Space on the Hub: a folder that runs there without an installed Sensia, pushed in one commit."""

import shutil
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from huggingface_hub import CommitInfo, HfApi, SpaceCard

from sensia.bundled import bundled
from sensia.space.settings import TARGET, SpaceArguments
from sensia.trainers.publishing import published_files

#: Packages of the project that the page imports; installed, all but the first two are inside of `sensia`.
_PACKAGES = ("modeling_sensia", "sensia", "corpora", "trainers", "evaluation", "model_cards")
#: What the page does not read. The embedded models among them would be most of the Space.
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "assets", "configs", "space_files", "*.pyc")


def push_space(args: SpaceArguments, token: str | None = None) -> CommitInfo:
    """
    Pushes the page to a Space, which is made where it does not exist. A file of the Space that the page no longer has
    is deleted in the same commit.

    Args:
        args ([`SpaceArguments`]): the settings; `push` is the Space.
        token (`str`, *optional*): defaults to the one of `hf auth login` or `HF_TOKEN`.

    Returns:
        `CommitInfo`

    Raises:
        ValueError: if a folder of `models` holds no model.
        OSError: if the Hub refuses or cannot be reached, or a file cannot be read.
    """
    space = str(args.push)
    api = HfApi(token=token)
    with TemporaryDirectory() as folder:
        write_space(args, Path(folder))
        try:
            api.create_repo(space, repo_type="space", space_sdk="gradio", private=args.private, exist_ok=True)
            return api.upload_folder(
                repo_id=space,
                repo_type="space",
                folder_path=folder,
                commit_message="The page to play with",
                delete_patterns="*",
            )
        except Exception as error:
            raise OSError(
                f"Could not push the Space {space}: {error}\nCheck the token (`hf auth whoami`; it needs permission "
                "to write), the Space's name and the network, then run again."
            ) from error


def write_space(args: SpaceArguments, folder: Path):
    """
    Writes the files of the Space: the app, its card and requirements, our packages, local models, and the sentences.

    Args:
        args ([`SpaceArguments`]): the settings.
        folder (`Path`): an empty folder.

    Raises:
        ValueError: if a folder of `models` holds no model.
        OSError: if a file cannot be read.
    """
    template = bundled("space_files")
    for name in ("app.py", "requirements.txt"):
        shutil.copy2(template / name, folder / name)
    for package in _PACKAGES:
        _copy_package(package, folder)
    entries, on_the_hub = [], []
    for language, model in args.named_models:
        is_local = Path(model).is_dir()
        if is_local:
            _copy_model(Path(model), folder / "models" / local_name(model))
        else:
            on_the_hub.append(model)
        entries.append(f"{language}={f'models/{local_name(model)}' if is_local else model}")
    settings = {
        "models": entries,
        "source_language": args.source_language,
        "bitext": _copy_bitext(args, folder),
        "max_sentences": args.max_sentences,
    }
    (folder / "space.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True, sort_keys=False), encoding="utf-8")
    card = SpaceCard.load(template / "README.md")
    if on_the_hub:
        card.data.models = sorted(set(on_the_hub))
    card.save(folder / "README.md")


def local_name(path: str) -> str:
    """
    Name of a model folder: that of the run, not of the folder `final` in it.

    Args:
        path (`str`): the folder.
    """
    parts = [part for part in Path(path).resolve().parts if part != "final"]
    return parts[-1]


def _copy_package(name: str, folder: Path):
    module = import_module(name if name in _PACKAGES[:2] else f"sensia.{name}")
    source = Path(str(module.__file__)).parent
    target = folder / name if name in _PACKAGES[:2] else folder / "sensia" / name
    shutil.copytree(source, target, ignore=_LEFT_OUT, dirs_exist_ok=True)


def _copy_model(source: Path, target: Path):
    names = list(published_files(source))
    if not any(name.suffix == ".safetensors" for name in names):
        raise ValueError(f"{source} holds no model: there is no .safetensors file in it.")
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / name, target / name)


def _copy_bitext(args: SpaceArguments, folder: Path) -> str:
    """The name of the bitext in the Space's settings: local files are copied, a data set on the Hub is named."""
    paths = {Path(args.bitext_of(language)) for language, _ in args.named_models}
    if not any(path.exists() for path in paths):
        return args.bitext
    (folder / "bitext").mkdir()
    for path in sorted(paths):
        shutil.copy2(path, folder / "bitext" / path.name)
    name = Path(args.bitext).name
    if TARGET in str(Path(args.bitext).parent):
        raise ValueError(f"`bitext` must have {TARGET} in the name of the file alone, got {args.bitext!r}.")
    return f"bitext/{name}"
