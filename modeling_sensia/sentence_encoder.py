"""The module through which sentence-transformers reads a saved Backpack; it travels with every saved model.

Shapes: N sentences, L positions, D the hidden size.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from .sentence_rows import VECTORS, padded

try:  # transformers looks for missing packages outside of `try` alone: a Backpack must load without this one
    from sentence_transformers.base.modules import InputModule
except ImportError as error:
    raise ImportError("Sentence vectors need `pip install -U 'sentence-transformers>=6.2'`.") from error


class BackpackSentenceEncoder(InputModule):
    """
    Computes the sentence vectors that SENSIA aligns (arXiv 2601.10310), for `SentenceTransformer`.

    They were trained at sentences that end with the end-of-text token, so each sentence gets that token: after
    tokenization, after truncation, and also where token ids come from elsewhere. Vectors have length 1.

    Args:
        model ([`BackpackForCausalLM`]): the model.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer, with an end-of-text token.
        vector (`str`, *optional*, defaults to `"context"`): the vector that `encode` returns where its own argument
            `vector` is not given: `"context"` or `"sense"`.
        max_seq_length (`int`, *optional*): largest number of tokens of a sentence, its end-of-text token included;
            defaults to the model's number of positions, and is never more.

    Raises:
        ValueError: if the tokenizer has no end-of-text token.
    """

    config_file_name = "sentence_encoder_config.json"
    config_keys = ["vector", "max_seq_length"]  # noqa: RUF012 - the library's own convention
    forward_kwargs = {"vector"}  # noqa: RUF012
    tokenizer: PreTrainedTokenizerBase

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        vector: str = "context",
        max_seq_length: int | None = None,
    ):
        super().__init__()
        self.model, self.tokenizer, self.vector = model, tokenizer, vector
        self._max_seq_length = max_seq_length

    @property
    def max_seq_length(self) -> int:
        """`int`: largest number of tokens of a sentence; a longer one is cut before its end-of-text token."""
        return self._limit(self._max_seq_length)

    @max_seq_length.setter
    def max_seq_length(self, value: int | None):
        self._max_seq_length = value

    def get_embedding_dimension(self) -> int:
        """Returns D."""
        return self.model.config.hidden_size

    def preprocess(  # type: ignore[override]
        self,
        inputs: Sequence[str],
        prompt: str | None = None,
        max_length: int | None = None,
        processing_kwargs: dict[str, dict[str, Any]] | None = None,
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """
        Tokenizes sentences. Special tokens in a text are text.

        Args:
            inputs (`Sequence[str]`): N sentences.
            prompt (`str`, *optional*): text that is put before each sentence.
            max_length (`int`, *optional*): a smaller limit than `max_seq_length`.
            processing_kwargs (`dict`, *optional*): `max_length` of `"text"` or `"common"`; other entries have no
                effect, because nothing but the end-of-text token is added to a sentence.

        Returns:
            `dict`: `input_ids` and `attention_mask`, `torch.Tensor` of `int` [N, L].

        Raises:
            ValueError: if an input is no text, or a limit is less than 2.
        """
        strangers = [text for text in inputs if not isinstance(text, str)]
        if strangers:
            raise ValueError(f"A sentence must be a text, got {strangers[0]!r}.")
        given = [(processing_kwargs or {}).get(kind, {}).get("max_length") for kind in ("common", "text")]
        texts = [f"{prompt or ''}{text}" for text in inputs]
        rows = self.tokenizer(texts, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
        return self._closed(rows, self._limit(self._max_seq_length, max_length, *given))

    def forward(self, features: dict[str, Tensor], vector: str | None = None) -> dict[str, Tensor]:  # type: ignore[override]
        """
        Computes the vectors of sentences.

        Args:
            features (`dict`): `input_ids` and, for padding on either side, `attention_mask` [N, L].
            vector (`str`, *optional*, defaults to the module's `vector`): `"context"` or `"sense"`.

        Returns:
            `dict`: `features`, each row closed by the end-of-text token, with `sentence_embedding` [N, D] and
            `token_embeddings` [N, L, D], the Backpack's output.

        Raises:
            ValueError: if there is no such vector.
        """
        name = vector or self.vector
        if name not in VECTORS:
            raise ValueError(f"`vector` must be one of {', '.join(VECTORS)}, got {name!r}.")
        features = {**features, **self._closed_features(features)}
        outputs = self.model.base_model(
            input_ids=features["input_ids"],
            attention_mask=features["attention_mask"],
            pooling_temperature=self.model.config.pooling_temperature,
            use_cache=False,
        )
        features["token_embeddings"] = outputs.last_hidden_state
        features["sentence_embedding"] = outputs[f"{name}_vectors"]
        return features

    def _limit(self, *limits: int | None) -> int:
        limit = min([self.model.config.max_position_embeddings, *(each for each in limits if each is not None)])
        if limit < 2:
            raise ValueError(f"A sentence needs room for a token and the end-of-text token, got a limit of {limit}.")
        return limit

    def _closed_features(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """The token ids and the mask, closed where somebody else made them."""
        ids = features["input_ids"]
        mask = features.get("attention_mask", torch.ones_like(ids))
        last = (mask * torch.arange(ids.shape[1], device=ids.device)).argmax(1, keepdim=True)  # [N, 1]
        if (ids.gather(1, last) == self._end_of_text()).all():
            return {"input_ids": ids, "attention_mask": mask}
        rows = [row[real.bool()].tolist() for row, real in zip(ids, mask, strict=True)]
        open_rows = [row[:-1] if row[-1:] == [self._end_of_text()] else row for row in rows]
        closed = self._closed(open_rows, self._limit())
        return {name: tensor.to(ids.device) for name, tensor in closed.items()}

    def _closed(self, rows: Sequence[list[int]], limit: int) -> dict[str, Tensor]:
        """Ends each row with the end-of-text token, cuts it before that token to `limit` tokens, and pads it."""
        return padded([[*row[: limit - 1], self._end_of_text()] for row in rows])

    def _end_of_text(self) -> int:
        token = self.tokenizer.eos_token_id
        if token is None:
            raise ValueError("The tokenizer has no end-of-text token to close sentences with.")
        return token

    @classmethod
    def load(  # type: ignore[override]
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        trust_remote_code: bool = False,
        model_kwargs: dict[str, Any] | None = None,
        processor_kwargs: dict[str, Any] | None = None,
        config_kwargs: dict[str, Any] | None = None,
        backend: str = "torch",
        **kwargs: Any,
    ) -> "BackpackSentenceEncoder":
        """
        Loads model and tokenizer; `SentenceTransformer` calls this with the arguments that it was given.

        Args:
            model_name_or_path (`str`): folder or Hub id.
            subfolder, token, cache_folder, revision, local_files_only: where the files are, as in
                `SentenceTransformer`.
            trust_remote_code (`bool`, *optional*, defaults to `False`): run the model's own code.
            model_kwargs (`dict`, *optional*): arguments of the model's `from_pretrained`, such as `dtype`.
            processor_kwargs (`dict`, *optional*): arguments of the tokenizer's `from_pretrained`.
            config_kwargs (`dict`, *optional*): fields of the configuration, such as `pooling_temperature`.
            backend (`str`, *optional*, defaults to `"torch"`): no other is there.

        Raises:
            ValueError: for another backend.
        """
        if backend != "torch":
            raise ValueError(f"`backend` must be torch for a Backpack, got {backend!r}.")
        where = {"subfolder": subfolder, "token": token, "revision": revision, "local_files_only": local_files_only}
        settings = cls.load_config(model_name_or_path, cache_folder=cache_folder, **where)  # type: ignore[arg-type]
        where |= {"cache_dir": cache_folder, "trust_remote_code": trust_remote_code}
        model = AutoModelForCausalLM.from_pretrained(
            model_name_or_path, **{**where, **(config_kwargs or {}), **(model_kwargs or {})}
        )
        tokenizer = AutoTokenizer.from_pretrained(model_name_or_path, **{**where, **(processor_kwargs or {})})
        return cls(model, tokenizer, **settings)

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any):
        """
        Saves model, tokenizer and the module's settings.

        Args:
            output_path (`str`): the folder.
            safe_serialization (`bool`, *optional*, defaults to `True`): has no effect; weights are never pickled.
        """
        self.model.save_pretrained(output_path)
        self.tokenizer.save_pretrained(output_path)
        self.save_config(output_path)


__all__ = ["VECTORS", "BackpackSentenceEncoder"]
