"""Sentence vectors of texts, as a method of every Backpack."""

from collections.abc import Sequence

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from .sentence_rows import TOKENS_PER_BATCH, encode_texts


class SentenceVectorsMixin:
    """A model that gives the vectors of sentences."""

    def encode(
        self,
        texts: Sequence[str],
        tokenizer: PreTrainedTokenizerBase,
        *,
        vector: str = "context",
        max_length: int | None = None,
        tokens_per_batch: int = TOKENS_PER_BATCH,
        progress: bool = False,
    ) -> Tensor:
        """
        Computes the sentence vectors that SENSIA aligns (arXiv 2601.10310), without dropout.

        They were trained at sentences that end with the end-of-text token, so each text gets that token, last and
        after truncation. The sense vector is pooled at the configuration's `pooling_temperature`. Batches hold texts
        of about one length, and senses are computed once for each distinct token of a batch.

        Args:
            texts (`Sequence[str]`): N texts.
            tokenizer (`PreTrainedTokenizerBase`): the model's, with an end-of-text token.
            vector (`str`, *optional*, defaults to `"context"`): `"context"` or `"sense"`.
            max_length (`int`, *optional*): largest number of tokens of a text with its end-of-text token; never more
                than the model's positions.
            tokens_per_batch (`int`, *optional*, defaults to 1024): largest number of tokens in a batch, with padding.
                An accelerator is faster with more.
            progress (`bool`, *optional*, defaults to `False`): show a progress bar.

        Returns:
            `torch.Tensor` of `float32` [N, D]: vectors of length 1, on the CPU, in the order of the texts.

        Raises:
            ValueError: if there is no text, an entry is no text, there is no such vector, the limit is less than 2, or
                the tokenizer has no end-of-text token.
        """
        return encode_texts(
            self,  # type: ignore[arg-type]
            tokenizer,
            texts,
            vector=vector,
            max_length=max_length,
            tokens_per_batch=tokens_per_batch,
            progress=progress,
        )


__all__ = ["SentenceVectorsMixin"]
