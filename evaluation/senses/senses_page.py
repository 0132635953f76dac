"""Web page of senses: compact data, and one self-contained HTML file.

Each model has its own tokenizer. So it has its own tokens, and cuts words and sentences in its own way. Models with
the same vocabulary share it in the data.

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


@dataclass(frozen=True)
class ShownModel:
    """
    A model on the page.

    Args:
        model ([`BackpackForCausalLM`]): the model.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer.
        use ([`VocabularyUse`], *optional*): counts of a bitext with this tokenizer. If given, both languages are
            listed separately, and the words of the bitext that are several tokens can be found.
    """

    model: BackpackForCausalLM
    tokenizer: PreTrainedTokenizerBase
    use: VocabularyUse | None = None

    @property
    def labels(self) -> list[str]:
        """Headings of the lists of tokens."""
        return [*(("strongest",) if self.use is None else self.use.languages), "suppressed"]

    def most_frequent_tokens(self, size: int) -> list[int]:
        """
        The most frequent tokens of the bitext, in the order of the vocabulary.

        Without a bitext they are the first ones of the vocabulary, which BPE learned first because they are frequent.

        Args:
            size (`int`): largest number of tokens.
        """
        counts = torch.zeros(len(self.tokenizer)) if self.use is None else self.use.counts.sum(0)
        # Stable, so that tokens of equal count stay in the order of the vocabulary.
        return counts.argsort(descending=True, stable=True)[:size].sort().values.tolist()


def page_data(
    models: Mapping[str, ShownModel],
    *,
    top: int = 5,
    max_tokens: int = 8192,
    sentences: Iterable[str] = (),
    word: str | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """
    Computes the data of the page as values that can be written as JSON.

    Args:
        models (`Mapping`): the models to show side by side, by display name. Their tokenizers may differ.
        top (`int`, *optional*, defaults to 5): tokens per list.
        max_tokens (`int`, *optional*, defaults to 8192): largest number of tokens of a model on the page; see
            [`ShownModel.most_frequent_tokens`].
        sentences (`Iterable[str]`, *optional*): sentences whose mixtures are shown.
        word (`str`, *optional*): the word shown when the page opens; none by default.
        progress (`bool`, *optional*, defaults to `False`): show a progress bar for each model.

    Returns:
        `dict`: see the code of the page.

    Raises:
        ValueError: without models or tokens, if the models' counts are of different languages, and as [`rank_tokens`]
            and [`mixture_of`] do.
    """
    if not models or max_tokens < 1:
        raise ValueError(f"The page needs models and tokens, got {len(models)} models and {max_tokens} tokens.")
    labels, *others = [one.labels for one in models.values()]
    if any(other != labels for other in others):
        raise ValueError(f"The models need counts of the same two languages, got lists of {[labels, *others]}.")
    tokens = {name: one.most_frequent_tokens(max_tokens) for name, one in models.items()}
    words = _words_to_find(models, tokens)
    vocabularies: list[dict[str, Any]] = []
    described = []
    for name, one in models.items():
        vocabulary = _vocabulary(one.tokenizer, tokens[name], words)
        if vocabulary not in vocabularies:
            vocabularies.append(vocabulary)
        lists = _pack_lists(one, tokens[name], top, progress)
        sizes = {"num_senses": one.model.config.num_senses, "vocabulary": vocabularies.index(vocabulary)}
        described.append({"name": name, **sizes, "lists": lists})
    return {
        "vocabularies": vocabularies,
        "word": word or "",
        "labels": labels,
        "models": described,
        "sentences": [[_pack_sentence(one, sentence) for one in models.values()] for sentence in sentences],
    }


def _words_to_find(models: Mapping[str, ShownModel], tokens: Mapping[str, Sequence[int]]) -> list[str]:
    """The words of the bitext, and those that are one token of a model: another model may need several."""
    words = [word for one in models.values() if one.use for word in one.use.words]
    for name, one in models.items():
        texts = (token_text(one.tokenizer, token) for token in tokens[name])
        words += [text[1:] for text in texts if re.fullmatch(r" [^\W\d_]+", text)]
    return list(dict.fromkeys(words))


def _vocabulary(tokenizer: PreTrainedTokenizerBase, shown: Sequence[int], words: Iterable[str]) -> dict[str, Any]:
    """Texts of all tokens, the tokens on the page, and the tokens of each word that is not one token of that text."""
    texts, on_page = [token_text(tokenizer, one) for one in range(len(tokenizer))], set(shown)
    spelled = [(word, _ids_or_none(tokenizer, word)) for word in words]
    return {
        "tokens": texts,
        "shown": pack_integers(np.array(shown)),
        "words": [
            [word, *ids]
            for word, ids in spelled
            if ids and on_page.issuperset(ids) and [texts[one] for one in ids] != [f" {word}"]
        ],
    }


def _ids_or_none(tokenizer: PreTrainedTokenizerBase, word: str) -> list[int] | None:
    """Token ids of a word, unless it has letters that the tokenizer does not know."""
    try:
        return word_ids(tokenizer, word)
    except ValueError:
        return None


def _pack_lists(one: ShownModel, shown: Sequence[int], top: int, progress: bool) -> list[dict[str, Any]]:
    names = ("strongest",) if one.use is None else ("strongest_source", "strongest_target")
    target_tokens = None if one.use is None else one.use.target_tokens
    rankings = rank_tokens(one.model, one.tokenizer, shown, top, target_tokens, progress=progress)
    return [pack_ranking(*rankings[name]) for name in (*names, "suppressed")]


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


def _pack_sentence(shown: ShownModel, sentence: str) -> dict[str, Any]:
    mixture = mixture_of(shown.model, shown.tokenizer, sentence)
    return {"tokens": [token["token"] for token in mixture["tokens"]], **_pack_mixture(mixture["predictions"])}


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
