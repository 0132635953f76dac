"""Web page of senses: compact data, and one self-contained HTML file.

Lists of tokens take most of the space. Each list holds N words, K senses and `top` entries, in the order [top, K, N],
which compresses best. An entry is the frequency rank of its token in the list, and its score in 256 steps.
"""

import base64
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from modeling_sensia import BackpackForCausalLM
from sensia.evaluation.senses.inspection import (
    count_tokens,
    find_target_tokens,
    mixture_of,
    rank_tokens,
    token_text,
    word_ids,
)

_LONGEST_WORD = 30
_MOST_WORDS = 10_000


@dataclass(frozen=True)
class VocabularyUse:
    """
    Token and word counts of both sides of a bitext.

    Args:
        languages (`tuple`): codes of the source and the target language.
        counts (`torch.Tensor` [2, V]): occurrences of each token in source and target text.
        words (`list[str]`): the most frequent words of both sides, the most frequent first.
    """

    languages: tuple[str, str]
    counts: Tensor
    words: list[str]

    @property
    def target_tokens(self) -> list[int]:
        """The tokens that are more frequent in target text; see [`find_target_tokens`]."""
        return find_target_tokens(*self.counts)


def count_use(
    tokenizer: PreTrainedTokenizerBase, sources: Sequence[str], targets: Sequence[str], languages: tuple[str, str]
) -> VocabularyUse:
    """
    Counts the tokens and words of a bitext.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): the tokenizer.
        sources (`Sequence[str]`), targets (`Sequence[str]`): the sides of the bitext.
        languages (`tuple`): codes of the source and the target language.
    """
    counts = torch.stack([count_tokens(tokenizer, texts) for texts in (sources, targets)])  # [2, V]
    words = Counter(word for text in (*sources, *targets) for word in re.findall(r"[^\W\d_]+", text))
    words_kept = [word for word, _ in words.most_common(_MOST_WORDS) if len(word) <= _LONGEST_WORD]
    return VocabularyUse(languages, counts, words_kept)


