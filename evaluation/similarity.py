"""Vectors by which sentences of two languages are compared, of a Backpack or of a sentence-transformers model."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch.nn import functional as F
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from modeling_sensia import BackpackConfig
from modeling_sensia.model_sources import model_source
from sensia.evaluation.sentence_vectors import sentence_vectors
from sensia.evaluation.tasks.scoring import load_scored_model

#: Computes the unit vectors [N, D] of N sentences, on the CPU.
Encoder = Callable[[Sequence[str]], torch.Tensor]


def load_encoder(name: str, device: str | None = None) -> Encoder:
    """
    Loads the model that sentences are compared with.

    A vector of a Backpack is its context vector followed by its sense vector, scaled to length 1, so a cosine is the
    mean of the two cosines that SENSIA aligns. Code of a repository is not run.

    Args:
        name (`str`): Hub id or folder of a Backpack or of a sentence-transformers model.
        device (`str`, *optional*): device of the model; by default a GPU if there is one.

    Raises:
        OSError: if it is missing, gated or cannot be reached.
        ValueError: if it is another kind of model, or sentence-transformers is needed and not there.
    """
    name = model_source(name)
    return _backpack(name, device) if _is_backpack(name) else _sentence_transformer(name, device)


def model_state(name: str) -> list[object]:
    """
    Tells a model from another without reading it: the files of a folder with size and time, or the Hub id.

    Args:
        name (`str`): Hub id or folder.
    """
    files = sorted(path for path in Path(name).expanduser().glob("*") if path.is_file())
    return [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files] or [name]


def _is_backpack(name: str) -> bool:
    try:
        config, _ = BackpackConfig.get_config_dict(name)
    except (OSError, ValueError):  # no config.json, which a sentence-transformers model need not have, or another's
        return False
    return config.get("model_type") == BackpackConfig.model_type


def _backpack(name: str, device: str | None) -> Encoder:
    return backpack_encoder(*load_scored_model(name, device=device))


def backpack_encoder(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Encoder:
    """
    The encoder of [`load_encoder`], of a Backpack that is loaded already.

    Args:
        model ([`BackpackForCausalLM`]): the model.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer, with an end-of-text token.
    """

    def encode(texts: Sequence[str]) -> torch.Tensor:
        vectors = sentence_vectors(model, tokenizer, texts)
        return F.normalize(torch.cat([vectors["context"], vectors["sense"]], 1), dim=-1)  # [N, 2 D]

    return encode


def _sentence_transformer(name: str, device: str | None) -> Encoder:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise ValueError(
            f"{name} is no Backpack, and other models need `pip install 'sensia[sentence-transformers]'`."
        ) from None
    try:
        model = SentenceTransformer(name, device=device, trust_remote_code=False)
    except OSError as error:
        raise OSError(f"{name} cannot be loaded as a Backpack or a sentence-transformers model: {error}") from error
    except ValueError as error:
        raise ValueError(f"{name} cannot be loaded as a Backpack or a sentence-transformers model: {error}") from error

    def encode(texts: Sequence[str]) -> torch.Tensor:
        vectors = model.encode(list(texts), convert_to_tensor=True, show_progress_bar=False)
        return F.normalize(vectors.float(), dim=-1).cpu()

    return encode
