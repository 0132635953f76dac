"""Word similarity: correlation of vector similarity with human ratings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from scipy import stats
from torch.nn import functional as F
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sensia.corpora.text_files import numbered_lines
from sensia.evaluation.intervals import bootstrap_spearman
from sensia.evaluation.sentence_vectors import is_backpack
from sensia.evaluation.tasks.word_vectors import word_vectors
from sensia.evaluation.word_pairs import word_senses


@dataclass(frozen=True)
class RatedPair:
    """
    Two words with a human rating of their similarity.

    Args:
        first (`str`), second (`str`): the words.
        score (`float`): their similarity on the scale of the data set.
    """

    first: str
    second: str
    score: float


def read_word_similarity(path: str | Path) -> list[RatedPair]:
    """
    Reads rated pairs from a file with lines of word, tab, word, tab, score.

    Args:
        path (`str` or `Path`): UTF-8 file without a header, optionally gzipped. Blank lines are skipped.

    Returns:
        `list[RatedPair]`: in the order of the file.

    Raises:
        ValueError: for a line that is not two words and a number (names file and line), or an empty file.
    """
    pairs = []
    for number, line in numbered_lines(Path(path)):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split("\t")]
        try:
            first, second, score = cells
            pairs.append(RatedPair(first, second, float(score)))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: expected word, word and score, got {cells}.") from error
    if not pairs:
        raise ValueError(f"{path}: no pair of words.")
    return pairs


def measure_word_similarity(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[RatedPair]
) -> dict[str, Any]:
    """
    Measures Spearman's rank correlation between human ratings and the cosines of word vectors.

    Args:
        model (`PreTrainedModel`): a causal language model, read by [`word_vectors`].
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer.
        pairs (`Sequence[RatedPair]`): at least three.

    Returns:
        `dict`: `metrics`, with `embedding_spearman` and, from a Backpack, `sense_sum_spearman`, `sense_spearman` (mean
        cosine of sense k with sense k), `best_sense_spearman` (the best of the K senses, chosen on the same pairs, so
        it is too optimistic) and `sense_{k}_spearman` for k from 0; `intervals` of all but the single senses, 95 %
        bootstrap over the pairs; `chance` 0; `best_sense`, its index. If all vectors are equal, the correlation is 0.

    Raises:
        ValueError: for fewer than three pairs.
    """
    if len(pairs) < 3:
        raise ValueError(f"A rank correlation needs three pairs or more, got {len(pairs)}.")
    words = sorted({word for pair in pairs for word in (pair.first, pair.second)})
    place = {word: row for row, word in enumerate(words)}
    first = torch.tensor([place[pair.first] for pair in pairs])
    second = torch.tensor([place[pair.second] for pair in pairs])
    scores = [pair.score for pair in pairs]
    cosines = {
        kind: (vectors[first] * vectors[second]).sum(-1).tolist()
        for kind, vectors in word_vectors(model, tokenizer, words).items()
    }
    extras = {}
    single: dict[str, float] = {}
    if is_backpack(model):
        senses = F.normalize(word_senses(cast(Any, model), tokenizer, words), dim=-1)  # [N, K, D]
        by_sense = (senses[first] * senses[second]).sum(-1).T.tolist()  # K rows of a cosine for each pair
        single = {f"sense_{k}_spearman": _spearman(values, scores) for k, values in enumerate(by_sense)}
        best = int(np.argmax(list(single.values())))
        cosines["best_sense"] = by_sense[best]
        extras["best_sense"] = best
    metrics = {f"{kind}_spearman": _spearman(values, scores) for kind, values in cosines.items()}
    intervals = {f"{kind}_spearman": bootstrap_spearman(values, scores) for kind, values in cosines.items()}
    metrics |= single
    return {"metrics": metrics, "intervals": intervals, "chance": dict.fromkeys(metrics, 0.0), **extras}


def _spearman(first: Sequence[float], second: Sequence[float]) -> float:
    if len(set(first)) == 1 or len(set(second)) == 1:
        return 0.0
    return float(stats.spearmanr(first, second).statistic)
