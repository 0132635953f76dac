"""Sources of models, folders or the Hub, and the check that a tokenizer fits its model."""

from pathlib import Path

from safetensors import SafetensorError, safe_open
from transformers import PreTrainedModel, PreTrainedTokenizerBase


def model_source(name: str) -> str:
    """
    The name of a model or tokenizer as `from_pretrained` takes it. A path is told from a Hub id by how it is written.

    Args:
        name (`str`): Hub id or folder; `~` stands for the home folder.

    Raises:
        FileNotFoundError: if it can only be a folder, and there is none.
        NotADirectoryError: if it is a file.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return str(path)
    if path.exists():
        raise NotADirectoryError(f"{name} is a file: give the folder that holds config.json and the weights.")
    if name.startswith((".", "/", "~")) or name.endswith("/") or "\\" in name or name.count("/") > 1:
        raise FileNotFoundError(
            f"The model folder {name} does not exist{_where(path)}. Give a folder that does, or a Hub id, org/name."
        )
    return name


def check_model_folder(name: str):
    """
    Refuses a folder that is no whole model; a Hub id passes.

    Args:
        name (`str`): as [`model_source`] gives it.

    Raises:
        FileNotFoundError: if the configuration is missing.
        ValueError: if a weights file is damaged.
    """
    folder = Path(name)
    if not folder.is_dir() or (folder / "adapter_config.json").exists():
        return
    if not (folder / "config.json").exists():
        raise FileNotFoundError(
            f"The folder {name} holds no config.json: it is no model that `save_pretrained` wrote."
        )
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, "pt"):
                pass
        except SafetensorError as error:
            raise ValueError(f"{path} is damaged or cut off ({error}): copy or download it again.") from error


def check_tokenizer_folder(name: str):
    """
    Refuses a folder without a tokenizer; a Hub id passes.

    Args:
        name (`str`): as [`model_source`] gives it.

    Raises:
        FileNotFoundError: if no file of a tokenizer is there.
    """
    folder = Path(name)
    files = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "vocab.txt", "*.model")
    if folder.is_dir() and not any(True for pattern in files for _ in folder.glob(pattern)):
        raise FileNotFoundError(f"The folder {name} holds no tokenizer: put one there, or name it as `tokenizer`.")


def _where(path: Path) -> str:
    """A relative path is looked for where the command was started, which may be the mistake."""
    return "" if path.is_absolute() else f" in {Path.cwd()}"


def check_vocabulary(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, model_name: str, tokenizer_name: str):
    """
    Refuses a tokenizer whose tokens the model has no embeddings for.

    Args:
        model (`PreTrainedModel`), tokenizer (`PreTrainedTokenizerBase`): the two.
        model_name (`str`), tokenizer_name (`str`): what they were loaded from, for the message.

    Raises:
        ValueError: with both numbers, and how to resize the model.
    """
    tokens = max(tokenizer.get_vocab().values(), default=-1) + 1
    rows = model.get_input_embeddings().weight.shape[0]  # type: ignore[union-attr,index]
    if tokens > rows:
        raise ValueError(
            f"The tokenizer {tokenizer_name} has {tokens:,} tokens, the model {model_name} has embeddings for only "
            f"{rows:,}. If tokens were added to the model's own tokenizer, resize the model in Python and save both: "
            f"model.resize_token_embeddings({tokens}), then model.save_pretrained(folder) and "
            "tokenizer.save_pretrained(folder). Otherwise give the tokenizer that the model was trained with."
        )
