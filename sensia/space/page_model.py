"""The computations of the page to play with, for one model: predictions, steered continuations, nearest sentences."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from modeling_sensia import BackpackForCausalLM
from modeling_sensia.loading import load_base
from modeling_sensia.steering import ScaleSenses, Steering
from sensia.corpora import find_language, read_pairs
from sensia.evaluation.mining import centred_vectors
from sensia.evaluation.senses.inspection import (
    count_tokens,
    find_target_tokens,
    rank_tokens,
    readable,
    token_text,
    word_ids,
)
from sensia.evaluation.senses.next_token import NextToken, explain_next_token, prompt_ids
from sensia.evaluation.similarity import backpack_encoder

#: Names of a sense: its strongest tokens in the source and in the target language.
SenseNames = dict[tuple[int, int], tuple[list[str], list[str]]]


@dataclass(frozen=True)
class Sliders:
    """
    What the sliders of the page say.

    Args:
        factors (`tuple[float]`): factor of each sense; 1 changes nothing.
        words (`str`): words whose senses are scaled, with spaces or commas between them; an empty text for all tokens.
    """

    factors: tuple[float, ...] = ()
    words: str = ""

    def steering(self, tokenizer: PreTrainedTokenizerBase) -> Steering:
        """
        The edits of senses. A word of several tokens is scaled at all of them.

        Args:
            tokenizer (`PreTrainedTokenizerBase`): the model's.

        Raises:
            ValueError: if the tokenizer cannot encode a word, or a factor is below 0.
        """
        words = self.words.replace(",", " ").split()
        ids = sorted({one for word in words for one in word_ids(tokenizer, word)}) or None
        turned = [(sense, factor) for sense, factor in enumerate(self.factors) if factor != 1]
        return Steering([ScaleSenses([sense], float(factor), ids) for sense, factor in turned])


@dataclass(frozen=True)
class FoundSentence:
    """
    A sentence of the other language.

    Args:
        text (`str`): the sentence.
        translation (`str`): its translation into the language that was typed, written by people.
        cosine (`float`): of the two sentence vectors, each without the mean of its language.
    """

    text: str
    translation: str
    cosine: float


class PageModel:
    """
    A Backpack on the page. Its methods may be called from several threads: one works at a time, because the sliders of
    one reader would change the answer for another.

    Args:
        model ([`BackpackForCausalLM`]): the model.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer.
        languages (`tuple`): names of the source and of the target language.
        sentences (`tuple`): N sentences of the source language, and their translations in the same order.
    """

    def __init__(
        self,
        model: BackpackForCausalLM,
        tokenizer: PreTrainedTokenizerBase,
        languages: tuple[str, str],
        sentences: tuple[Sequence[str], Sequence[str]],
    ):
        self.model, self.tokenizer, self.languages, self.sentences = model, tokenizer, languages, sentences
        self._lock = threading.Lock()
        self._vectors: tuple[torch.Tensor, torch.Tensor] | None = None
        self._target_tokens = find_target_tokens(*(count_tokens(tokenizer, side) for side in sentences))

    @classmethod
    def load(cls, name: str, languages: tuple[str, str], bitext: str, max_sentences: int) -> "PageModel":
        """
        Loads a model, and the sentence pairs of its languages.

        Args:
            name (`str`): Hub id or folder of a Backpack.
            languages (`tuple`): codes of the source and of the target language.
            bitext (`str`): sentence pairs, as `sensia adapt` reads them.
            max_sentences (`int`): number of pairs, from the beginning.

        Raises:
            OSError, ValueError: if the model or the pairs cannot be read.
        """
        model, tokenizer = load_base(name)
        codes = [find_language(code) for code in languages]
        source, target = (language.iso1 or language.iso3 for language in codes)
        pairs = read_pairs(bitext, source_language=source, target_language=target)
        pairs = pairs.select(range(min(max_sentences, len(pairs))))
        sentences = (list(pairs["source"]), list(pairs["target"]))
        return cls(model.eval(), tokenizer, (codes[0].name, codes[1].name), sentences)  # type: ignore[arg-type]

    @property
    def num_senses(self) -> int:
        """`int`: number of senses of a token."""
        return self.model.config.num_senses

    def explain(self, text: str, sliders: Sliders, token_id: int | None = None, top: int = 8) -> NextToken:
        """
        Explains the next token under the sliders; see [`explain_next_token`].

        Args:
            text (`str`): the text.
            sliders ([`Sliders`]): the edits.
            token_id (`int`, *optional*): token to explain; by default the likeliest.
            top (`int`, *optional*, defaults to 8): number of candidates.
        """
        with self._steered(sliders):
            return explain_next_token(self.model, self.tokenizer, text, token_id=token_id, top=top)

    def name_senses(self, token_ids: Sequence[int], top: int = 3) -> SenseNames:
        """
        Names the senses of tokens by the tokens that each predicts most, in both languages. Sliders do not change the
        names.

        Args:
            token_ids (`Sequence[int]`): the tokens.
            top (`int`, *optional*, defaults to 3): names of a sense in each language.

        Returns:
            `dict`: by token id and sense, the names in the source and in the target language.
        """
        ids = sorted(set(token_ids))
        with self._lock:
            rankings = rank_tokens(self.model, self.tokenizer, ids, top, self._target_tokens)
        (source, _), (target, _) = rankings["strongest_source"], rankings["strongest_target"]  # [T, K, top] each
        return {
            (one, sense): (self._readable(source[place, sense]), self._readable(target[place, sense]))
            for place, one in enumerate(ids)
            for sense in range(self.num_senses)
        }

    def continuations(self, text: str, sliders: Sliders, new_tokens: int = 24) -> tuple[str, str]:
        """
        Continues a text by greedy search, in which no three tokens occur twice.

        Args:
            text (`str`): the text.
            sliders ([`Sliders`]): the edits.
            new_tokens (`int`, *optional*, defaults to 24): most new tokens.

        Returns:
            `tuple[str, str]`: the new text without and with the edits.
        """
        with self._steered(Sliders()):
            plain = self._continue(text, new_tokens)
        if not sliders.steering(self.tokenizer).edits:
            return plain, plain
        with self._steered(sliders):
            return plain, self._continue(text, new_tokens)

    def nearest(self, text: str, side: int, top: int = 5) -> list[FoundSentence]:
        """
        Finds the sentences of the other language whose vectors are nearest to that of a text. The first call computes
        the vectors of all sentences.

        Args:
            text (`str`): a sentence.
            side (`int`): its language, 0 for the source and 1 for the target.
            top (`int`, *optional*, defaults to 5): number of sentences.

        Returns:
            `list` of [`FoundSentence`], the nearest first.

        Raises:
            ValueError: for an empty text.
        """
        if not text.strip():
            raise ValueError("There is no text to search with: type a sentence.")
        with self._lock:
            encode = backpack_encoder(self.model, self.tokenizer)
            if self._vectors is None:
                self._vectors = (encode(self.sentences[0]), encode(self.sentences[1]))
            (query,) = encode([text.strip()])  # [D]
        own, other = self._vectors[side], self._vectors[1 - side]  # [N, D]
        query = torch.nn.functional.normalize(query - own.mean(0), dim=-1)
        cosines, rows = (centred_vectors(other) @ query).topk(min(top, len(other)))
        return [
            FoundSentence(self.sentences[1 - side][row], self.sentences[side][row], cosine)
            for row, cosine in zip(rows.tolist(), cosines.tolist(), strict=True)
        ]

    @contextmanager
    def _steered(self, sliders: Sliders) -> Iterator[None]:
        with self._lock, sliders.steering(self.tokenizer).applied(self.model):
            yield

    def _continue(self, text: str, new_tokens: int) -> str:
        ids = prompt_ids(self.tokenizer, text, self.model.config.max_position_embeddings - new_tokens)
        prompt = torch.tensor([ids], device=self.model.device)
        options: dict[str, Any] = {"no_repeat_ngram_size": 3, "do_sample": False, "num_beams": 1, "use_cache": True}
        written = self.model.generate(  # type: ignore[misc]
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=new_tokens,
            pad_token_id=self.tokenizer.eos_token_id,
            **options,
        )
        return str(self.tokenizer.decode(written[0, len(ids) :], skip_special_tokens=True))

    def _readable(self, token_ids: torch.Tensor) -> list[str]:
        return [readable(token_text(self.tokenizer, one)) for one in token_ids.tolist()]