def page_data(
    models: Mapping[str, BackpackForCausalLM],
    tokenizer: PreTrainedTokenizerBase,
    *,
    top: int = 5,
    max_tokens: int = 8192,
    sentences: Iterable[str] = (),
    use: VocabularyUse | None = None,
    word: str | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """
    Computes the data of the page as values that can be written as JSON.

    Args:
        models (`Mapping`): the models to show side by side, by display name.
        tokenizer (`PreTrainedTokenizerBase`): the tokenizer of all of them.
        top (`int`, *optional*, defaults to 5): tokens per list.
        max_tokens (`int`, *optional*, defaults to 8192): largest number of tokens on the page: the most frequent ones
            of `use`, or else the first ones of the vocabulary, which BPE learned first because they are frequent.
        sentences (`Iterable[str]`, *optional*): sentences whose mixtures are shown.
        use ([`VocabularyUse`], *optional*): if given, both languages are listed separately, and words of several
            tokens can be found.
        word (`str`, *optional*): the word shown when the page opens; none by default.
        progress (`bool`, *optional*, defaults to `False`): show a progress bar for each model.

    Returns:
        `dict`: see the code of the page.

    Raises:
        ValueError: without models or tokens, and as [`rank_tokens`] and [`mixture_of`] do.
    """
    if not models or max_tokens < 1:
        raise ValueError(f"The page needs models and tokens, got {len(models)} models and {max_tokens} tokens.")
    size = len(tokenizer)
    counts = torch.zeros(size) if use is None else use.counts.sum(0)
    # Stable, so that tokens of equal count stay in the order of the vocabulary.
    shown = counts.argsort(descending=True, stable=True)[:max_tokens].sort().values.tolist()
    target_tokens = None if use is None else use.target_tokens
    names = ("strongest",) if use is None else ("strongest_source", "strongest_target")
    described = []
    for name, model in models.items():
        rankings = rank_tokens(model, tokenizer, shown, top, target_tokens, progress=progress)
        lists = [pack_ranking(*rankings[one]) for one in (*names, "suppressed")]
        described.append({"name": name, "num_senses": model.config.num_senses, "lists": lists})
    return {
        "tokens": [token_text(tokenizer, one) for one in range(size)],
        "shown": pack_integers(np.array(shown)),
        "words": _words_of_several_tokens(tokenizer, use.words if use else [], set(shown)),
        "word": word or "",
        "labels": [*(("strongest",) if use is None else use.languages), "suppressed"],
        "models": described,
        "sentences": [_pack_sentence(models, tokenizer, sentence) for sentence in sentences],
    }


def _words_of_several_tokens(tokenizer: PreTrainedTokenizerBase, words: Iterable[str], shown: set[int]) -> list[Any]:
    spelled = [(word, word_ids(tokenizer, word)) for word in words]
    return [[word, *ids] for word, ids in spelled if len(ids) > 1 and shown.issuperset(ids)]


def pack_ranking(ids: Tensor, scores: Tensor) -> dict[str, Any]:
    """
    Packs one list of tokens; scores are rounded by at most half a `step`.

    Args:
        ids (`torch.Tensor` [N, K, top]), scores (`torch.Tensor` [N, K, top]): from [`rank_tokens`].

    Returns:
        `dict`: `top`; `palette`, the tokens of the list by frequency; `ranks`, places in the palette [top, K, N];
        `scores`, the difference to the entry before it in steps, modulo 256 [top, K, N]; `lowest` and `step`.
    """
    values, counts = np.unique(ids.numpy(), return_counts=True)
    palette = values[np.argsort(-counts, kind="stable")]
    rank_of = np.zeros(values[-1] + 1, dtype=np.int64)
    rank_of[palette] = np.arange(len(palette))
    lowest, highest = scores.min().item(), scores.max().item()
    # If all scores are equal, any step is right.
    step = (highest - lowest) / 255 or 1.0
    steps = np.rint((scores.numpy().transpose(2, 1, 0) - lowest) / step).clip(0, 255).astype(np.uint8)
    return {
        "top": ids.shape[-1],
        "palette": pack_integers(palette),
        "ranks": pack_integers(rank_of[ids.numpy()].transpose(2, 1, 0)),
        "scores": _pack(np.diff(steps, axis=0, prepend=np.uint8(0))),
        "lowest": lowest,
        "step": step,
    }


def pack_integers(values: np.ndarray) -> str:
    """
    Packs integers from 0 to 2^24 - 1: all low bytes, then all middle bytes, then all high bytes.

    Args:
        values (`np.ndarray` of `int`): in the order to store.
    """
    return _pack(np.stack([values >> shift & 255 for shift in (0, 8, 16)]).astype(np.uint8))


def _pack(values: np.ndarray) -> str:
    return base64.b64encode(zlib.compress(values.tobytes(), 9)).decode("ascii")


def _pack_sentence(
    models: Mapping[str, BackpackForCausalLM], tokenizer: PreTrainedTokenizerBase, sentence: str
) -> dict[str, Any]:
    mixtures = [mixture_of(model, tokenizer, sentence) for model in models.values()]
    return {
        "tokens": [token["token"] for token in mixtures[0]["tokens"]],
        "models": [_pack_mixture(mixture["predictions"]) for mixture in mixtures],
    }


def _pack_mixture(predictions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    weights, contributions = (
        np.concatenate([np.array(prediction[name]).ravel() for prediction in predictions])
        for name in ("weights", "contributions")
    )
    step = np.abs(contributions).max() / 32767 or 1.0
    return {
        "logits": [round(prediction["logit"], 3) for prediction in predictions],
        "probabilities": [float(f"{prediction['probability']:.3g}") for prediction in predictions],
        "weights": pack_integers(np.rint(weights * 65535).astype(np.int64)),
        # Shifted to stay above zero.
        "contributions": pack_integers(np.rint(contributions / step).astype(np.int64) + 32768),
        "step": step,
    }


def render_page(template: str, style: str, script: str, *, title: str, data: Mapping[str, Any]) -> str:
    """
    Fills the template of the page. The data are escaped, so that no token can close the HTML element that holds them.

    Args:
        template (`str`): the Jinja template, with places for `title`, `style`, `script` and `data`.
        style (`str`), script (`str`): CSS and JavaScript, inserted unchanged.
        title (`str`): plain text.
        data (`Mapping`): from [`page_data`].

    Returns:
        `str`: the HTML file.
    """
    encoded = json.dumps(data, separators=(",", ":"))
    for char in "<>&":
        encoded = encoded.replace(char, f"\\u{ord(char):04x}")
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    parts = {"style": Markup(style), "script": Markup(script), "data": Markup(encoded)}
    return environment.from_string(template).render(title=title, **parts)
